"""docs/coming-from.md is true: every row of its tables, and every example, is executed here."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes
import numpy as np
import pandas as pd
import pytest

import crlab
from crlab.cache import DeletedFinalStateUnknown, HandlerRegistration
from crlab.cache.reflector import Reflector
from crlab.client import ResourceListerWatcher
from crlab.controller import predicate as predicates
from crlab.errors import ApiError, BodyRefused, Conflict, NotFound, SyncTimeout
from crlab.examples import myservice
from crlab.testing import assert_converges, fake_lab
from crlab.workqueue import PriorityQueue, RateLimitingQueue, default_controller_rate_limiter

PAGE = Path(__file__).resolve().parents[3] / "docs" / "coming-from.md"
TEXT = PAGE.read_text()
ROWS = {
    cells[1]: cells[2:4]
    for line in TEXT.splitlines()
    if line.startswith("| ") and len(cells := [c.strip() for c in line.split("|")]) > 4
}
HEADS = {"client-go", "controller-runtime", "kopf", "kr8s", "kubernetes"}
CM: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
Row = Callable[..., object]
TAKEN: dict[str, Row] = {}


def row(*names: str) -> Callable[[Row], Row]:
    """Say which rows a function executes."""

    def take(function: Row) -> Row:
        TAKEN.update(dict.fromkeys(names, function))
        return function

    return take


def once(lab: crlab.Lab, body: Callable[[Any], Any], **options: Any) -> Any:
    """Reconcile the MyService once and return the record; its errors are the test's."""
    made = lab.controller("myservices", name="test", **options)(
        lambda request, ctx: body(ctx) and None
    )
    lab.settle()
    record = made.step("default/web")
    if record.error is not None:
        raise record.error
    return record


# -- labs -----------------------------------------------------------------------------------


@row(
    "`clientcmd`, `rest.InClusterConfig`",
    "`config.load_kube_config()`",
    "`kr8s.api()`",
    "`manager.New`, `mgr.Start(ctx)`",
    "`client.CoreV1Api(…)`",
)
def connecting(lab: crlab.Lab) -> None:
    del lab
    with crlab.sandbox(seed=0) as server, tempfile.TemporaryDirectory() as folder:
        config = kubernetes.client.Configuration(host=server.url)
        listed = kubernetes.client.CoreV1Api(server.api_client()).list_namespace()
        assert "default" in [each.metadata.name for each in listed.items]
        for there in (
            crlab.connect(server.write_kubeconfig(Path(folder) / "config")),
            crlab.connect(configuration=config),
        ):
            with there:
                assert there.get("namespaces", "default")["kind"] == "Namespace"
                made = there.controller("namespaces")(lambda request, ctx: None)
                made.start(workers=2)
                there.wait_until(lambda made=made: len(made.history) > 0)


@row("`fake.NewSimpleClientset`", "`kopf.testing.KopfRunner`")
def in_tests(lab: crlab.Lab) -> None:
    del lab
    with fake_lab(CM) as fake:
        maps = fake.informer("configmaps").wait_for_sync()
        stale = fake.get("configmaps", "c")
        fake.client.patch("configmaps", "c", {"data": {"a": "1"}})
        with pytest.raises(Conflict):
            fake.client.update("configmaps", stale)
        made = fake.controller(maps)(lambda request, ctx: None)
        assert_converges(fake, made, lambda: maps["default/c"]["data"]["a"] == "1")
        fake.advance(3600)


@row("`envtest`")
def envtest(lab: crlab.Lab) -> None:
    del lab
    assert callable(crlab.envtest)  # with KUBEBUILDER_ASSETS: tests/unit/lab/test_envtest.py


@row("`kopf run file.py`", "`CacheSyncTimeout`")  # tests/unit/lab/test_command_log.py
def running(lab: crlab.Lab) -> None:
    del lab
    from crlab.__main__ import main

    with pytest.raises(SystemExit) as done:
        main(["run", "--help"])
    assert done.value.code == 0


# -- informers ------------------------------------------------------------------------------


