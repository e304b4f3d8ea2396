"""A dry run looks: nothing is written, and the key waits as if nobody had looked."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import crlab
from crlab.controller import Result
from crlab.errors import Forbidden, ReadOnlyError, TerminalError
from crlab.lab.lab_controller import LabController

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


def controller_of(
    lab: crlab.Lab, body: Callable[[Any, Any], Any], *names: str, **options: Any
) -> LabController:
    """Return a controller of ConfigMaps with keys of these names waiting."""
    work = lab.controller("configmaps", name="work", **options)(body)
    for name in names:
        lab.client.create("configmaps", config_map(name))
    lab.settle()
    return work


def waiting(work: LabController) -> Any:
    """Everything that can be seen of a queue and of what is remembered of its keys."""
    seen = work.queue.snapshot()
    failures = {key: work.queue.num_requeues(key) for key in ("default/a", "default/b")}
    return seen.queued, seen.processing, seen.delayed, failures, work.given_up


# -- the key ------------------------------------------------------------------------------


def test_after_a_look_the_key_is_handled_for_real(lab: crlab.Lab) -> None:
    """By the next step, or by workers."""
    done: list[Any] = []
    work = controller_of(lab, lambda r, ctx: done.append((r.name, ctx.is_dry_run)), "a", "b")

    work.step(dry_run=True)
    assert work.step().key == "default/a"
    work.step(dry_run=True)
    work.start()
    lab.settle()

    assert done == [("a", True), ("a", False), ("b", True), ("b", False)]


def test_a_cluster_is_looked_at_then_worked_on() -> None:
    """`step()` first, `start()` then, over HTTP, as the docs say it."""
    with crlab.sandbox(seed=0, controllers=False) as served:
        served.client.create("configmaps", config_map("a"))
        with crlab.connect(url=served.url, allow_writes=["default"]) as cluster:

            @cluster.controller(cluster.informer("configmaps", namespace="default"))
            def work(request: Any, ctx: Any) -> None:
                if ctx.object and "x" not in ctx.object.get("data", {}):
                    ctx.patch("configmaps", request.name, {"data": {"x": "1"}})

            looks = [work.step("default/a"), work.step("default/a")]
            assert [(look.attempt, len(look.writes)) for look in looks] == [(1, 1), (1, 1)]
            assert [str(trigger.reason) for trigger in looks[1].triggers] == ["created"]
            work.start()
            cluster.wait_until(lambda: served.get("configmaps", "a").get("data") == {"x": "1"})


def no_leave(request: Any, ctx: Any) -> Any:
    raise TerminalError("no")


def failing(request: Any, ctx: Any) -> Any:
    raise ValueError("no")


OUTCOMES = {
    "done": lambda r, ctx: None,
    "later": lambda r, ctx: Result(requeue_after_seconds=7),
    "again": lambda r, ctx: Result(requeue=True),
    "failed": failing,
    "terminal": no_leave,
    "not a result": lambda r, ctx: 5,
    "writing": lambda r, ctx: ctx.patch("configmaps", r.name, {"data": {"y": "1"}}),
}


@given(
    queue=st.sampled_from(["fifo", "priority"]),
    before=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(sorted(OUTCOMES)))),
    looks=st.lists(
        st.tuples(st.sampled_from(["a", "b", "z", None]), st.sampled_from(sorted(OUTCOMES))),
        min_size=1,
        max_size=5,
    ),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_look_changes_what_waits(queue: str, before: list[Any], looks: list[Any]) -> None:
    """Whatever was queued, delayed or failing, and whatever the dry run came to."""
    with crlab.sandbox(seed=0, driver="manual", controllers=()) as lab:
        act: list[Any] = []
        work = controller_of(
            lab, lambda r, ctx: act[0](r, ctx), "a", "b", queue=queue, max_retries=2
        )
        for name, outcome in before[:6]:
            act[:] = [OUTCOMES[outcome]]
            if outcome != "writing":
                work.step(f"default/{name}")
        seen, revision = waiting(work), lab.revision
        for name, outcome in looks:
            act[:] = [OUTCOMES[outcome]]
            record = work.step(name and f"default/{name}", dry_run=True)
            if record is not None:
                assert record.is_dry_run
                assert record.outcome.endswith("dry run: the queue is as it was")
                assert (record.before.queued, record.after.queued) == (seen[0], seen[0])
                assert work.history[-1] is record
        assert (waiting(work), lab.revision) == (seen, revision)


def test_what_is_added_during_a_look_waits_with_it(lab: crlab.Lab) -> None:
    """In the key's place, with the reasons it had."""
    work = controller_of(lab, lambda r, ctx: work.controller.enqueue(r), "a", "b")

    work.step(dry_run=True)

    first, second = work.queue.snapshot().queued
    assert (first.key, [t.reason for t in first.triggers]) == ("default/a", ["created", "manual"])
    assert second.key == "default/b"


