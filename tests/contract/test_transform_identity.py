"""What a transform drops of an object's identity stays beside it: no audit, relist or handler
takes a smaller object for a changed one."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

import crlab
from crlab.errors import BodyRefused, ConfigError

MINUTES = 10


def slim(*dropped: str) -> Any:
    """A transform that drops fields of metadata."""

    def transform(obj: Any) -> Any:
        tree = obj.to_dict()
        for name in (*dropped, "managedFields"):
            tree["metadata"].pop(name, None)
        return tree

    return transform


def configmap(name: str, **data: str) -> dict[str, Any]:
    """One."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def requests(lab: crlab.Lab) -> tuple[int, int]:
    """Lists and watches that were asked for."""
    verbs = [record.verb for record in lab.client.requests if record.resource == "configmaps"]
    return verbs.count("list"), verbs.count("watch")


def quiet_minutes(transform: Any) -> tuple[tuple[int, int], list[str], Any]:
    """Ten minutes in which nothing happens; what was asked, and told."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply([configmap("a"), configmap("b")])
        informer = lab.informer("configmaps", transform=transform, audit_seconds=30)
        told: list[str] = []
        informer.wait_for_sync()
        informer.add_event_handler(
            on_add=lambda obj, is_initial: told.append(f"add {obj.name}"),
            on_update=lambda old, new: told.append(f"update {new.name}"),
            on_delete=lambda obj: told.append(f"delete {obj.name}"),
        )
        for _ in range(MINUTES * 6):
            lab.advance(10)
            lab.settle()
        assert informer.audit().empty
        assert informer.status.drifted == 0
        lab.client.patch("configmaps", "a", {"data": {"x": "1"}})
        lab.settle()
        return requests(lab), told, informer["default/a"].resource_version


@pytest.mark.parametrize("dropped", [("resourceVersion",), ("uid",), ("resourceVersion", "uid")])
def test_an_audit_of_a_smaller_cache_lists_no_more_than_of_a_whole_one(
    dropped: tuple[str, ...],
) -> None:
    """And handlers are told what happened, once."""
    whole, smaller = quiet_minutes(None), quiet_minutes(slim(*dropped))

    assert smaller == whole
    assert smaller[1] == ["add a", "add b", "update a"]


def test_what_was_dropped_is_not_in_the_object_and_still_known_of_it() -> None:
    """The handlers compare contents, the cache compares versions."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply(configmap("a"))
        informer = lab.informer("configmaps", transform=slim("resourceVersion")).wait_for_sync()
        held, served = informer["default/a"], lab.get("configmaps", "a")

        assert "resourceVersion" not in held["metadata"]
        assert held.resource_version == served["metadata"]["resourceVersion"]