@row(
    "`NewSharedInformerFactory`",
    "`WithNamespace`, `WithTweakListOptions`, `WithTransform`",
    "`factory.WaitForCacheSync(stop)`",
    "`informer.HasSynced()`",
    "`pod.watch()`, `kr8s.watch`",
    "`watch.Watch().stream(…)`",
    "`informer` module",
)
def informers(lab: crlab.Lab) -> None:
    options: dict[str, Any] = {
        "namespace": ["default", "b"],
        "label_selector": "a=b",
        "field_selector": "metadata.name=c",
        "transform": lambda obj: obj,
    }
    waiting = lab.informer("configmaps", start=False, **options)
    assert not waiting.has_synced
    with pytest.raises(SyncTimeout, match="configmaps"):
        lab.wait_for_cache_sync(timeout_seconds=0)
    assert lab.informer("configmaps", **options) is waiting
    lab.wait_for_cache_sync(timeout_seconds=1)
    assert waiting.has_synced
    lab.apply({**CM, "metadata": {"name": "c", "labels": {"a": "b"}}})
    lab.settle()
    assert list(waiting.df.index) == ["default/c"]


@row(
    "`AddEventHandler(ResourceEventHandlerFuncs{…})`",
    "`ResourceEventHandlerRegistration`",
    "`@kopf.on.event`",
    "`@kopf.on.field(field=…)`, `diff`, `old`, `new`",
)
def handlers(lab: crlab.Lab) -> None:
    maps = lab.informer("configmaps").wait_for_sync()
    seen: list[Any] = []
    registration = maps.add_event_handler(
        on_add=lambda obj, is_in_initial_list: seen.append((obj.key, is_in_initial_list)),
        on_update=lambda old, new: seen.append((old.resource_version, new.resource_version)),
        on_delete=lambda obj: seen.append(obj.name),
    )
    assert isinstance(registration, HandlerRegistration)
    lab.apply(CM)
    lab.settle()
    before = lab.get("configmaps", "c")["metadata"]["resourceVersion"]
    lab.client.patch("configmaps", "c", {"data": {"a": "1"}})
    after = lab.get("configmaps", "c")["metadata"]["resourceVersion"]
    lab.settle()
    lab.delete("configmaps", "c")
    lab.settle()
    assert seen == [("default/c", False), (before, after), "c"]
    assert ".data" in set(maps.diff(before, after)["path"])
    assert (registration.backlog, registration.errors, registration.coalesced) == (0, (), 0)
    registration.remove()
    assert registration.is_removed


@row("`cache.DeletedFinalStateUnknown`")
def tombstones(lab: crlab.Lab) -> None:
    lab.apply(CM)
    maps = lab.informer("configmaps").wait_for_sync()
    gone: list[Any] = []
    maps.add_event_handler(on_delete=gone.append)
    lab.settle()
    lab.faults.drop_event("configmaps")
    lab.delete("configmaps", "c")
    lab.settle()
    lab.faults.clear()
    lab.faults.expire_watch("configmaps", times=1)
    lab.apply({**CM, "metadata": {"name": "other"}})
    for _ in range(5):
        lab.settle()
        lab.advance(2)
    assert [type(each) for each in gone] == [DeletedFinalStateUnknown]


@row(
    "`informer.GetIndexer()`",
    "`lister.Pods(ns).Get(name)`",
    "`MetaNamespaceKeyFunc`",
    "`mgr.GetFieldIndexer().IndexField`",
    "`@kopf.index`",
)
def reading(lab: crlab.Lab) -> None:
    lab.apply(CM)
    maps = lab.informer("configmaps", indexers={"name": lambda obj: [obj.name]}).wait_for_sync()
    indexer = maps.indexer
    indexer.add_indexers({"kind": lambda obj: [obj.kind]})
    assert indexer.get_by_key("default/c") is indexer.list()[0]
    assert indexer.index_keys("name", "c") == ["default/c"]
    assert [obj.key for obj in indexer.by_index("kind", "ConfigMap")] == ["default/c"]
    assert indexer.read().resource_version
    assert maps.lister.namespace("default").get("c").key == maps["default/c"].key == "default/c"
    with pytest.raises(NotFound):
        maps.lister.namespace("default").get("none")
    found: list[str] = []
    once(
        lab,
        lambda ctx: found.extend(
            obj["metadata"]["name"] for obj in ctx.by_index("configmaps", "name", "c")
        ),
        watches={maps: lambda obj: []},
    )
    assert found == ["c"]


