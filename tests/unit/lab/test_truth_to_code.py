"""No sequence of public reads and writes changes a value that it did not name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crlab

SECRET = "hunter2-real"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
TEXTS = st.sampled_from(
    [
        SECRET,
        f"http://u:{SECRET}@h",
        f"Bearer {SECRET}{SECRET}",
        "ghp_" + "a1B2" * 9,
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f'{{"auths":{{"r.io":{{"auth":"{SECRET}"}}}}}}',
        f"user: x\npassword: {SECRET}\n",
    ]
)
NAMES = st.sampled_from(["password", "API_KEY", "colour"])
MAPS = st.dictionaries(NAMES, TEXTS, min_size=1)
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            }
                        },
                    }
                },
            }
        ],
    },
}


class Scene:
    """A sandbox with informers of three kinds, and a controller that does what it is told."""

    def __init__(self) -> None:
        self.lab = lab = crlab.sandbox(seed=0, driver="manual", controllers=False)
        lab.apply(CRD)
        self.act: Any = None

        @lab.controller("configmaps", owns=["deployments", "widgets"])
        def work(request, ctx):  # type: ignore[no-untyped-def]
            act, self.act = self.act, None
            if act is not None:
                act(ctx)

        self.controller = work
        self.informers = {n: lab.informer(n) for n in ("configmaps", "deployments", "widgets")}
        lab.wait_for_cache_sync()
        self.count = 0

    def create(self, values: dict[str, str], text: str) -> dict[str, str]:
        """Make an object of each kind, with these values; return their names by resource."""
        self.count += 1
        meta = {
            "name": f"x{self.count}",
            "namespace": "default",
            "annotations": {**values, LAST_APPLIED: json.dumps(values)},
        }
        env = [{"name": name, "value": value} for name, value in values.items()]
        container = {"name": "a", "image": "a:1", "env": env, "args": ["--password", text, text]}
        labels = {"app": "a"}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        bodies = {
            "configmaps": {"apiVersion": "v1", "kind": "ConfigMap", "data": {**values, "t": text}},
            "deployments": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
            },
            "widgets": {
                "apiVersion": "example.com/v1",
                "kind": "Widget",
                "spec": {**values, "env": env, "list": [text], "auths": {"a": {"auth": text}}},
            },
        }
        for resource, body in bodies.items():
            self.lab.client.create(resource, body | {"metadata": meta})
        self.lab.settle()
        return dict.fromkeys(bodies, meta["name"])

    def stored(self, resource: str, name: str) -> dict[str, Any]:
        """What the server holds, without what every write changes."""
        tree = self.lab.client.get(resource, name, namespace="default")
        for field in ("resourceVersion", "managedFields", "generation"):
            tree["metadata"].pop(field, None)
        tree["metadata"].get("labels", {}).pop("mark", None)
        if not tree["metadata"].get("labels", True):
            del tree["metadata"]["labels"]
        return tree

    def reconcile(self, name: str, act: Any) -> None:
        """Do something within a reconcile."""
        self.act = act
        self.controller.queue.add(f"default/{name}")
        record = self.controller.step(f"default/{name}")
        assert record is not None
        assert record.error is None, record.traceback


def _mark(obj: Any, mark: str) -> Any:
    obj["metadata"].setdefault("labels", {})["mark"] = mark
    return obj


def draft_update(scene: Scene, resource: str, name: str, mark: str) -> None:
    draft = scene.informers[resource].draft(f"default/{name}")
    scene.lab.client.update(resource, _mark(draft, mark))


def lab_apply(scene: Scene, resource: str, name: str, mark: str) -> None:
    tree = scene.informers[resource][f"default/{name}"].to_dict()
    del tree["metadata"]["managedFields"]
    scene.lab.apply(_mark(tree, mark))


def ctx_update(scene: Scene, resource: str, name: str, mark: str) -> None:
    scene.reconcile(name, lambda ctx: ctx.update(_mark(ctx.get(resource, name), mark)))


def ctx_patch(scene: Scene, resource: str, name: str, mark: str) -> None:
    def act(ctx: Any) -> None:
        known = ctx.get(resource, name)
        part = "data" if resource == "configmaps" else "spec"
        body = {part: known[part].to_dict(), "metadata": {"labels": {"mark": mark}}}
        ctx.patch(resource, name, body)

    scene.reconcile(name, act)


def ctx_apply(scene: Scene, resource: str, name: str, mark: str) -> None:
    def act(ctx: Any) -> None:
        known = _mark(ctx.get(resource, name).to_dict(), mark)
        del known["metadata"]["managedFields"]
        ctx.apply(known)

    scene.reconcile(name, act)


def mapping_update(scene: Scene, resource: str, name: str, mark: str) -> None:
    obj = scene.informers[resource][f"default/{name}"]
    tree = {field: obj[field] for field in obj} | {"metadata": dict(obj.metadata)}
    tree["metadata"]["labels"] = {**dict(obj.metadata.get("labels") or {}), "mark": mark}
    scene.lab.client.update(resource, json.loads(json.dumps(tree, default=_plain)))


def _plain(view: Any) -> Any:
    return dict(view) if hasattr(view, "keys") else list(view)


WAYS = [draft_update, lab_apply, ctx_update, ctx_patch, ctx_apply, mapping_update]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.lab.close()


@settings(deadline=None, max_examples=20)
@given(MAPS, TEXTS, st.lists(st.sampled_from(WAYS), min_size=1, max_size=4))
def test_no_reads_and_writes_change_a_value_they_did_not_name(
    scene: Scene, values: dict[str, str], text: str, ways: list[Any]
) -> None:
    """Through drafts, contexts, dicts and views, of three kinds, one after the other."""
    names = scene.create(values, text)
    before = {resource: scene.stored(resource, name) for resource, name in names.items()}
    assert text in json.dumps(list(before.values())) or "\n" in text or '"' in text
    for number, way in enumerate(ways):
        for resource, name in names.items():
            way(scene, resource, name, str(number))
            scene.lab.settle()
            assert scene.stored(resource, name) == before[resource], way.__name__


def test_what_a_write_changed_is_shown_masked_and_as_a_change(scene: Scene) -> None:
    """The step says that a password changed, and neither the old nor the new one."""
    names = scene.create({"password": SECRET}, "x")

    def act(ctx: Any) -> None:
        config = ctx.get("configmaps", names["configmaps"])
        config.data.password = "hunter3-longer"
        ctx.update(config)
        assert ctx.get("configmaps", names["configmaps"]).data.password == "hunter3-longer"

    scene.reconcile(names["configmaps"], act)

    record = scene.controller.history[-1]
    assert "~ .data.password: '<redacted: 12 bytes>' → '<redacted: 14 bytes>'" in str(record)
    assert "hunter" not in f"{record}{record!r}{record.calls!r}"


def test_a_cached_read_of_a_secret_is_masked_before_and_after_an_own_write(scene: Scene) -> None:
    """A reconcile that compares is never told two forms of one state."""
    lab, seen = scene.lab, []
    lab.client.create("secrets", {"metadata": {"name": "s"}, "stringData": {"a": "one"}})

    @lab.controller("secrets", name="reader")
    def reader(request, ctx):  # type: ignore[no-untyped-def]
        seen.append(ctx.get("secrets", "s").data.a)
        ctx.patch("secrets", "s", {"stringData": {"a": "three"}})
        seen.append(ctx.get("secrets", "s").data.a)
        seen.append(ctx.get("secrets", "s", live=True).data.a)

    lab.settle()
    record = reader.step("default/s")
    assert seen == ["<redacted: 3 bytes>", "<redacted: 5 bytes>", "dGhyZWU="]
    assert "~ .data.a: '<redacted: 3 bytes>' → '<redacted: 5 bytes>'" in str(record)


def test_a_mask_within_cached_objects_would_be_found(scene: Scene) -> None:
    """The seeded bug: objects that are masked when they are taken in."""
    from crlab.model.redaction import redact_kube_object

    names = scene.create({"password": SECRET}, SECRET)
    before = scene.stored("widgets", names["widgets"])
    key = f"default/{names['widgets']}"
    masked = redact_kube_object(scene.informers["widgets"][key])
    with mock.patch.object(type(scene.informers["widgets"]), "__getitem__", return_value=masked):
        try:
            draft_update(scene, "widgets", names["widgets"], "1")
        except crlab.errors.CrlabError:
            return  # refused at the door
    assert scene.stored("widgets", names["widgets"]) != before