def test_a_relist_keeps_the_objects_that_did_not_change() -> None:
    """What handlers are shown again then is the same object, as with a whole cache."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply([configmap("a"), configmap("b")])
        informer = lab.informer("configmaps", transform=slim("resourceVersion", "uid"))
        informer.wait_for_sync()
        shown: list[tuple[Any, Any]] = []
        informer.add_event_handler(on_update=lambda old, new: shown.append((old, new)))
        lab.settle()
        lab.faults.expire_watch("configmaps")
        for _ in range(20):
            lab.advance(5)
            lab.settle()
        assert informer.status.is_live
        assert shown, "it was listed again"
        assert all(old is new for old, new in shown)


def test_a_finalizer_is_put_on_an_object_whose_cached_copy_has_no_version() -> None:
    """The precondition is the version that the server gave."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply(configmap("a"))
        maps = lab.informer("configmaps", transform=slim("resourceVersion"))
        made = lab.controller(maps, name="c")(lambda r, ctx: ctx.add_finalizer("a/b") and None)
        lab.settle()
        record = made.step()
        assert record is not None
        assert record.error is None
        assert lab.get("configmaps", "a")["metadata"]["finalizers"] == ["a/b"]


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (lambda obj: None, "a transform returns the object, or a smaller one, not NoneType"),
        (lambda obj: 5, "not int"),
        (lambda obj: {"metadata": {"name": "other"}}, "and this one made other"),
        (lambda obj: {"metadata": {"name": obj.name}}, "and this one made a"),
        (lambda obj: {"data": {}}, "metadata"),
        (lambda obj: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_transform_that_keeps_no_such_object_is_told(transform: Any, said: str) -> None:
    """In the list it fails the list; in the watch it is reported, and the object stays."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply(configmap("a"))
        informer = lab.informer("configmaps", transform=transform)
        lab.settle()
        assert not informer.has_synced
        assert said in informer.status.cause

        later = lab.informer("configmaps", transform=lambda o: transform(o) if is_bad else o)
        is_bad = False
        later.wait_for_sync()
        is_bad = True
        lab.client.patch("configmaps", "a", {"data": {"x": "1"}})
        lab.settle()
        assert said in str(later.shared.error)
        assert "data" not in later["default/a"]


def test_a_transform_that_must_be_awaited_is_told() -> None:
    """A lambda can smuggle one in."""

    async def later(obj: Any) -> Any:
        return obj

    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply(configmap("a"))
        informer = lab.informer("configmaps", transform=lambda obj: later(obj))
        lab.settle()
        assert "transform returned a coroutine" in informer.status.cause
        whole = lab.informer("configmaps").wait_for_sync()
        with pytest.raises(ConfigError, match="transform returned a coroutine"):
            whole.shared.memory(transform=lambda obj: later(obj))


def without(*path: str):
    """Return a transform that drops a field."""

    def transform(obj):
        tree = obj.to_dict()
        node = tree
        for name in path[:-1]:
            node = node[name]
        node.pop(path[-1], None)
        return tree

    return transform


def slimmed(lab: crlab.Lab, *path: str):
    """Return an informer of ConfigMaps that drops a field, with one that has data."""
    lab.client.create("configmaps", {"metadata": {"name": "a"}, "data": {"kept": "x"}})
    informer = lab.informer("configmaps", namespace="default", transform=without(*path))
    lab.settle()
    return informer


def test_what_a_transform_dropped_is_not_dropped_on_the_server() -> None:
    """No write of the whole takes an object of such a cache, by a client or in a reconcile."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        informer = slimmed(lab, "data")
        draft = informer.draft("default/a")
        draft.metadata.labels = {"a": "b"}
        for write in (
            lambda: lab.client.update("configmaps", draft),
            lambda: lab.client.update("configmaps", informer.get("default/a")),
            lambda: lab.client.apply("configmaps", deepcopy(draft), force=True),
            lambda: lab.apply(draft),
            lambda: lab.apply([informer.get("default/a")]),
        ):
            with pytest.raises(BodyRefused, match="transform"):
                write()

        def reconcile(request, ctx):
            for write in (ctx.update, ctx.apply):
                for obj in (ctx.object, ctx.get("configmaps", "a"), *ctx.list("configmaps")):
                    with pytest.raises(BodyRefused, match="transform"):
                        write(obj)
            ctx.patch("configmaps", "a", {"metadata": {"labels": {"c": "d"}}})
            whole = ctx.get("configmaps", "a", live=True)
            whole.metadata.labels["e"] = "f"
            ctx.update(whole)

        controller = lab.controller(informer)(reconcile)
        lab.settle()
        assert controller.step("default/a").error is None
        stored = lab.get("configmaps", "a")
        assert stored["data"] == {"kept": "x"}
        assert stored["metadata"]["labels"] == {"c": "d", "e": "f"}


def test_a_cache_without_managed_fields_can_be_written_back() -> None:
    """The server keeps those by itself: the usual transform costs nobody a write."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        informer = slimmed(lab, "metadata", "managedFields")
        draft = informer.draft("default/a")
        draft.data.kept = "y"
        lab.client.update("configmaps", draft)
        stored = lab.get("configmaps", "a")
        assert stored["data"] == {"kept": "y"}
        assert stored["metadata"]["managedFields"]