@row("`Reflector`, `ListWatch`", "`SetWatchErrorHandler`")
def reflector(lab: crlab.Lab) -> None:
    told: list[Any] = []
    lab.faults.expire_watch("configmaps", times=1)
    maps = lab.informer("configmaps", watch_error_handler=told.append)
    lab.settle()
    assert isinstance(maps.shared.lister_watchers[0], ResourceListerWatcher)
    assert isinstance(maps.shared._reflectors[0], Reflector)
    assert maps.shared._reflectors[0].idle_seconds == 75.0
    assert told
    assert {each.value for each in type(maps.status.state)} >= {
        "live", "stale", "degraded", "failed", "gone",
    }  # fmt: skip


@row("`RealFIFO`, `DeltaFIFO`", "WatchList (`WatchListClient`)")
def queues(lab: crlab.Lab) -> None:
    for queue in ("real", "real-per-item", "delta"):
        assert lab.informer("configmaps", queue=queue).wait_for_sync().has_synced
    lab.faults.refuse_watch_list()
    assert lab.informer("pods").wait_for_sync().has_synced
    before = len(lab.client.requests)
    lab.informer("services", list_mode="list").wait_for_sync()
    assert "list" in [record.verb for record in lab.client.requests[before:]]


# -- queues and clients -----------------------------------------------------------------------


@row("`workqueue.NewTypedRateLimitingQueue`", "`DefaultTypedControllerRateLimiter`")
def workqueue(lab: crlab.Lab) -> None:
    del lab
    queue: RateLimitingQueue[str] = RateLimitingQueue("q")
    queue.add("a")
    queue.add("a")
    assert queue.get(0) == "a"
    assert queue.add_rate_limited("a") == 0.005
    assert queue.num_requeues("a") == 1
    queue.forget("a")
    queue.add_after("b", 0)
    queue.done("a")
    assert queue.get(0) == "b"
    queue.done("b")
    assert queue.shut_down_with_drain() is not False
    queue.shut_down()
    limiter = default_controller_rate_limiter()
    assert [limiter.when("a") for _ in range(3)] == [0.005, 0.01, 0.02]
    assert PriorityQueue("p").limiter.when("a") == 0.005


@row("`retry.RetryOnConflict`", "`client.Create`, `Update`, `Patch`, `Delete`")
def writing(lab: crlab.Lab) -> None:
    def body(ctx: Any) -> None:
        made = ctx.create({**CM, "metadata": {"name": "d"}})
        made["data"] = {"a": "1"}
        ctx.update(made)
        ctx.patch("configmaps", "d", {"data": {"b": "2"}})
        assert ctx.retry_on_conflict(lambda: 5) == 5
        assert ctx.delete("configmaps", "d")
        assert ctx.delete("configmaps", "d") is False

    once(lab, body)
    assert lab.client.retry_on_conflict(lambda: 5) == 5


