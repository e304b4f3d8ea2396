"""Rules 62-67 of the controller and faults 69-72, one test per sentence."""

import threading

import pytest
from support.tiny_cluster import CONFIGMAPS, DEPLOYMENTS, NODES, SERVICES, TinyCluster

from crlab.controller import Request, Result, TerminalError
from crlab.controller.predicate import generation_changed, not_
from crlab.errors import (
    AlreadyStarted,
    AlreadyStopped,
    ConfigError,
    Conflict,
    LifecycleError,
    ReconcileFailed,
    SyncTimeout,
    TransportError,
)
from crlab.runtime.clock import RealClock
from crlab.runtime.driver import ThreadDriver
from crlab.trace.cause import caused_by


@pytest.fixture
def cluster():
    return TinyCluster()


def nothing(request, ctx):
    return None


def failing(request, ctx):
    raise ValueError("no")


class TestRule62:
    def test_an_error_is_retried_five_times_then_forgotten_and_reported(self, cluster):
        """6 tries, 5 ms doubling, then the key is free again."""
        controller = cluster.controller(failing)
        cluster.service()
        outcomes = []
        for _ in range(6):
            outcomes.append(controller.step().outcome)
            cluster.clock.advance(1)
        assert outcomes == [
            *(f"retry in {0.005 * 2**n:g} s (attempt {n + 2})" for n in range(5)),
            "given up after 6 attempts",
        ]
        assert controller.given_up == {"default/web": "ValueError: no"}
        assert controller.queue.num_requeues("default/web") == 0

    def test_success_forgets(self, cluster):
        """The next failure starts at the bottom of the ladder."""
        answers = [ValueError(), ValueError(), None, ValueError()]

        def reconcile(request, ctx):
            answer = answers.pop(0)
            if answer:
                raise answer

        controller = cluster.controller(reconcile)
        cluster.service()
        attempts = []
        for _ in range(4):
            attempts.append(controller.step("default/web").attempt)
            cluster.clock.advance(1)
        assert attempts == [1, 2, 3, 1]

    def test_no_limit_when_asked(self, cluster):
        """max_retries=None goes on for ever."""
        controller = cluster.controller(failing, max_retries=None)
        cluster.service()
        for _ in range(20):
            record = controller.step()
            cluster.clock.advance(1000)
        assert record.attempt == 20


class TestRule63:
    def test_an_error_wins_over_everything(self, cluster):
        """It is rate limited and the failures are counted."""
        controller = cluster.controller(failing)
        cluster.service()
        record = controller.step()
        assert (record.result, controller.queue.num_requeues("default/web")) == (None, 1)

    def test_a_terminal_error_is_not_requeued(self, cluster):
        """Reported at once, forgotten."""

        def reconcile(request, ctx):
            raise TerminalError("never")

        controller = cluster.controller(reconcile)
        cluster.service()
        assert controller.step().outcome == "not retried (terminal error)"
        assert controller.queue.snapshot().keys == []
        assert "default/web" in controller.given_up

    def test_requeue_after_forgets_then_waits(self, cluster):
        """The delay is the result's, not the limiter's."""
        controller = cluster.controller(lambda r, c: Result(requeue_after_seconds=30))
        cluster.service()
        controller.step()
        assert controller.queue.next_due_seconds() == 30
        assert controller.queue.num_requeues("default/web") == 0

    def test_requeue_is_rate_limited(self, cluster):
        """As after an error."""
        controller = cluster.controller(lambda r, c: Result(requeue=True))
        cluster.service()
        controller.step()
        assert controller.queue.next_due_seconds() == 0.005

    def test_nothing_means_done(self, cluster):
        """None and Result() alike."""
        for answer in (None, Result(), Result(requeue_after_seconds=0)):
            controller = cluster.controller(lambda r, c, answer=answer: answer)
            controller.step("default/web")
            assert controller.queue.snapshot().keys == []

    @pytest.mark.parametrize("rubbish", [True, 0, "done", {"requeue": 5}, object()])
    def test_rubbish_is_an_error(self, cluster, rubbish):
        """Retried as any other, and told what to return (fault 69)."""
        controller = cluster.controller(lambda r, c: rubbish)
        record = controller.step("default/web")
        assert "return None, or Result" in str(record.error)
        assert record.outcome.startswith("retry in 0.005 s")

    def test_a_coroutine_is_an_error_and_leaves_no_warning(self, cluster):
        """A lambda can smuggle one in."""

        async def later():
            return None

        record = cluster.controller(lambda r, c: later()).step("default/web")
        assert "coroutine" in str(record.error)

    @pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), "5", True])
    def test_a_delay_that_makes_no_sense_is_an_error(self, cluster, delay):
        """In the reconcile that made it (fault 69)."""
        record = cluster.controller(lambda r, c: Result(delay)).step("default/web")
        assert isinstance(record.error, ConfigError)
        assert record.outcome.startswith("retry in")

    @pytest.mark.parametrize("error", [SystemExit, GeneratorExit, BaseException, RecursionError])
    def test_no_exception_ends_the_controller(self, cluster, error):
        """Whatever a reconcile raises is an error of that run."""

        def reconcile(request, ctx):
            raise error()

        controller = cluster.controller(reconcile).start()
        cluster.service()
        cluster.driver.settle()
        assert (controller.error, controller.runner.errors) == (None, 1)

    def test_an_interrupt_by_the_user_gives_the_key_back(self, cluster):
        """Ctrl-C in a cell ends the cell, not the key."""

        def reconcile(request, ctx):
            raise KeyboardInterrupt

        controller = cluster.controller(reconcile)
        with pytest.raises(KeyboardInterrupt):
            controller.step("default/web")
        assert controller.queue.peek() == "default/web"
        assert controller.queue.snapshot().processing == ()

    def test_every_run_has_its_own_id(self, cluster):
        """One uid per run."""
        controller = cluster.controller(nothing)
        assert len({controller.step("default/web").reconcile_id for _ in range(3)}) == 3


