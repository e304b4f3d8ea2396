"""What a lab promises: one informer per question, clear refusals, an end without remains."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import crlab
from crlab.errors import (
    AlreadyStopped,
    ConfigError,
    Forbidden,
    Invalid,
    JSONPathError,
    ManifestError,
    NotFound,
    SelectorError,
    SyncTimeout,
    UnknownColumn,
    UnknownResource,
)
from crlab.lab.factory import shared_informer
from crlab.runtime.thread import StageThread


def my_service(name: str, **spec: Any) -> dict[str, Any]:
    """Return a MyService."""
    return {
        "apiVersion": "example.com/v1alpha1",
        "kind": "MyService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"image": "a:1", **spec},
    }


def crlab_threads() -> list[str]:
    """Return the names of crlab's threads."""
    return [t.name for t in threading.enumerate() if t.name.startswith("crlab-")]


# -- the same question, the same informer ----------------------------------------------------


@pytest.mark.parametrize("name", ["myservices", "MyService", "myservice", "myservices.example.com"])
def test_every_name_of_a_resource_gives_the_same_informer(lab: crlab.Lab, name: str) -> None:
    """The lab is the shared informer factory."""
    assert lab.informer(name) is lab.informer("myservices")


def test_other_selectors_give_another_informer(lab: crlab.Lab) -> None:
    """What the server is asked for is part of the question."""
    assert lab.informer("myservices", label_selector="a=b") is not lab.informer("myservices")


def test_several_namespaces_make_one_cache(lab: crlab.Lab) -> None:
    """A team's namespaces, without the right to the whole cluster."""
    services = lab.informer("configmaps", namespace=["default", "kube-public"]).wait_for_sync()
    for place in ("default", "kube-public", "kube-system"):
        lab.client.create("configmaps", {"metadata": {"name": "a", "namespace": place}})
    lab.settle()

    assert list(services.df.index) == ["default/a", "kube-public/a"]


def test_an_index_asked_for_later_is_added(lab: crlab.Lab) -> None:
    """The informer is shared; what one user needs besides does not make another."""
    first = lab.informer("myservices").wait_for_sync()
    lab.apply(my_service("a"))
    lab.settle()

    again = lab.informer("myservices", indexers={"image": lambda obj: [obj.spec.image]})

    assert again is first
    assert [obj.key for obj in again.indexer.by_index("image", "a:1")] == ["default/a"]


def test_the_frame_follows_the_server(lab: crlab.Lab) -> None:
    """The promise on the label."""
    services = lab.informer("myservices").wait_for_sync()

    lab.apply([my_service("a", replicas=2), my_service("b")])
    lab.settle()

    assert services.df["replicas"].to_dict() == {"default/a": 2, "default/b": 1}


def test_printer_columns_are_taken_up_after_an_outage(lab: crlab.Lab) -> None:
    """A first frame made while the server was down has the basic columns, later ones have all."""
    lab.apply(my_service("a", replicas=2))
    services = lab.informer("myservices")
    lab.settle()
    outage = lab.faults.refuse()
    basic = services.df
    assert list(basic.columns) == ["namespace", "name", "created"]
    assert basic.attrs["state"] == "live"  # the watch is still open
    outage.remove()
    asked = len(lab.client.requests)
    assert services.df is basic  # not asked at every read
    assert len(lab.client.requests) == asked
    lab.advance(1)
    full = services.df
    assert full.loc["default/a", "image"] == "a:1"
    assert list(basic.columns) == ["namespace", "name", "created"]


def test_the_past_takes_up_columns_that_could_not_be_read(lab: crlab.Lab) -> None:
    """As the frame of the present does."""
    services = lab.informer("myservices").wait_for_sync()
    lab.apply(my_service("a"))
    lab.settle()
    outage = lab.faults.status(503, resource="customresourcedefinitions", times=None)
    assert "replicas" not in services.at().df.columns.str.lower()

    outage.remove()
    lab.advance(2)
    lab.settle()

    assert list(services.at().df.columns) == list(services.df.columns)


