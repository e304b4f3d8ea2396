"""A reconcile's cached reads see what it and its controller did, by every verb, at once."""

import pytest

import crlab
from crlab.examples import myservice


def config_map(name, namespace="default", **metadata):
    metadata = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def by_app(obj):
    return [obj.metadata.get("labels", {}).get("app", "")]


@pytest.fixture
def lab():
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as made:
        made.apply([myservice.CRD, myservice.EXAMPLE])
        made.apply(config_map("old", labels={"app": "x"}))
        yield made


def in_run(lab, informer, body, **options):
    """Run `body(ctx)` once, with a cache of `informer`; return what it returned."""
    got = []
    made = lab.controller("myservices", name="c", owns=[informer], **options)(
        lambda request, ctx: got.append(body(ctx))
    )
    record = made.step("default/web")
    if record.error is not None:
        raise record.error
    return got[0]


def maps_of(lab, **options):
    options = {"namespace": "default", "indexers": {"app": by_app}} | options
    return lab.informer("configmaps", **options).wait_for_sync()


def names(found):
    return [obj.metadata.name for obj in found]


def test_creations_and_relabels_are_in_lists_and_indices(lab):
    """By label, by index, in the namespace that was asked for."""

    def body(ctx):
        ctx.create(config_map("new", labels={"app": "x"}))
        first = [
            names(ctx.list("configmaps", label_selector="app=x")),
            names(ctx.by_index("configmaps", "app", "x")),
            names(ctx.list("configmaps", namespace="other")),
        ]
        ctx.patch("configmaps", "old", {"metadata": {"labels": {"app": "y"}}})
        after = [names(ctx.by_index("configmaps", "app", app)) for app in "xy"]
        return first, after

    first, after = in_run(lab, maps_of(lab), body)
    assert first == [["new", "old"], ["new", "old"], []]
    assert after == [["new"], ["old"]]


@pytest.mark.parametrize(
    "delete",
    [
        lambda ctx: ctx.delete("configmaps", "old"),
        lambda ctx: ctx.delete(ctx.get("configmaps", "old")),
        lambda ctx: ctx.client.delete("configmaps", "old"),
        lambda ctx: ctx.client.delete_collection("configmaps", namespace="default"),
    ],
    ids=["named", "given", "by the client", "with its collection"],
)
def test_what_was_deleted_is_gone_from_all_reads(lab, delete):
    """Until the cache has seen it go; and what comes back under its name is there."""

    def body(ctx):
        delete(ctx)
        gone = ctx.get("configmaps", "old"), names(ctx.list("configmaps")), ctx.is_stale
        indexed = names(ctx.by_index("configmaps", "app", "x"))
        ctx.create(config_map("old", labels={"app": "z"}))
        return gone, indexed, names(ctx.by_index("configmaps", "app", "z"))

    assert in_run(lab, maps_of(lab), body) == ((None, [], True), [], ["old"])


def test_what_is_made_and_deleted_in_one_run_never_appears(lab):
    """Also when the cache gets the creation first."""
    maps = maps_of(lab)
    seen = []

    def body(ctx):
        made = ctx.create(config_map("short"))
        ctx.delete("configmaps", "short")
        lab.driver.step(lambda stage: stage.name.startswith("reflector-configmaps"))
        while not ctx.wait_for_rv(made.metadata.resourceVersion, "configmaps"):
            pass
        seen.append(ctx.get("configmaps", "short"))
        return maps.get("default/short")

    in_run(lab, maps, body)
    assert seen == [None]


def test_what_finalizers_hold_is_still_there_and_terminating(lab):
    """And gone with the write that frees it, whatever verb that is."""

    def body(ctx):
        ctx.create(config_map("held", finalizers=["example.com/x"]))
        ctx.delete("configmaps", "held")
        held = ctx.get("configmaps", "held")
        ctx.patch("configmaps", "held", {"metadata": {"finalizers": None}})
        return bool(held.metadata.deletionTimestamp), ctx.get("configmaps", "held")

    assert in_run(lab, maps_of(lab), body) == (True, None)


def test_a_scale_shows_in_the_scaled_object(lab):
    """Its resourceVersion stays the cached one: an update of a stale rest must be refused."""
    pods = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
    pods["spec"]["containers"] = [{"name": "c", "image": "i"}]
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": pods}
    lab.client.create("deployments", {"metadata": {"name": "web"}, "spec": spec})

    def body(ctx):
        before = ctx.get("deployments", "web").metadata.resourceVersion
        ctx.scale("deployments", "web", 7)
        after = ctx.get("deployments", "web")
        return after.spec.replicas, after.metadata.resourceVersion == before, ctx.is_stale

    assert in_run(lab, lab.informer("deployments").wait_for_sync(), body) == (7, True, True)


