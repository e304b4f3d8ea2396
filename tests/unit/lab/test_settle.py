"""`lab.settle()` on a server that is not ours: the caches hold what this lab wrote."""

import pytest

import crlab
from crlab.errors import SyncTimeout


def config_map(name, value="1", **metadata):
    metadata = {"name": name, "namespace": "default", **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}}


@pytest.fixture
def box():
    with crlab.sandbox(seed=0, controllers=False) as made:
        yield made


@pytest.fixture(params=["threads", "manual"])
def lab(box, request):
    with crlab.connect(url=box.url, allow_writes=True, driver=request.param) as made:
        yield made


def test_own_writes_are_held_and_told_once_it_is_settled(lab):
    """Creations, changes and deletions, each time, in both drivers."""
    maps = lab.informer("configmaps", namespace="default").wait_for_sync()
    heard = []
    maps.add_event_handler(
        on_add=lambda obj, is_initial: heard.append(("add", obj.key, obj.data.a)),
        on_update=lambda old, new: heard.append(("update", new.key, new.data.a)),
        on_delete=lambda obj: heard.append(("delete", obj.key, obj.data.a)),
    )
    for number in range(12):
        name, key = f"m{number}", f"default/m{number}"
        lab.apply(config_map(name))
        lab.settle()
        assert (maps[key].data.a, heard[-1]) == ("1", ("add", key, "1"))
        lab.apply(config_map(name, "2"))
        lab.settle()
        assert (maps[key].data.a, heard[-1]) == ("2", ("update", key, "2"))
        lab.delete("configmaps", name, "default")
        lab.settle()
        assert (maps.get(key), heard[-1]) == (None, ("delete", key, "2"))
    assert len(heard) == 36


def test_what_finalizers_hold_is_settled_once_it_is_seen_terminating(lab):
    """And once freed, when it is gone; a collection likewise."""
    maps = lab.informer("configmaps", namespace="default").wait_for_sync()
    lab.apply([config_map("free"), config_map("held", finalizers=["example.com/x"])])
    lab.client.delete_collection("configmaps", namespace="default")
    lab.settle()
    assert list(maps.indexer.list_keys()) == ["default/held"]
    assert maps["default/held"].metadata.deletionTimestamp
    lab.client.patch("configmaps", "held", {"metadata": {"finalizers": None}}, namespace="default")
    lab.settle()
    assert maps.get("default/held") is None


def test_an_object_that_leaves_a_selector_has_left_the_cache(lab):
    """What the informer never selects is not waited for."""
    maps = lab.informer("configmaps", label_selector="app=x").wait_for_sync()
    names = lab.informer("configmaps", field_selector="metadata.name=mine").wait_for_sync()
    lab.apply([config_map("mine", labels={"app": "x"}), config_map("other")])
    lab.settle()
    assert [each.indexer.list_keys() for each in (maps, names)] == [["default/mine"]] * 2
    patch = {"metadata": {"labels": {"app": "y"}}}
    lab.client.patch("configmaps", "mine", patch, namespace="default")
    lab.settle()
    assert maps.indexer.list_keys() == []
    assert names["default/mine"].metadata.labels.app == "y"


def test_a_cache_that_is_not_reached_is_named_with_what_it_lacks(lab, box):
    """Which informer, which key, which version; what others write is not waited for."""
    maps = lab.informer("configmaps", namespace="default").wait_for_sync()
    lab.settle()
    silence = box.faults.stall_watch("configmaps")
    try:
        box.client.create("configmaps", config_map("theirs"))
        lab.settle()
        made = lab.client.create("configmaps", config_map("mine"))
        version = made["metadata"]["resourceVersion"]
        with pytest.raises(SyncTimeout, match=f"configmaps.*default/mine at rv {version}.*at rv"):
            lab.settle(timeout_seconds=0.2)
        lab.delete("configmaps", "mine", "default")
        with pytest.raises(SyncTimeout, match="the deletion of default/mine"):
            lab.settle(timeout_seconds=0.2)
    finally:
        silence.remove()
    lab.settle()
    assert list(maps.indexer.list_keys()) == ["default/theirs"]


def test_an_informer_made_after_the_write_holds_it_too(lab):
    """Its first list may come from a cache that is behind."""
    lab.apply(config_map("early"))
    maps = lab.informer("configmaps")
    lab.settle()
    assert "default/early" in maps


def test_writes_of_a_controller_and_scales_are_writes_of_its_lab(lab, box):
    """`ctx` and `lab.client` ask through one client; a dry run is no write."""
    maps = lab.informer("configmaps", namespace="default").wait_for_sync()
    pods = {"metadata": {"labels": {"a": "b"}}, "spec": {}}
    pods["spec"]["containers"] = [{"name": "c", "image": "i"}]
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": pods}
    lab.client.create("deployments", {"metadata": {"name": "d"}, "spec": spec})
    deployments = lab.informer("deployments").wait_for_sync()
    lab.client.scale("deployments", "d", 3)
    lab.client.create("configmaps", config_map("never"), dry_run=True)
    lab.settle()
    assert deployments["default/d"].spec.replicas == 3

    @lab.controller(maps, name="maker")
    def maker(request, ctx):
        ctx.apply(config_map("made"))

    assert maker.step("default/any", dry_run=False).error is None
    lab.settle()
    assert "default/made" in maps
    lab.delete("deployments", "d", "default")
    lab.settle()
    assert len(deployments) == 0


def test_a_wait_of_a_manual_lab_on_a_socket_waits(box):
    """The server moves by itself, also where nothing is stepped."""
    with crlab.connect(url=box.url, allow_writes=True, driver="manual") as lab:
        maps = lab.informer("configmaps", namespace="default").wait_for_sync()
        box.client.create("configmaps", config_map("late"))
        lab.wait_until(lambda: "default/late" in maps)
        box.client.delete("configmaps", "late", namespace="default")
        lab.wait_until(lambda: "default/late" not in maps)
        with pytest.raises(SyncTimeout):
            lab.wait_until(lambda: len(maps) == 77, timeout_seconds=0.05)
