"""Steps, breakpoints, explanations."""

import pytest
from support.tiny_cluster import DEPLOYMENTS, TinyCluster

from crlab.controller import Breakpoints
from crlab.errors import ConfigError, Conflict, LifecycleError
from crlab.report.explain import explain


@pytest.fixture
def cluster():
    return TinyCluster()


def make(request, ctx):
    ctx.apply(ctx.own(ctx.new("deployments", request.name, spec={"replicas": 1})))


def test_seven_events_become_one_reconcile(cluster):
    """All seven are told."""
    controller = cluster.controller(lambda r, c: None)
    cluster.service(replicas=0)
    cluster.driver.settle()
    for number in range(1, 7):
        patch = {"spec": {"replicas": number}}
        cluster.patch("myservices", "web", patch, namespace="default")
    record = controller.step()
    assert [t.reason for t in record.triggers] == ["created", *["updated"] * 6]
    assert "7 events became 1 reconcile" in str(explain(cluster.trace, "default/web"))
    assert controller.step() is None


def test_what_a_write_brings_back_is_part_of_the_step(cluster):
    """And is queued for the next one."""
    controller = cluster.controller(make, owns=[cluster.informer(DEPLOYMENTS)])
    cluster.service()
    record = controller.step()
    assert [str(event) for event in record.events_back] == [
        "ADDED deployments.apps default/web rv=2"
    ]
    assert [s.key for s in record.before.queued] == ["default/web"]
    assert [s.triggers[0].source for s in record.after.queued] == ["deployments.apps"]


def test_causes_link_the_whole_loop(cluster):
    """watch event → added → run → request → watch event → added."""
    controller = cluster.controller(make, owns=[cluster.informer(DEPLOYMENTS)])
    cluster.driver.settle()
    cluster.service()
    first = controller.step()
    second = controller.step()
    trace = cluster.trace

    def back(record, kind):
        while record.kind != kind:
            record = trace.get(record.causes[0])
        return record

    event = back(trace.get(second.started_seq), "watch_event")
    request = trace.get(event.causes[0])
    assert (event.resource, request.causes) == ("deployments.apps", (first.started_seq,))


def test_a_key_can_be_named(cluster):
    """Queued or not."""
    controller = cluster.controller(lambda r, c: None)
    for name in "abc":
        cluster.service(name)
    assert controller.step("default/b").key == "default/b"
    assert controller.step("default/z").triggers[0].reason == "manual"
    assert [record.key for record in controller.stepper.run()] == ["default/a", "default/c"]


def test_run_stops_before_a_breakpoint_and_goes_on_from_it(cluster):
    """By key."""
    controller = cluster.controller(lambda r, c: None)
    for name in "abc":
        cluster.service(name)
    controller.breakpoints.add("default/b")
    assert [r.key for r in controller.stepper.run()] == ["default/a"]
    assert str(controller.stepper.stopped_at) == "default/b"
    assert [r.key for r in controller.stepper.run()] == ["default/b", "default/c"]
    assert controller.stepper.stopped_at is None


def test_breakpoints_by_attempt_and_condition(cluster):
    """A condition that raises stops as well."""
    points = Breakpoints()
    points.add(attempt=3)
    points.add("default/x", condition=lambda key, attempt: 1 / 0)
    met = [bool(points.met(*pair)) for pair in (("k", 1), ("k", 2), ("k", 3), ("default/x", 1))]
    assert met == [False, False, True, True]


@pytest.mark.parametrize(
    ("text", "key", "attempt"),
    [("default/web", "default/web", None), ("attempt>2", None, 3), ("attempt >= 2", None, 2),
     ("default/web and attempt>1", "default/web", 2), ("node-1, attempt=4", "node-1", 4)],
)  # fmt: skip
def test_breakpoints_are_read_from_text(text, key, attempt):
    """As a text box gives them."""
    found = Breakpoints().parse(text)
    assert (found.key, found.attempt) == (key, attempt)