def test_what_an_informer_does_not_select_is_not_in_its_reads(lab):
    """Selectors and namespaces hold for own writes as for the cache, and so does a transform."""
    maps = maps_of(
        lab, label_selector="app=x", transform=lambda o: o.to_dict() | {"data": {"seen": "yes"}}
    )

    def body(ctx):
        ctx.create(config_map("other", labels={"app": "y"}))
        made = ctx.create(config_map("new", labels={"app": "x"}))
        listed = {obj.metadata.name: obj.data.seen for obj in ctx.list("configmaps")}
        ctx.patch("configmaps", "old", {"metadata": {"labels": {"app": "y"}}})
        return listed, names(ctx.list("configmaps")), made.get("data")

    listed, after, data = in_run(lab, maps, body)
    assert (listed, after, data) == ({"new": "yes", "old": "yes"}, ["new"], None)


def test_a_live_read_is_not_followed_by_an_older_cached_one(lab):
    """An object, a list, and that there is none."""

    def body(ctx):
        lab.client.patch("configmaps", "old", {"data": {"a": "1"}}, namespace="default")
        one = ctx.get("configmaps", "old", live=True), ctx.get("configmaps", "old")
        lab.client.create("configmaps", config_map("new"))
        ctx.list("configmaps", live=True)
        two = names(ctx.list("configmaps"))
        lab.client.delete("configmaps", "old", namespace="default")
        none = ctx.delete("configmaps", "old"), ctx.get("configmaps", "old")
        return one[0] == one[1], two, none

    assert in_run(lab, maps_of(lab), body) == (True, ["new", "old"], (False, None))


def test_a_dry_run_lays_nothing_over_the_cache(lab):
    """Nothing was written."""
    maps = maps_of(lab)
    got = []

    def body(request, ctx):
        made = ctx.create(config_map("new"))
        ctx.delete("configmaps", "old")
        waited = ctx.wait_for_rv(made.metadata.get("resourceVersion", ""), "configmaps")
        got.append((names(ctx.list("configmaps")), waited))

    made = lab.controller("myservices", name="c", owns=[maps])(body)
    assert made.step("default/web", dry_run=True).error is None
    assert got == [(["old"], True)]


def test_waiting_for_a_version_is_waiting_for_the_cache(lab):
    """What the reflector has handed on is not in the cache yet."""
    maps = maps_of(lab)

    def body(ctx):
        made = ctx.create(config_map("new"))
        lab.settle(only="reflector")
        version = made.metadata.resourceVersion
        before = maps.shared.received_resource_version, maps.last_sync_resource_version
        return version, before, ctx.wait_for_rv(version, "configmaps"), maps.get("default/new")

    version, (received, reached), waited, held = in_run(lab, maps, body)
    assert received == version
    assert int(reached) < int(version)
    assert waited
    assert held is not None


def test_a_stalled_namespace_is_not_hidden_by_another(lab):
    """Neither in reads, nor in waits, nor in what is said of it."""
    lab.client.create("namespaces", {"metadata": {"name": "b"}})
    maps = maps_of(lab, namespace=["default", "b"])
    lab.settle()
    in_b = lambda stage: stage.name != "reflector-configmaps/default"  # noqa: E731

    def body(ctx):
        made = ctx.create(config_map("new"))
        theirs = lab.client.create("configmaps", config_map("theirs", "b"))
        lab.driver.settle(only=in_b)
        version, later = made.metadata.resourceVersion, theirs["metadata"]["resourceVersion"]
        shared = maps.shared
        told = names(ctx.list("configmaps")), ctx.is_stale, "default/new" in ctx.staleness
        where = shared.resource_version_in("b") == later, shared.last_sync_resource_version
        lab.driver.settle = lambda only=None: 0  # from here on the stalled one stays so
        lab.driver.step = lambda only=None: None
        waits = [
            ctx.wait_for_rv(version, "configmaps"),
            ctx.wait_for_rv(later, "configmaps"),
            ctx.wait_for_rv(later, "configmaps", namespace="b"),
        ]
        del lab.driver.settle, lab.driver.step
        return version, told, where, waits

    version, told, (is_there, whole), waits = in_run(lab, maps, body)
    assert told == (["new", "old"], True, True)
    assert is_there
    assert int(whole) < int(version)
    assert waits == [False, False, True]
    parts = {part.namespace: part.resource_version for part in maps.status.parts}
    assert set(parts) == {"default", "b"}