def test_the_newest_revision_is_a_moment_as_text_and_as_int(lab: crlab.Lab) -> None:
    """`lab.revision` is an int; a record of the trace is asked for by name."""
    services = lab.informer("myservices").wait_for_sync()
    lab.apply(my_service("a"))
    lab.settle()

    assert repr(services.at(lab.revision)) == repr(services.at(str(lab.revision)))
    assert list(services.at(lab.revision).objects) == ["default/a"]
    event = services.events.df.index[0]
    assert list(services.at(seq=event).objects) == ["default/a"]
    assert services.at(seq=event - 1).objects == {}
    assert len(services.diff(services.at(seq=event - 1), lab.revision)) == 1


def test_a_definition_that_may_not_be_read_is_not_asked_for_again(
    lab: crlab.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal is an answer."""
    services = lab.informer("myservices")
    lab.settle()
    refused = Forbidden("no", code=403)
    get = Mock(side_effect=refused)
    monkeypatch.setattr(lab.client, "get", get)
    assert list(services.df.columns) == ["namespace", "name", "created"]
    lab.advance(5)
    assert list(services.df.columns) == ["namespace", "name", "created"]
    assert get.call_count == 1


def test_two_runs_with_one_seed_are_equal() -> None:
    """Notebook outputs compare byte for byte."""

    def run() -> str:
        with crlab.sandbox(seed=7, driver="manual") as lab:
            informer = lab.informer("namespaces").wait_for_sync()
            return informer.df.to_string() + str([o["metadata"]["uid"] for o in informer])

    assert run() == run()


def test_threads_and_manual_steps_give_the_same_cache(threaded: crlab.Lab, lab: crlab.Lab) -> None:
    """The driver decides who performs the stages, nothing else."""
    frames = []
    for each in (threaded, lab):
        services = each.informer("myservices").wait_for_sync()
        each.apply([my_service("a", replicas=2), my_service("b")])
        each.delete("myservices", "b")
        each.settle()
        frames.append(services.df.drop(columns="created").to_dict())

    assert frames[0] == frames[1]


# -- refusals --------------------------------------------------------------------------------


def test_an_unknown_resource_names_the_nearest(lab: crlab.Lab) -> None:
    """The way out of a typo is in the error."""
    with pytest.raises(UnknownResource, match="myservices") as caught:
        lab.informer("mysevices")

    assert "myservices.example.com" in " ".join(caught.value.nearest)


def test_a_refused_object_names_each_field(lab: crlab.Lab) -> None:
    """The server's causes, field by field."""
    with pytest.raises(Invalid) as caught:
        lab.apply(my_service("a", replicas=-1, port=0))

    assert {c["field"] for c in caught.value.causes} == {"spec.port", "spec.replicas"}


def test_malformed_yaml_sends_nothing(lab: crlab.Lab) -> None:
    """Everything is read before anything is sent."""
    before = len(lab.client.requests)

    with pytest.raises(ManifestError, match="document 1 line 3"):
        lab.apply("apiVersion: v1\nkind: [unclosed\n")

    assert len(lab.client.requests) == before


def test_a_wait_that_runs_out_says_what_was_awaited(lab: crlab.Lab) -> None:
    """Not "timed out", but what had not happened."""
    with pytest.raises(SyncTimeout, match="the moon is full"):
        lab.wait_until(lambda: False, timeout_seconds=1, what="the moon is full")


def test_a_wait_says_its_condition_and_what_is_going_on(lab: crlab.Lab) -> None:
    """The line of a lambda, the name of a function; then informers, controllers, the way out."""
    services = lab.informer("myservices").wait_for_sync()
    lab.controller(services, name="made")(lambda request, ctx: None)
    lab.apply(my_service("a"))

    def is_ready() -> bool:
        return False

    with pytest.raises(SyncTimeout, match=r"lambda: len\(services\) == 9") as caught:
        lab.wait_until(lambda: len(services) == 9)
    assert "nothing moves any more" in str(caught.value)
    assert "lab.advance(seconds)" in str(caught.value)
    assert caught.value.now == (
        "myservices.example.com is live, synced, 1 object, rv 9",
        "controller made is not started, 1 key queued",
    )
    with pytest.raises(SyncTimeout, match=r"is_ready\(\)"):
        lab.wait_until(is_ready)


def test_a_handler_that_waits_for_rest_is_told_that_it_is_at_work_itself(
    threaded: crlab.Lab,
) -> None:
    """Not that it has nothing to hear."""
    told: list[str] = []
    done = threading.Event()

    def settle(obj: object, is_initial: bool) -> None:
        try:
            threaded.settle(0.2)
        except SyncTimeout as error:
            told.append(str(error))
        done.set()

    threaded.informer("configmaps").wait_for_sync().add_event_handler(on_add=settle, name="slow")
    threaded.client.create("configmaps", {"metadata": {"name": "a"}})
    assert done.wait(10)
    assert "not settled after 0.2 s" in told[0]
    assert "handler slow has not returned yet" in told[0]


@pytest.mark.parametrize(("predicate", "limit"), [(True, 1), (None, 1), (bool, "1"), (bool, -1)])
def test_what_cannot_be_waited_for_is_refused(lab: crlab.Lab, predicate: Any, limit: Any) -> None:
    """At once, not as a TypeError from the middle of the wait."""
    with pytest.raises(ConfigError, match=r"wait_until|timeout_seconds"):
        lab.wait_until(predicate, limit)


def test_a_wait_holds_nobody_up_who_writes_the_trace(threaded: crlab.Lab) -> None:
    """A work queue writes it under its own lock, which what is awaited may want as well."""
    lock, is_looking, is_locked = threading.Lock(), threading.Event(), threading.Event()
    looks: list[bool] = []

    def write() -> None:
        with lock:
            is_locked.set()
            is_looking.wait(5)
            threaded.trace.append("lab", "note")

    def look() -> bool:
        is_looking.set()
        looks.append(lock.acquire(timeout=5))
        return looks[-1]

    writer = StageThread("writer", write)
    writer.start()
    is_locked.wait(5)

    threaded.wait_until(look, timeout_seconds=1)

    assert looks == [True]
    assert writer.join(5)


def test_a_port_in_use_is_named_with_the_way_out(threaded: crlab.Lab) -> None:
    """A second server on one port is the first thing people meet."""
    port = int(threaded.url.split(":")[2].split("/")[0])

    with pytest.raises(ConfigError, match=f"127.0.0.1:{port}.*choose another port"):
        crlab.sandbox(port=port)

    assert len(crlab.open_labs()) == 1


@pytest.mark.parametrize(
    "arguments", [{"driver": "magic"}, {"controllers": ["scheduler"]}, {"port": 70000}]
)
def test_an_argument_that_cannot_work_is_refused_at_once(arguments: dict[str, Any]) -> None:
    """Nothing is half open afterwards."""
    with pytest.raises(ConfigError):
        crlab.sandbox(**arguments)

    assert crlab.open_labs() == []


def test_stepping_a_threaded_lab_says_how_to_get_a_manual_one(threaded: crlab.Lab) -> None:
    """The way out is one argument."""
    with pytest.raises(ConfigError, match='driver="manual"'):
        threaded.step()


def test_a_missing_kubeconfig_says_what_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first failure of a newcomer with a cluster."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(ConfigError, match="nowhere"):
        crlab.connect()


def test_faults_of_a_real_cluster_are_refused(threaded: crlab.Lab) -> None:
    """A real cluster is not ours to break."""
    with (
        crlab.connect(url=threaded.url) as cluster,
        pytest.raises(ConfigError, match="not a sandbox"),
    ):
        cluster.faults.compact()


def test_a_connected_lab_is_read_only_until_told(threaded: crlab.Lab) -> None:
    """Looking around must not be able to break anything."""
    with (
        crlab.connect(url=threaded.url) as cluster,
        pytest.raises(crlab.CrlabError, match="allow_writes"),
    ):
        cluster.apply(my_service("a"))


# -- the end ---------------------------------------------------------------------------------


def test_close_leaves_no_thread_and_may_be_repeated(threaded: crlab.Lab) -> None:
    """Guarantees 1 and 2."""
    threaded.informer("myservices").wait_for_sync().add_event_handler(on_add=lambda o, i: None)

    assert threaded.close() == []
    assert threaded.close() == []
    assert crlab_threads() == []


def test_a_call_after_close_says_how_to_go_on(lab: crlab.Lab) -> None:
    """A closed lab is met often in notebooks: cells are run out of order."""
    lab.close()

    with pytest.raises(AlreadyStopped, match=r"open another one with crlab\.sandbox"):
        lab.informer("myservices")


@pytest.mark.parametrize(
    "call",
    [
        lambda lab, informer, controller: lab.apply(my_service("b")),
        lambda lab, informer, controller: lab.advance(1),
        lambda lab, informer, controller: lab.controller("myservices"),
        lambda lab, informer, controller: lab.builtin_controllers,
        lambda lab, informer, controller: lab.client.list("myservices"),
        lambda lab, informer, controller: lab.client.resolve("myservices"),
        lambda lab, informer, controller: informer.audit(),
        lambda lab, informer, controller: informer.reveal("default/a", ".spec.image"),
        lambda lab, informer, controller: informer.add_event_handler(on_add=print),
        lambda lab, informer, controller: controller.step(),
        lambda lab, informer, controller: controller.run(),
        lambda lab, informer, controller: controller.back(),
        lambda lab, informer, controller: controller.start(),
    ],
)
def test_every_door_says_that_the_lab_is_closed(lab: crlab.Lab, call: Any) -> None:
    """One error, which names the lab and says how to open another one."""
    services = lab.informer("myservices").wait_for_sync()
    controller = lab.controller(services)(lambda request, ctx: None)
    lab.close()

    with pytest.raises(AlreadyStopped, match=r"Lab\(sandbox seed=0.*closed.*crlab\.sandbox\(\)"):
        call(lab, services, controller)


def test_the_cache_stays_readable_after_close(lab: crlab.Lab) -> None:
    """Looking at the end state is why one kept it."""
    services = lab.informer("myservices").wait_for_sync()
    lab.apply(my_service("a"))
    lab.settle()

    lab.close()

    assert list(services.df.index) == ["default/a"]


def test_close_from_a_handler_does_not_hang(threaded: crlab.Lab) -> None:
    """Fault 67."""
    done = threading.Event()
    services = threaded.informer("myservices").wait_for_sync()

    def close(obj: object, is_initial: bool) -> None:
        threaded.close()
        done.set()

    services.add_event_handler(on_add=close)
    with contextlib.suppress(crlab.CrlabError):  # the event may come, and close, before the answer
        threaded.client.create("myservices", my_service("a"))

    assert done.wait(5)


def test_twenty_labs_leave_nothing() -> None:
    """Fault 78, in small: threads and descriptors."""
    descriptors = Path("/proc/self/fd")
    with crlab.sandbox(controllers=False):
        pass
    before = len(list(descriptors.iterdir())) if descriptors.exists() else 0

    for _ in range(20):
        with crlab.sandbox(controllers=False) as lab:
            lab.informer("configmaps").wait_for_sync()

    assert crlab_threads() == []
    if descriptors.exists():
        assert len(list(descriptors.iterdir())) <= before + 2


# -- time ------------------------------------------------------------------------------------


def test_one_step_is_one_transition(lab: crlab.Lab) -> None:
    """A lesson can stop between any two."""
    lab.informer("myservices").wait_for_sync()
    lab.settle()
    lab.apply(my_service("a"))

    kinds = []
    while (record := lab.step()) is not None:
        kinds.append(f"{record.stage}.{record.kind}")

    assert kinds[-1] == "indexer.stored"
    assert any(kind.startswith(("reflector", "queue")) for kind in kinds[:-1])


def test_a_step_is_told_in_one_sentence_with_its_rule(lab: crlab.Lab) -> None:
    """A learner reads what happened and why, not a record."""
    lab.informer("myservices").wait_for_sync()
    lab.apply(my_service("a"))

    first, second = lab.step(), lab.step()

    assert str(first) == (
        "The watch brought ADDED myservices.example.com default/a at rv 9 — the echo of a write "
        "made here.\n  Events of one watch come in the order of their resourceVersion, each once."
    )
    assert repr(second) == (
        "<Transition indexer.stored: The indexer added myservices.example.com default/a.>"
    )
    assert [record.kind for record in first.records] == ["watch_event", "queued"]


def test_only_the_named_stages_move(lab: crlab.Lab) -> None:
    """What the reflector handed on can be looked at before the cache changes."""
    services = lab.informer("myservices").wait_for_sync()
    lab.apply(my_service("a"))

    lab.settle(only="reflector")

    assert services.deltas[["type", "key"]].to_numpy().tolist() == [["Added", "default/a"]]
    assert len(services) == 0
    assert lab.step(only="reflector") is None
    assert lab.settle() > 0
    assert len(services) == 1


def test_the_handlers_tell_what_they_were_told_and_how_they_failed(lab: crlab.Lab) -> None:
    """A handler that raises goes on, and does not hide it."""
    services = lab.informer("myservices").wait_for_sync()
    services.add_event_handler(on_add=lambda obj, is_initial: obj.spec.nothing, name="broken")
    lab.apply([my_service("a"), my_service("b")])
    lab.settle(only="reflector")
    lab.settle(only="processor")
    waiting = services.handlers.loc["broken", "backlog"]
    lab.settle()

    told = services.handlers.loc["broken"]
    assert (waiting, told["backlog"], told["delivered"], told["error_count"]) == (2, 0, 2, 2)
    assert "nothing" in told["last_error"]
    assert told["has_synced"]


def test_choosing_stages_of_a_threaded_lab_is_refused(threaded: crlab.Lab) -> None:
    """Threads cannot be held back by name."""
    with pytest.raises(ConfigError, match='driver="manual"'):
        threaded.settle(only="reflector")


def test_the_audit_log_counts_what_a_watch_was_sent(lab: crlab.Lab) -> None:
    """A watch is cheap, not free."""
    services = lab.informer("myservices", list_mode="list").wait_for_sync()

    def watched() -> int:
        log = lab.audit_log
        return int(log.loc[log["verb"] == "watch", "response_bytes"].sum())

    lab.settle()
    before = watched()
    lab.apply(my_service("a"))
    lab.settle()

    assert watched() - before > len("default/a")
    assert str(lab.revision) == services.last_sync_resource_version


def test_a_fork_goes_its_own_way(lab: crlab.Lab) -> None:
    """Two futures of one moment."""
    lab.apply(my_service("a"))

    with lab.fork() as other:
        other.delete("myservices", "a")

        assert other.client.list("myservices")["items"] == []
    assert len(lab.client.list("myservices")["items"]) == 1


def test_a_restored_snapshot_never_moves_the_revision_back(lab: crlab.Lab) -> None:
    """Informers resume by revision: it must only grow."""
    lab.apply(my_service("a"))
    services = lab.informer("myservices").wait_for_sync()
    snapshot = lab.snapshot()
    lab.delete("myservices", "a")
    lab.settle()
    before = int(services.last_sync_resource_version)

    lab.restore(snapshot)
    lab.settle()
    lab.advance(60)  # the reflector backs off before it lists again
    lab.settle()

    assert int(services.last_sync_resource_version) > before
    assert list(services.df.index) == ["default/a"]


def test_a_recording_replays_to_the_same_frame(lab: crlab.Lab, tmp_path: Path) -> None:
    """Columns included, though there is no server to ask for them."""
    services = lab.informer("myservices").wait_for_sync()
    with lab.record(tmp_path / "session.jsonl.gz"):
        lab.apply([my_service("a"), my_service("b", replicas=4)])
        lab.delete("myservices", "a")
        lab.settle()

    with crlab.replay(tmp_path / "session.jsonl.gz") as again:
        informer = again.informer("myservices")
        again.settle()

        assert informer.df.equals(services.df)
        with pytest.raises(crlab.CrlabError, match="no server behind it"):
            again.client.transport.request("GET", "/")
        with pytest.raises(crlab.CrlabError, match=r"delete .*/b: .*no server behind it"):
            again.delete("myservices", "b")


def test_the_official_client_talks_to_the_sandbox(threaded: crlab.Lab) -> None:
    """Code that people have already goes on working."""
    from kubernetes.client import CoreV1Api

    with threaded.api_client() as api:
        names = [item.metadata.name for item in CoreV1Api(api).list_namespace().items]

    assert "default" in names


def test_an_official_configuration_opens_a_lab(threaded: crlab.Lab) -> None:
    """Whoever has set one up need not set up another."""
    configuration = threaded.api_client().configuration

    with crlab.connect(configuration=configuration) as lab:
        assert "default" in lab.informer("namespaces").wait_for_sync()


# -- what the package itself offers -----------------------------------------------------------


def test_other_columns_give_another_frame_over_the_same_cache(lab: crlab.Lab) -> None:
    """A request for columns is never passed over because the informer was known."""
    plain = lab.informer("myservices").wait_for_sync()
    lab.apply(my_service("a"))
    lab.settle()

    dressed = lab.informer("myservices", columns={"img": ".spec.image"})

    assert list(dressed.df["img"]) == ["a:1"]
    assert dressed.shared is plain.shared
    assert "img" not in plain.df
    assert dressed is lab.informer("myservices", columns={"img": ".spec.image"})
    assert lab.informers == [plain]


def test_who_asks_at_the_same_time_shares_the_cache_and_gets_what_was_asked(
    lab: crlab.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of threads that all find no informer one makes it; the others lose no column, no index."""
    asked: list[dict[str, Any]] = [
        {},
        {"columns": {"img": ".spec.image"}},
        {"columns": {"n": ".spec.replicas"}},
        {"indexers": {"image": lambda obj: [obj["spec"]["image"]]}},
    ] * 2
    all_found_none = threading.Barrier(len(asked))

    def make_together(*arguments: Any, **options: Any) -> Any:
        all_found_none.wait(10)
        return shared_informer(*arguments, **options)

    monkeypatch.setattr("crlab.lab.lab.shared_informer", make_together)
    with ThreadPoolExecutor(len(asked)) as pool:
        informers = list(pool.map(lambda options: lab.informer("myservices", **options), asked))

    assert informers[:4] == informers[4:]
    assert len({informer.shared for informer in informers}) == 1
    assert "img" in informers[1].df
    assert "n" in informers[2].df
    assert "image" in informers[0].indexer.indexers()
    assert len(lab.informers) == 1


def test_a_lab_without_a_server_of_its_own_says_what_it_lacks() -> None:
    """The name is given as it was written, also of what is no verb."""
    with crlab.sandbox(driver="manual") as sandbox:
        jane = sandbox.as_user("jane")

        assert not hasattr(jane, "audit_log")
        with pytest.raises(ConfigError, match=r"cannot use lab\.audit_log: .* is not a sandbox"):
            jane.audit_log  # noqa: B018 - reading it is the test


def test_a_sandbox_is_never_told_that_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A property that fails with an AttributeError is missing, not the server."""
    with crlab.sandbox(driver="manual") as sandbox:
        monkeypatch.delattr(sandbox, "_faults")

        with pytest.raises(AttributeError) as caught:
            sandbox.faults  # noqa: B018 - reading it is the test

        assert not isinstance(caught.value, ConfigError)


def test_several_caches_are_waited_for_by_client_gos_name(lab: crlab.Lab) -> None:
    """`cache.WaitForCacheSync` is what a Go programmer looks for."""
    first, second = lab.informer("configmaps"), lab.informer("myservices")

    crlab.wait_for_cache_sync(first, second)

    assert first.has_synced
    assert second.has_synced
    with pytest.raises(ConfigError, match="name the informers"):
        crlab.wait_for_cache_sync()


def test_clusters_stand_side_by_side(lab: crlab.Lab) -> None:
    """One frame, one more column, from a lab each."""
    frames = {}
    for name in ("east", "west"):
        with crlab.sandbox(seed=0, driver="manual", controllers=False) as each:
            each.client.create("configmaps", {"metadata": {"name": name, "namespace": "default"}})
            frames[name] = each.informer("configmaps").wait_for_sync().df

    joined = crlab.concat_clusters(frames)

    assert list(joined["cluster"]) == ["east", "west"]
    assert list(joined.index) == ["default/east", "default/west"]


def test_errors_need_no_import_of_their_own() -> None:
    """``except crlab.errors.NotFound`` works in the first cell."""
    import subprocess
    import sys

    code = "import crlab; print(crlab.errors.NotFound.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "NotFound\n"


# -- bad input is refused at once --------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"queue": "fifo"}, ConfigError, "'real', 'real-per-item', 'delta'"),
        ({"list_mode": "watch"}, ConfigError, "'auto', 'watchlist', 'list'"),
        ({"label_selector": "a in ("}, SelectorError, "found ''"),
        ({"field_selector": "name"}, SelectorError, "can't understand 'name'"),
        ({"resync_seconds": -1}, ConfigError, "0 \\(never\\) or more"),
        ({"resync_seconds": "5"}, ConfigError, "a number of seconds"),
        ({"namespace": ["a", ""]}, ConfigError, "namespace is a name"),
        ({"poll_seconds": 0}, ConfigError, "poll_seconds is a positive number"),
        ({"audit_seconds": "60"}, ConfigError, "audit_seconds is a positive number"),
        ({"pagesize": 3}, ConfigError, "nearest: page_size"),
        ({"clock": None}, ConfigError, "no option 'clock'"),
        ({"columns": {"a": "..["}}, JSONPathError, "position 3"),
        ({"columns": ["imag"]}, UnknownColumn, "nearest: image"),
    ],
)
def test_an_informer_that_cannot_work_is_not_made(
    lab: crlab.Lab, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """A typo must not become a cache that never syncs, or a frame that breaks later."""
    with pytest.raises(error, match=text):
        lab.informer("myservices", **options)

    assert lab.informers == []
    assert "image" in lab.informer("myservices").wait_for_sync().df


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda lab: lab.informer(5), ConfigError, "resource's name"),
        (lambda lab: lab.controller(5)(lambda request, ctx: None), ConfigError, "resource's name"),
        (lambda lab: lab.faults.cut_watch("myservice"), None, ""),
        (lambda lab: lab.faults.cut_watch("myservicez"), UnknownResource, "nearest: myservices"),
        (lambda lab: lab.advance(-1), ConfigError, "only moves on"),
        (lambda lab: lab.restore(3), ConfigError, "lab.snapshot"),
        (lambda lab: lab.live(3), ConfigError, "without arguments"),
        (lambda lab: lab.informer("myservices")["default/a"], KeyError, "no myservices"),
        (lambda lab: lab.informer("secrets").reveal("default/a", "b"), NotFound, 'secrets "a"'),
    ],
)
def test_what_cannot_be_done_says_why(
    lab: crlab.Lab, act: Any, error: type[Exception] | None, text: str
) -> None:
    """At once, by name, with the way out."""
    if error is None:
        act(lab)
        return
    with pytest.raises(error, match=text):
        act(lab)