@pytest.mark.parametrize("text", ["attempts>2", "a/b/c", "attempt<2", "import os", "a b"])
def test_a_text_that_is_no_breakpoint_changes_nothing(text):
    """And says what one looks like."""
    points = Breakpoints()
    points.add("default/web")
    with pytest.raises(ConfigError, match="attempt>2"):
        points.parse(text)
    assert str(points) == "default/web"
    assert points.parse(" ") is None
    assert len(points) == 0


def test_a_hook_can_make_the_next_write_fail(cluster):
    """Before it is sent; reads pass."""

    class OneConflict:
        def before(self, verb, resource, key, is_write):
            if is_write:
                remove()
                raise Conflict("injected", code=409, reason="Conflict")

        def after(self, call):
            pass

    controller = cluster.controller(make)
    remove = controller.add_hook(OneConflict())
    cluster.service()
    record = controller.step()
    assert (type(record.error), record.writes[0].error) == (Conflict, "409 Conflict")
    cluster.clock.advance(1)
    assert controller.step().error is None


def test_the_traceback_begins_in_the_users_code(cluster):
    """crlab's own frames are left out."""

    def reconcile(request, ctx):
        raise ValueError("here")

    controller = cluster.controller(reconcile)
    record = controller.step("default/web")
    lines = record.traceback.splitlines()
    assert "test_stepper.py" in lines[1]
    assert lines[-1] == "ValueError: here"
    assert "runner.py" not in record.traceback


def test_the_record_is_one_line_and_one_page(cluster):
    """repr and str; the sentence says it all."""
    controller = cluster.controller(make, owns=[cluster.informer(DEPLOYMENTS)])
    cluster.service()
    record = controller.step()
    assert repr(record) == "<StepRecord 1 default/web: done>"
    assert record.sentence == (
        "default/web: 1 event became 1 reconcile; 0 reads, "
        "wrote apply deployments.apps default/web (new); done."
    )
    assert "rule" not in record.sentence
    assert record.rule == "Without an error the failures are forgotten."


def test_nothing_is_known_of_a_key_that_never_was(cluster):
    """Said so, with no rows."""
    told = explain(cluster.trace, "default/none")
    assert (str(told), told.records) == ("nothing is known of default/none", ())


def test_a_trace_that_lost_its_beginning_says_so(cluster):
    """The explanation is not complete."""
    controller = cluster.controller(lambda r, c: None)
    cluster.trace.max_records = 20
    for _ in range(20):
        controller.step("default/web")
    told = explain(cluster.trace, "default/web")
    assert not told.is_complete
    assert told.sentences[0].startswith("The trace begins at record")


def test_a_write_that_changed_nothing_brings_nothing_back(cluster):
    """What others wrote meanwhile is not taken for its doing."""
    controller = cluster.controller(make, owns=[cluster.informer(DEPLOYMENTS)])
    cluster.service()
    while controller.step():
        pass

    def between(request, ctx):
        patch = {"status": {"readyReplicas": 1}}
        cluster.patch_status("deployments", "web", patch, namespace="default")
        make(request, ctx)

    between_controller = cluster.controller(
        between, name="between", owns=[cluster.informer(DEPLOYMENTS)]
    )
    record = between_controller.step("default/web")
    assert (record.writes[0].changes, record.events_back) == ((), ())


def test_a_reconcile_cannot_step_its_own_controller(cluster):
    """It would wait for its own end; it is told so, and the next step is possible."""
    told = []

    def again(request, ctx):
        with pytest.raises(LifecycleError, match="cannot step its own controller") as caught:
            controller.step("default/other")
        told.append(str(caught.value))

    controller = cluster.controller(again)
    cluster.service()
    assert controller.step("default/web").error is None
    assert controller.step("default/web").error is None
    assert len(told) == 2


def test_a_limit_that_is_no_number_is_refused(cluster):
    """Before a key is taken."""
    controller = cluster.controller(lambda r, c: None)
    with pytest.raises(ConfigError, match="timeout_seconds"):
        controller.step("default/web", timeout_seconds="x")