def test_looks_go_round_and_a_run_of_them_ends(lab: crlab.Lab) -> None:
    """One press a key; after the last the first again; `run` looks at each once."""
    work = controller_of(lab, lambda r, ctx: None, "a", "b", "c")

    keys = [work.step(dry_run=True).request.name for _ in range(4)]
    assert keys == ["a", "b", "c", "a"]
    work.controller.stepper.is_dry_run = True
    assert [record.request.name for record in work.run()] == ["b", "c", "a"]
    stepper = work.stepper()
    stepper.run()
    stepper.step(2)
    assert len(work.history) == 4 + 3 + 3 + 2
    assert [key.key for key in work.queue.snapshot().queued] == [f"default/{n}" for n in "abc"]
    assert "Dry run" in stepper.to_html()
    assert not work.can_go_back


def test_a_run_of_looks_stops_before_a_breakpoint(lab: crlab.Lab) -> None:
    """The one of the key that comes next, not of the one in front."""
    work = controller_of(lab, lambda r, ctx: None, "a", "b", "c")
    work.controller.stepper.is_dry_run = True
    work.breakpoints.add("default/c")

    assert [record.request.name for record in work.run()] == ["a", "b"]
    assert [record.request.name for record in work.run()] == ["c", "a", "b"]


def test_the_run_button_says_which_breakpoint_stopped_it(lab: crlab.Lab) -> None:
    """As a run from a cell does."""
    work = controller_of(lab, lambda r, ctx: None, "a", "b")
    work.breakpoints.add("default/b")

    work.stepper().run()

    assert str(work.controller.stepper.stopped_at) == "default/b"


def test_workers_stop_before_a_breakpoint_whatever_was_looked_at(lab: crlab.Lab) -> None:
    """The look goes its round, the workers go by the queue."""
    work = controller_of(lab, lambda r, ctx: None, "a", "b", "c")
    work.controller.stepper.is_dry_run = True
    work.step("default/a")
    work.step()
    work.breakpoints.add("default/b")

    work.start()
    lab.settle()

    assert [r.request.name for r in work.history if not r.is_dry_run] == ["a"]
    assert work.controller.is_paused
    assert work.queue.peek() == "default/b"


def test_a_look_that_cannot_begin_holds_no_key(lab: crlab.Lab) -> None:
    """Whatever breaks before the reconcile is called."""
    work = controller_of(lab, lambda r, ctx: None, "a")
    with (
        mock.patch.object(work.controller.env.reader, "cached", side_effect=RuntimeError("no")),
        pytest.raises(RuntimeError),
    ):
        work.step(dry_run=True)
    assert work.queue.peek() == "default/a"
    assert work.step().key == "default/a"


def test_a_lab_settles_with_keys_that_were_looked_at(lab: crlab.Lab) -> None:
    """They wait for `start`, and nobody waits for them."""
    work = controller_of(lab, lambda r, ctx: None, "a")
    for _ in range(3):
        assert work.step(dry_run=True)
        assert lab.settle() == 0
    assert lab.step() is None
    assert work.queue.peek() == "default/a"


def test_a_look_is_told_as_one(lab: crlab.Lab) -> None:
    """In its text, in the story of the key and in the counts of runs that failed."""
    work = controller_of(lab, failing, "a")
    record = work.step(dry_run=True)

    assert "would be retried (attempt 2); dry run: the queue is as it was" in record.sentence
    assert "A dry run is no attempt" in record.rule
    told = str(work.explain("default/a"))
    assert "1 event would become (a dry run) 1 reconcile" in told
    assert "1 event waits for the next reconcile" in told
    assert (work.controller.runner.runs, work.controller.runner.errors) == (1, 0)


# -- what it writes -----------------------------------------------------------------------