class TestRule64:
    def test_sources_that_do_not_sync_are_an_error_not_a_hang(self, cluster):
        """After sync_timeout_seconds, with names."""
        informer = cluster.informer(SERVICES)
        controller = cluster.controller(nothing, sync_timeout_seconds=120).start()
        informer.stop()
        cluster.driver.settle()
        assert controller.error is None
        cluster.clock.advance(120)
        cluster.driver.settle()
        assert isinstance(controller.error, SyncTimeout)
        assert controller.error.unsynced == ("myservices.example.com",)


class TestRule65:
    def test_the_first_list_and_resyncs_have_low_priority(self, cluster):
        """What changes goes first."""
        cluster.service("old")
        controller = cluster.controller(nothing, queue="priority")
        cluster.driver.settle()
        cluster.service("new")
        cluster.driver.settle()
        queued = controller.queue.snapshot().queued
        assert [(s.key, s.priority) for s in queued] == [("default/new", 0), ("default/old", -100)]


class TestRule66:
    def test_nothing_runs_before_every_source_has_synced(self, cluster):
        """Not even what is queued already."""
        deployments = cluster.informer(DEPLOYMENTS)
        controller = cluster.controller(nothing, owns=[deployments]).start()
        controller.enqueue("default/web")
        seen = []
        while (stage := cluster.driver.step()) is not None:
            if getattr(stage, "is_worker", False):
                seen.append(controller.has_synced)
        assert seen == [True]

    def test_an_owned_object_wakes_its_owner(self, cluster):
        """By its controller reference, group and kind."""
        deployments = cluster.informer(DEPLOYMENTS)
        controller = cluster.controller(nothing, owns=[deployments])
        for name, kind, version, is_controller in (
            ("a", "MyService", "example.com/v9", True),
            ("b", "MyService", "example.com/v1alpha1", False),
            ("c", "MyService", "other.com/v1", True),
            ("d", "Other", "example.com/v1alpha1", True),
        ):
            reference = {
                "apiVersion": version,
                "kind": kind,
                "name": f"owner-{name}",
                "uid": "u",
                "controller": is_controller,
            }
            metadata = {"name": name, "namespace": "default", "ownerReferences": [reference]}
            obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
            cluster.create(DEPLOYMENTS, obj)
        cluster.driver.settle()
        assert [s.key for s in controller.queue.snapshot().queued] == ["default/owner-a"]

    def test_an_object_that_changes_hands_wakes_both_owners(self, cluster):
        """Old and new."""
        deployments = cluster.informer(DEPLOYMENTS)
        one, two = cluster.service("one"), cluster.service("two")
        controller = cluster.controller(nothing, owns=[deployments])
        obj = {"apiVersion": "apps/v1", "kind": "Deployment"}
        obj["metadata"] = {"name": "d", "namespace": "default", "ownerReferences": [_ref(one)]}
        made = cluster.create(DEPLOYMENTS, obj)
        while controller.step():
            pass
        made["metadata"]["ownerReferences"] = [_ref(two)]
        cluster.update(DEPLOYMENTS, made, namespace="default")
        cluster.driver.settle()
        keys = {s.key for s in controller.queue.snapshot().queued}
        assert keys == {"default/one", "default/two"}

    def test_watches_go_through_the_mapper(self, cluster):
        """Keys, pairs, Requests, or None."""
        answers = {"a": "default/x", "b": ("ns", "y"), "c": [Request("n", "z")], "d": None}
        maps = cluster.informer(CONFIGMAPS)
        controller = cluster.controller(nothing, watches={maps: lambda obj: answers[obj.name]})
        for name in answers:
            _config_map(cluster, name)
        cluster.driver.settle()
        keys = [s.key for s in controller.queue.snapshot().queued]
        assert keys == ["default/x", "ns/y", "n/z"]

    @pytest.mark.parametrize("answer", ["no-namespace", 5, [None], "a/b/c"])
    def test_a_mapper_that_answers_rubbish_is_reported(self, cluster, answer):
        """And stops nothing."""
        maps = cluster.informer(CONFIGMAPS)
        controller = cluster.controller(nothing, watches={maps: lambda obj: answer})
        _config_map(cluster, "a")
        cluster.service()
        cluster.driver.settle()
        assert [s.key for s in controller.queue.snapshot().queued] == ["default/web"]
        assert "mapper_failed" in {record.kind for record in cluster.trace}

    def test_predicates_decide_about_the_own_resource(self, cluster):
        """A generation predicate hides status changes of the object, not of its children."""
        controller = cluster.controller(nothing, predicates=[generation_changed])
        made = cluster.service()
        made["metadata"]["generation"] = 1
        made = cluster.update(SERVICES, made, namespace="default")
        while controller.step():
            pass
        cluster.patch_status(SERVICES, "web", {"status": {"x": 1}}, namespace="default")
        assert controller.step() is None
        cluster.patch(SERVICES, "web", {"metadata": {"generation": 2}}, namespace="default")
        assert [t.reason for t in controller.step().triggers] == ["updated"]

    def test_a_predicate_that_raises_lets_the_event_pass(self, cluster):
        """One run too many is harmless, one too few is not."""
        controller = cluster.controller(nothing, predicates=[not_(lambda event: 1 / 0)])
        cluster.service()
        assert controller.step().key == "default/web"
        assert "predicate_failed" in {record.kind for record in cluster.trace}

    def test_a_tombstone_triggers_its_key(self, cluster):
        """A deletion that was only inferred is a deletion."""
        from crlab.cache import DeletedFinalStateUnknown

        controller = cluster.controller(nothing)
        source = controller.sources._pairs[0][1]
        source.on_delete(DeletedFinalStateUnknown("default/web", None))
        assert [t.reason for t in controller.step().triggers] == ["deleted"]