@row(
    "`dynamic.Interface`",
    "`CustomObjectsApi`, `dynamic.DynamicClient`",
    '`kr8s.get("pods", namespace=…)`',
    "`Pod.get(name)`",
    "`pod.patch(…)`, `.delete()`, `.create()`",
    "`deployment.scale(3)`",
    '`pod.wait("condition=Ready")`',
)
def clients(lab: crlab.Lab) -> None:
    for name in ("deployments", "deploy", "Deployment", "deployments.apps"):
        assert lab.client.resolve(name).gvr.resource == "deployments"
    assert lab.client.list(lab.client.resolve("deployments").gvr)["items"] == []
    assert lab.client.list("pods", namespace="default")["items"] == []
    assert lab.client.list("MyService", namespace="default")["items"]
    lab.client.create("configmaps", CM)
    assert type(lab.get("configmaps", "c", "default")) is dict
    lab.client.patch("configmaps", "c", {"data": {"a": "1"}})
    lab.client.delete("configmaps", "c")
    container = {"name": "c", "image": "i"}
    labels = {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    lab.client.create("deployments", {"metadata": {"name": "d"}, "spec": spec})
    lab.client.scale("deployments", "d", 3)
    deployments = lab.informer("deployments")
    lab.wait_until(
        lambda: "default/d" in deployments and deployments["default/d"].spec.replicas == 3
    )


@row("`ApiException`", "`utils.create_from_yaml`")
def errors(lab: crlab.Lab) -> None:
    with pytest.raises(NotFound) as caught:
        lab.get("configmaps", "none")
    assert isinstance(caught.value, ApiError)
    assert "none" in str(caught.value)
    assert lab.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\n")
    with pytest.raises(crlab.CrlabError):
        lab.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z}\n---\nkind: [\n")
    assert len(lab.client.list("configmaps", namespace="default")["items"]) == 1


# -- controllers ------------------------------------------------------------------------------


@row(
    "`builder.For(&T{})`",
    "`.Owns(&appsv1.Deployment{})`",
    "`.Watches(…, handler.EnqueueRequestsFromMapFunc(f))`",
    "`predicate.GenerationChangedPredicate`",
    "`Reconcile(ctx, req) (Result, error)`",
    "`priorityqueue`",
    "`MaxConcurrentReconciles`",
    "a debugger",
    "`memo`",
    "`@kopf.on.create/update/resume/delete`",
)
def controllers(lab: crlab.Lab) -> None:
    seen: list[Any] = []

    @lab.controller(
        "myservices",
        owns=["deployments"],
        watches={"configmaps": lambda obj: [crlab.Request("default", "web"), "default/web"]},
        predicates=[
            predicates.all_of(
                predicates.any_of(
                    predicates.generation_changed,
                    predicates.labels_changed,
                    predicates.annotations_changed,
                ),
                predicates.not_(lambda event: False),
            )
        ],
        queue="priority",
        workers=2,
    )
    def reconcile(request: Any, ctx: Any) -> None:
        seen.append((request.key, ctx.object is None, ctx.is_deleting))

    lab.settle()
    assert reconcile.step().key == "default/web"
    lab.apply(CM)
    lab.settle()
    assert reconcile.step().key == "default/web"
    lab.delete("myservices", "web")
    lab.settle()
    assert "read" in str(reconcile.step())
    assert seen == [("default/web", False, False)] * 2 + [("default/web", True, False)]
    assert isinstance(reconcile.queue, PriorityQueue)
    assert reconcile.stepper() is not None


@row(
    "`Result{RequeueAfter: d}`",
    "`reconcile.TerminalError(err)`",
    "endless retries",
    "`@kopf.timer(interval=…)`",
    "`kopf.TemporaryError(delay=…)`",
    "`kopf.PermanentError`",
)
def results(lab: crlab.Lab) -> None:
    def terminal(request: Any, ctx: Any) -> None:
        raise crlab.TerminalError("no")

    def failing(request: Any, ctx: Any) -> None:
        raise ValueError("no")

    ends = lab.controller("myservices", name="a")(terminal)
    fails = lab.controller("myservices", name="b")(failing)
    endless = lab.controller("myservices", name="c", max_retries=None)(failing)
    later = lab.controller("myservices", name="d")(
        lambda request, ctx: crlab.Result(requeue_after_seconds=30)
    )
    lab.settle()
    assert "again in 30 s" in later.step().outcome
    ends.step()
    for _ in range(7):
        fails.step()
        endless.step()
        lab.advance(1)
    assert list(ends.given_up) == list(fails.given_up) == ["default/web"]
    assert endless.given_up == {}
    lab.advance(30)
    assert later.step().key == "default/web"


@row(
    "`client.Get`, `client.List` (cached)",
    "`client.Status().Update/Patch`",
    "`client.Apply` (server-side)",
    "`controllerutil.CreateOrUpdate`",
    "`controllerutil.SetControllerReference`",
    "`controllerutil.AddFinalizer` + Update",
    "`record.EventRecorder`",
    "`patch.status[…] = …`",
    "the finalizer kopf adds",
    "`kopf.adopt(child)`",
    "`kopf.event(…)`, `kopf.info`",
)
def contexts(lab: crlab.Lab) -> None:
    def body(ctx: Any) -> None:
        assert ctx.get("myservices", "web") is not ctx.get("myservices", "web")
        assert ctx.list("myservices")[0]["metadata"]["name"] == "web"
        assert ctx.get("myservices", "web", live=True) == ctx.object
        ctx.object.spec.replicas = 4
        ctx.update(ctx.object)
        assert ctx.get("myservices", "web").spec.replicas == 4
        assert ctx.patch_status({"readyReplicas": 1}).status.readyReplicas == 1
        obj = ctx.get("myservices", "web")
        obj.status.readyReplicas = 2
        ctx.update_status(obj)
        assert ctx.add_finalizer("a.example.com/b")
        assert ctx.remove_finalizer("a.example.com/b")
        made = ctx.apply(ctx.own({**CM, "data": {"a": "1"}}))
        assert made["metadata"]["managedFields"][0]["manager"] == "test"
        ctx.modify("configmaps", "c", lambda obj: obj.update(data={"a": "2"}))
        ctx.event("Done", "all of it")

    once(lab, body)
    stored = lab.get("myservices", "web")
    assert (stored["spec"]["replicas"], stored["status"]["readyReplicas"]) == (4, 2)
    assert lab.get("configmaps", "c")["data"] == {"a": "2"}
    assert "Done" in set(lab.kube_events()["reason"])


@row("`+kubebuilder:rbac` markers")
def rights(lab: crlab.Lab) -> None:
    made = lab.controller("myservices", name="test")(
        lambda request, ctx: ctx.apply(ctx.own(dict(CM))) and None
    )
    lab.settle()
    made.step()
    text = str(lab.rbac(made))
    assert "kind: Role" in text
    assert "- list\n" in text
    assert "myservices/finalizers" in text


@row(
    "`log.FromContext(ctx).Info(…)`", '"Reconciler error" in the log', "`logger`, `kopf.LogFormat`"
)
def logging(lab: crlab.Lab, caplog: Any) -> None:
    def body(ctx: Any) -> None:
        ctx.log("scaled %s to %d", "web", 3)
        raise ValueError("boom")

    with caplog.at_level("INFO", "crlab"), pytest.raises(ValueError, match="boom"):
        once(lab, body)
    lines = [(line.name, line.levelname) for line in caplog.records]
    assert ("crlab.controller", "INFO") in lines
    assert ("crlab.controller", "WARNING") in lines
    assert "scaled web to 3" in caplog.text
    assert list(lab.problems.df["kind"]) == ["reconcile"]


@row("`kubectl apply -f`, `--server-side --force-conflicts`")
def applying(lab: crlab.Lab) -> None:
    assert lab.apply({**CM, "data": {"a": "1", "b": "1"}})[0].operation == "created"
    lab.client.patch("configmaps", "c", {"data": {"a": "2", "other": "x"}}, field_manager="other")
    lab.apply({**CM, "data": {"a": "3"}})
    assert lab.get("configmaps", "c")["data"] == {"a": "3", "other": "x"}
    assert lab.apply({**CM, "data": {"a": "3"}})[0].operation == "unchanged"


@row("`json.dumps(api.sanitize_for_serialization(obj))`")
def plain_json(lab: crlab.Lab) -> None:
    informer = lab.informer("myservices").wait_for_sync()
    assert json.loads(json.dumps(informer.get("default/web").to_dict()))["kind"] == "MyService"


@row("NaN, numpy and pandas values in bodies")
def values(lab: crlab.Lab) -> None:
    lab.client.patch("myservices", "web", {"spec": {"replicas": np.int64(5)}})
    assert lab.get("myservices", "web")["spec"]["replicas"] == 5
    for value in (float("nan"), pd.NA, pd.NaT):
        with pytest.raises(BodyRefused, match=r"\.spec\.replicas"):
            lab.client.patch("myservices", "web", {"spec": {"replicas": value}})


# -- the promises -----------------------------------------------------------------------------


@pytest.fixture
def world() -> Any:
    """A sandbox with a MyService in it, moved by hand."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply(myservice.CRD)
        lab.apply(myservice.EXAMPLE)
        yield lab


@pytest.mark.parametrize("function", dict.fromkeys(TAKEN.values()), ids=lambda f: f.__name__)
def test_what_a_row_says_is_so(world: crlab.Lab, function: Row, caplog: Any) -> None:
    """In the words that stand in the table."""
    function(world, caplog) if function is logging else function(world)


def test_every_row_is_executed_or_says_none() -> None:
    """A new row brings its code."""
    nothing = {name for name, (ours, _) in ROWS.items() if ours == "none"}
    assert set(ROWS) - HEADS - nothing == set(TAKEN)
    assert len(nothing) > 5


@pytest.mark.parametrize("number", range(2))
def test_the_examples_run(world: crlab.Lab, number: int, capsys: Any) -> None:
    """As they stand."""
    pod = {"metadata": {"name": "web", "labels": {"app": "web"}}}
    world.client.create("pods", {**pod, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 2
    exec(compile(blocks[number], str(PAGE), "exec"), {"lab": world})
    assert "default/web" in capsys.readouterr().out