def every_write(lab: crlab.Lab, ctx: Any) -> None:
    """Whatever a reconcile has at hand to write with."""
    ctx.create(config_map("new-0"))
    ctx.apply(config_map("new-1"))
    ctx.patch("configmaps", "a", {"data": {"x": "1"}})
    ctx.add_finalizer("example.org/hold")
    ctx.delete("configmaps", "b")
    ctx.client.create("configmaps", config_map("new-2"))
    ctx.client.delete("configmaps", "b")
    ctx.event("Made", "something was made")
    lab.client.create("configmaps", config_map("new-3"))
    lab.client.update("configmaps", config_map("a", x="2"))
    lab.client.patch("configmaps", "a", {"data": {"x": "3"}})
    lab.client.delete("configmaps", "b")
    lab.client.delete_collection("configmaps", namespace="default")
    lab.apply([config_map("new-4"), config_map("a", x="4"), CRD])
    lab.apply(config_map("a", x="5"))
    lab.delete("configmaps", "b")
    asyncio.run(asyncio.to_thread(lab.client.create, "configmaps", config_map("new-5")))
    copied = contextvars.copy_context()
    thread = threading.Thread(target=lambda: copied.run(lab.delete, "configmaps", "b"))
    thread.start()
    thread.join()


@pytest.mark.parametrize("allowed", [True, ()])
def test_nothing_in_a_dry_run_writes_over_http(allowed: Any) -> None:
    """Not the context, not the lab's own client, not what runs in a copy of the context."""
    with crlab.sandbox(seed=0, controllers=False) as served:
        for name in "ab":
            served.client.create("configmaps", config_map(name))
        with crlab.connect(url=served.url, allow_writes=allowed) as cluster:
            work = controller_of(cluster, lambda r, ctx: every_write(cluster, ctx))
            revision = served.revision
            record = work.step("default/a")
            cluster.wait_until(lambda: work.controller.env.recorder.sent)
            if not allowed:
                with pytest.raises(ReadOnlyError):
                    cluster.client.create("configmaps", config_map("c"))

        assert record.error is None, record.traceback
        assert [call for call in record.writes if not call.is_dry_run] == []
        assert len(record.writes) == 19
        assert served.revision == revision


def test_nothing_in_a_dry_run_writes_in_process(lab: crlab.Lab) -> None:
    """The same without a socket."""
    work = controller_of(lab, lambda r, ctx: every_write(lab, ctx), "a", "b")
    revision = lab.revision

    record = work.step("default/a", dry_run=True)

    lab.settle()
    assert (record.error, lab.revision) == (None, revision), record.traceback
    assert work.controller.env.recorder.sent == 1


def test_what_cannot_be_dry_is_refused_with_its_reason(lab: crlab.Lab) -> None:
    """A raw request, a proxied one, a token."""
    refused: list[str] = []
    body = b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "raw"}}'
    place = "/api/v1/namespaces/default/configmaps"
    send = lab.client.transport.request

    def tries(request: Any, ctx: Any) -> None:
        for write in (
            lambda: send("POST", place, body=body),
            lambda: send("DELETE", f"{place}/a", query=[("dryRun", "All")], body=b"{}"),
            lambda: send("PUT", "/healthz", query=[("dryRun", "All")], body=b"{}"),
            lambda: ctx.client.patch("pods", "p", {}, subresource="proxy"),
        ):
            with pytest.raises(ReadOnlyError, match="a dry run writes nothing") as error:
                write()
            refused.append(str(error.value))
        assert send("POST", place, query=[("dryRun", "All")], body=body).status == 201
        assert send("DELETE", f"{place}/a", body=b'{"dryRun": ["All"]}').status == 200
        assert send("GET", place).status == 200

    record = controller_of(lab, tries, "a").step(dry_run=True)

    assert record.error is None, record.traceback
    assert "does not ask for dryRun=All" in refused[0]
    assert "no server makes a dry run of proxy" in refused[3]
    assert [each["metadata"]["name"] for each in lab.client.list("configmaps")["items"]] == ["a"]


def test_the_official_client_writes_nothing_in_a_dry_run() -> None:
    """It says "All" itself, or it is refused."""
    from kubernetes.client import CoreV1Api

    with crlab.sandbox(seed=0, controllers=False) as lab, lab.api_client() as api:

        def make(request: Any, ctx: Any) -> None:
            core, obj = CoreV1Api(api), {"metadata": {"name": "b"}}
            core.create_namespaced_config_map("default", obj, dry_run="All")
            core.list_namespace()
            core.create_namespaced_config_map("default", obj)

        work = controller_of(lab, make, "a")
        dry = work.step(dry_run=True)
        assert isinstance(dry.error, ReadOnlyError)
        assert "b" not in [c["metadata"]["name"] for c in lab.client.list("configmaps")["items"]]
        assert work.step(dry_run=False).error is None