class TestRule67:
    def test_conflicts_are_tried_five_times(self, cluster):
        """Then the error is the caller's."""
        tries = []

        def attempt():
            tries.append(1)
            raise Conflict("again", code=409, reason="Conflict")

        controller = cluster.controller(lambda r, ctx: ctx.retry_on_conflict(attempt))
        record = controller.step("default/web")
        assert (len(tries), type(record.error)) == (5, Conflict)

    def test_modify_reads_again_after_a_conflict(self, cluster):
        """Two writers, no lost update."""
        cluster.service(replicas=1)

        def reconcile(request, ctx):
            def change(obj):
                if len(ctx.calls) == 1:
                    with caused_by((), "somebody else"):
                        cluster.patch(SERVICES, "web", {"spec": {"port": 80}}, namespace="default")
                obj.spec.replicas = 5

            ctx.modify("myservices", "web", change)

        record = cluster.controller(reconcile).step()
        assert [c.error for c in record.writes] == ["409 Conflict", ""]
        assert cluster.objects["myservices.example.com"]["default/web"]["spec"] == {
            "replicas": 5,
            "port": 80,
        }

    def test_an_event_is_told_whatever_its_message_holds(self, cluster):
        """A mask, half a character: a message is for eyes, and no value is lost by it."""
        cluster.service()
        text = "password is <redacted: 12 bytes>, name is \ud800"
        cluster.controller(lambda request, ctx: ctx.event("Busy", text)).step()
        (event,) = cluster.objects["events"].values()
        assert event["message"] == "password is <redacted>, name is ?"

    def test_similar_events_are_combined_after_ten(self, cluster):
        """One event of many messages."""

        def reconcile(request, ctx):
            for number in range(15):
                ctx.event("Busy", f"message {number}")

        cluster.service()
        cluster.controller(reconcile).step()
        events = cluster.objects["events"].values()
        combined = [e for e in events if e["message"].startswith("(combined")]
        assert (len(events), len(combined), combined[0]["count"]) == (10, 1, 6)

    def test_the_same_event_again_is_counted(self, cluster):
        """A patch, not another event."""

        def reconcile(request, ctx):
            for _ in range(5):
                ctx.event("Busy", "same")

        cluster.service()
        cluster.controller(reconcile).step()
        assert [e["count"] for e in cluster.objects["events"].values()] == [5]

    def test_an_object_may_burst_25_events_then_one_per_300_s(self, cluster):
        """The spam filter."""
        controller = cluster.controller(lambda r, ctx: ctx.event("Busy", "same"))
        cluster.service()
        for _ in range(30):
            controller.step("default/web")
        assert (controller.env.recorder.sent, controller.env.recorder.filtered) == (25, 5)
        cluster.clock.advance(300)
        controller.step("default/web")
        assert controller.env.recorder.sent == 26

    def test_a_cut_connection_is_tried_twelve_times(self, cluster):
        """10 s apart, then given up; the reconcile never notices."""
        cluster.service()
        controller = cluster.controller(lambda r, ctx: ctx.event("Busy", "same"))
        cluster.failures = [TransportError("cut", phase="write") for _ in range(12)]
        assert controller.step().error is None
        for _ in range(11):
            cluster.clock.advance(10)
            cluster.driver.settle()
        recorder = controller.env.recorder
        assert (recorder.failed, recorder.backlog, cluster.failures) == (1, 0, [])