def test_two_informers_of_one_resource_keep_their_events_apart(lab: crlab.Lab) -> None:
    """One event that two caches saw is one event in the frame of each."""
    real = lab.informer("myservices").wait_for_sync()
    delta = lab.informer("myservices", queue="delta").wait_for_sync()
    lab.apply(my_service("a"))
    lab.settle()

    assert [len(real.events.df), len(delta.events.df)] == [1, 1]
    assert [real.rates.total, delta.rates.total] == [1, 1]
    assert delta.shared.source == "myservices#2"
    assert lab.informer("myservices", label_selector="a=b").shared.name == "myservices"


def test_a_view_is_one_word_in_a_text_output(lab: crlab.Lab) -> None:
    """The repr reads as what it is, on every run."""
    services = lab.informer("myservices")
    views = [services.watch(), services.events.watch(), services.rates.watch(), lab.pipeline()]

    assert [repr(view) for view in views] == [
        "TableView(myservices.example.com)",
        "EventsView(myservices.example.com)",
        "EventRateView(myservices.example.com)",
        "PipelineView(sandbox seed=0)",
    ]


def test_a_cached_object_can_be_taken_as_a_draft(lab: crlab.Lab) -> None:
    """Completion, documentation and spelling from the CRD, in any cell."""
    services = lab.informer("myservices").wait_for_sync()
    lab.apply(my_service("a"))
    lab.settle()

    draft = services.draft("default/a")
    draft.spec.replicas = 3
    lab.client.update("myservices", draft)
    lab.settle()

    assert "replicas" in dir(draft.spec)
    assert "How many pods should run" in (draft.spec.__doc__ or "")
    with pytest.raises(AttributeError, match="nearest: replicas"):
        draft.spec.replica = 1
    assert services["default/a"].spec.replicas == 3


def test_a_field_is_documented_by_its_schema(lab: crlab.Lab) -> None:
    """What `kubectl explain` says, without kubectl."""
    assert lab.docs("myservices", ".spec.replicas").startswith("How many pods should run.\n")
    assert lab.docs("configmaps") == "no definition of configmaps says more"
    with pytest.raises(ConfigError, match="nearest: replicas"):
        lab.docs("myservices", "spec.replica")