def test_a_refusal_by_the_server_is_part_of_the_look() -> None:
    """RBAC asks the same right of a dry run; who lacks it sees so."""
    with crlab.sandbox(seed=0, controllers=False, tokens={"nobody": "viewer"}) as served:
        served.apply(
            [
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "ClusterRole",
                    "metadata": {"name": "look"},
                    "rules": [
                        {"apiGroups": [""], "resources": ["*"], "verbs": ["get", "list", "watch"]}
                    ],
                },
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "ClusterRoleBinding",
                    "metadata": {"name": "look"},
                    "subjects": [{"kind": "User", "name": "viewer"}],
                    "roleRef": {
                        "apiGroup": "rbac.authorization.k8s.io",
                        "kind": "ClusterRole",
                        "name": "look",
                    },
                },
                config_map("a"),
            ]
        )
        with crlab.connect(url=served.url, token="nobody") as cluster:
            work = controller_of(cluster, lambda r, ctx: cluster.apply(config_map("a", x="1")))
            record = work.step("default/a")

    assert isinstance(record.error, Forbidden)
    assert "403 Forbidden" in str(record)


# -- what it does not reach ---------------------------------------------------------------


def test_what_others_do_meanwhile_is_real(lab: crlab.Lab) -> None:
    """A dry run that waits moves a manual lab: handlers and workers of others write."""
    informer = lab.informer("configmaps").wait_for_sync()
    informer.add_event_handler(
        on_add=lambda obj, _: obj.name == "seen" and lab.client.create("pods", pod("handler"))
    )

    @lab.controller("configmaps", name="other")
    def other(request: Any, ctx: Any) -> None:
        if request.name == "seen" and ctx.get("pods", "worker") is None:
            ctx.client.create("pods", pod("worker"))

    def waits(request: Any, ctx: Any) -> None:
        place = "/api/v1/namespaces/default/configmaps"
        lab.server.request("POST", place, config_map("seen"))  # past every client
        lab.settle()

    work = controller_of(lab, waits, "a")
    other.start()

    record = work.step("default/a", dry_run=True)

    assert record.error is None, record.traceback
    assert {p["metadata"]["name"] for p in lab.client.list("pods")["items"]} == {
        "handler",
        "worker",
    }


def pod(name: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def test_threads_that_a_dry_run_makes_are_not_dry_for_ever() -> None:
    """The thread of the events is made with the first one, and sends all that follow."""
    with crlab.sandbox(seed=0, controllers=False) as lab:
        handled: list[Any] = []

        def body(request: Any, ctx: Any) -> None:
            ctx.event("Made", "something was made")
            if ctx.is_dry_run:
                informer = lab.informer("secrets").wait_for_sync()
                informer.add_event_handler(
                    on_add=lambda obj, _: handled.append(
                        lab.client.create("configmaps", config_map("h"))
                    )
                )

        work = controller_of(lab, body, "a")
        work.step("default/a", dry_run=True)
        lab.wait_until(lambda: work.controller.env.recorder.sent == 1)
        assert lab.client.list("events")["items"] == []
        lab.client.create("secrets", {"metadata": {"name": "s", "namespace": "default"}})
        lab.wait_until(lambda: handled)
        assert lab.get("configmaps", "h")
        work.step("default/a", dry_run=False)
        lab.wait_until(lambda: work.controller.env.recorder.sent == 2)

        (event,) = lab.client.list("events")["items"]
        assert event["count"] == 1  # what a dry run said was never said


def test_a_step_inside_a_look_is_a_look(lab: crlab.Lab) -> None:
    """Of another controller, even if it is told to write."""
    inner = lab.controller("secrets", name="inner")(
        lambda r, ctx: ctx.client.create("configmaps", config_map("inner"))
    )
    lab.client.create("secrets", {"metadata": {"name": "s", "namespace": "default"}})
    looked: list[Any] = []
    work = controller_of(lab, lambda r, ctx: looked.append(inner.step(dry_run=False)), "a")

    work.step("default/a", dry_run=True)

    assert looked[0].is_dry_run
    assert [c["metadata"]["name"] for c in lab.client.list("configmaps")["items"]] == ["a"]
    assert inner.queue.peek() == "default/s"