class TestBadInput:
    """A clear error at once."""

    def test_a_key_without_namespace(self, cluster):
        """For a namespaced resource; the way out is in the text."""
        controller = cluster.controller(nothing)
        for call in (controller.enqueue, controller.step):
            with pytest.raises(ConfigError, match='"default/web"'):
                call("web")

    def test_a_namespace_where_there_is_none(self, cluster):
        """For a cluster-scoped resource."""
        controller = cluster.controller(nothing, informer=cluster.informer(NODES))
        with pytest.raises(ConfigError, match="cluster-scoped"):
            controller.enqueue("default/node-1")

    @pytest.mark.parametrize(
        "reconcile", [lambda request: None, lambda: None, lambda a, b, c: None, 5, "module:name"]
    )
    def test_a_reconcile_that_cannot_be_called(self, cluster, reconcile):
        """Wrong arguments are found before anything happens."""
        with pytest.raises(ConfigError, match="reconcile"):
            cluster.controller(reconcile)

    def test_an_async_reconcile(self, cluster):
        """Is not supported, and says so."""

        async def reconcile(request, ctx):
            return None

        with pytest.raises(ConfigError, match="async"):
            cluster.controller(reconcile)

    @pytest.mark.parametrize(
        "options",
        [
            {"workers": 0},
            {"workers": True},
            {"max_retries": -1},
            {"timeout_seconds": 0},
            {"timeout_seconds": float("nan")},
            {"owns": ["deployments"]},
            {"watches": {"configmaps": nothing}},
            {"predicates": ["spec"]},
            {"queue": "lifo"},
            {"name": ""},
        ],
    )
    def test_options_that_make_no_sense(self, cluster, options):
        """Each names itself."""
        with pytest.raises(ConfigError):
            cluster.controller(nothing, **options)

    def test_a_cluster_scoped_child(self, cluster):
        """Cannot be owned by a namespaced object."""
        with pytest.raises(ConfigError, match="watches"):
            cluster.controller(nothing, owns=[cluster.informer(NODES)])

    @pytest.mark.parametrize("delay", [-1, float("nan"), "1"])
    def test_a_negative_delay(self, cluster, delay):
        """Is refused by enqueue."""
        with pytest.raises(ConfigError, match="delay_seconds"):
            cluster.controller(nothing).enqueue("default/web", delay_seconds=delay)

    def test_life_cycle(self, cluster):
        """Started twice, stepped while running, used after close."""
        controller = cluster.controller(nothing).start()
        with pytest.raises(AlreadyStarted):
            controller.start()
        with pytest.raises(LifecycleError, match="running"):
            controller.step()
        controller.close()
        controller.close()
        for call in (controller.start, controller.step):
            with pytest.raises(AlreadyStopped):
                call()


class TestInThreads:
    """The same with workers that are threads."""

    @pytest.fixture
    def cluster(self):
        clock = RealClock()
        cluster = TinyCluster(ThreadDriver(clock), clock)
        self.controllers = []
        yield cluster
        for controller in self.controllers:
            controller.close()
        for informer in cluster.informers.values():
            informer.close()
        for controller in self.controllers:
            assert controller.join(5) == []

    def start(self, cluster, reconcile, **options):
        controller = cluster.controller(reconcile, **options)
        self.controllers.append(controller)
        return controller.start()

    def test_a_key_is_never_reconciled_twice_at_a_time(self, cluster):
        """Four workers, ten keys, many adds (promise C5)."""
        running, overlaps, runs = set(), [], []

        def reconcile(request, ctx):
            if request.key in running:
                overlaps.append(request.key)
            running.add(request.key)
            runs.append(request.key)
            running.discard(request.key)

        controller = self.start(cluster, reconcile, workers=4)
        for number in range(500):
            controller.enqueue(f"default/k{number % 10}")
        assert controller.queue.shut_down_with_drain(10, strict=True)
        assert overlaps == []
        assert 10 <= len(runs) <= 500

    def test_a_hanging_reconcile_is_marked_stuck_and_frees_its_slot(self, cluster):
        """Other keys go on; its own key waits; its calls are refused (fault 70)."""
        release, ran, refused = threading.Event(), threading.Event(), []

        def reconcile(request, ctx):
            if request.name == "bad":
                release.wait(10)
                try:
                    ctx.get("myservices", "x")
                except ReconcileFailed as error:
                    refused.append(str(error))
            else:
                ran.set()

        controller = self.start(cluster, reconcile, workers=1, timeout_seconds=0.05)
        controller.enqueue("default/bad")
        controller.enqueue("default/good")
        assert ran.wait(5)
        assert list(controller.stuck) == ["default/bad"]
        release.set()
        assert cluster_wait(lambda: not controller.stuck)
        assert "time is over" in refused[0]

    def test_stop_ends_workers_between_two_keys(self, cluster):
        """What is queued stays, and start goes on with it."""
        started, release, done = threading.Event(), threading.Event(), []

        def reconcile(request, ctx):
            started.set()
            release.wait(10)
            done.append(request.key)

        controller = self.start(cluster, reconcile)
        controller.enqueue("default/a")
        controller.enqueue("default/b")
        assert started.wait(5)
        controller.stop()
        release.set()
        assert controller.join(5) == []
        assert (done, controller.queue.peek()) == (["default/a"], "default/b")
        controller.start()
        assert cluster_wait(lambda: len(done) == 2)

    def test_stop_returns_whatever_a_reconcile_does(self, cluster):
        """And join names the thread it had to leave (promise C10)."""
        release, started = threading.Event(), threading.Event()

        def reconcile(request, ctx):
            started.set()
            release.wait(20)

        controller = self.start(cluster, reconcile, name="hang")
        controller.enqueue("default/a")
        assert started.wait(5)
        controller.stop()
        assert controller.join(0.05) == ["crlab-hang-worker-0"]
        release.set()

    def test_a_pause_holds_the_workers(self, cluster):
        """And resume lets them go on."""
        seen = []
        controller = self.start(cluster, lambda r, c: seen.append(r.key))
        controller.pause()
        controller.enqueue("default/a")
        record = controller.step()
        assert (record.key, seen) == ("default/a", ["default/a"])
        controller.enqueue("default/b")
        controller.resume()
        assert cluster_wait(lambda: seen == ["default/a", "default/b"])

    def test_a_breakpoint_pauses_running_workers(self, cluster):
        """Before the key it names."""
        seen = []
        controller = cluster.controller(lambda r, c: seen.append(r.name))
        self.controllers.append(controller)
        controller.breakpoints.add("default/b")
        for name in "abc":
            controller.enqueue(f"default/{name}")
        controller.start()
        assert cluster_wait(lambda: controller.is_paused)
        assert (seen, controller.queue.peek()) == (["a"], "default/b")


def cluster_wait(predicate, seconds=5):
    """Wait on the real clock for what other threads do."""
    import time

    until = time.monotonic() + seconds
    event = threading.Event()
    while not predicate():
        if time.monotonic() > until:
            return False
        event.wait(0.005)
    return True


def _ref(owner):
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }


def _config_map(cluster, name):
    metadata = {"name": name, "namespace": "default"}
    cluster.create(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
