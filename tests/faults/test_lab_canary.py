"""S5-S8, S10, S37: a planted secret is in nothing that a lab shows, keeps or saves."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from support.recorder_comm import recorded

import crlab
from crlab.errors import CrlabError

CANARY = "c4n4ry-in-the-c04l-mine"
ENCODED = base64.b64encode(CANARY.encode()).decode()
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def secret(generation: int) -> dict[str, Any]:
    """A Secret with the canary wherever one may be."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "s",
            "namespace": "default",
            "annotations": {
                LAST_APPLIED: json.dumps({"data": {"password": ENCODED}, "n": generation}),
                "note": f"Bearer {CANARY}",
            },
        },
        "type": "Opaque",
        "data": {"password": ENCODED, f"key{generation}": ENCODED},
    }


def pod() -> dict[str, Any]:
    """A Pod with the canary in an environment variable and in its last-applied copy."""
    env = [{"name": "DB_PASSWORD", "value": CANARY}]
    spec = {"containers": [{"name": "a", "image": "a:1", "env": env}]}
    annotations = {LAST_APPLIED: json.dumps({"spec": spec})}
    metadata = {"name": "p", "namespace": "default", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def carriers(generation: int) -> list[tuple[str, dict[str, Any]]]:
    """Objects of ordinary kinds with the canary wherever one may be."""

    def named(kind: str, name: str, **fields: Any) -> dict[str, Any]:
        group = "apps/v1" if kind == "Deployment" else "v1"
        annotations = {"password": CANARY, "note": f"Basic {ENCODED}", "n": str(generation)}
        metadata = {"name": name, "namespace": "default", "annotations": annotations}
        return {"apiVersion": group, "kind": kind, "metadata": metadata, **fields}

    config = {
        "password": f"{CANARY}{generation}",
        "url": f"postgres://u:p@{CANARY}/{generation}@db/x",
        "app.yaml": f"user: x\ndb:\n  password: {CANARY} {generation}\n",
        "kubeconfig.json": json.dumps({"users": [{"user": {"token": CANARY}}]}),
        "n": str(generation),
    }
    env = [{"name": "DBPASS", "value": CANARY}, {"name": "URL", "value": f"http://u:{CANARY}@h"}]
    args = [f"--password={CANARY}", "--token", CANARY, f"--header=Authorization: Bearer {CANARY}"]
    container = {"name": "a", "image": f"a:{generation}", "env": env, "args": args}
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template, "replicas": 0}
    return [
        ("configmaps", named("ConfigMap", "c", data=config)),
        ("deployments", named("Deployment", "d", spec=spec)),
    ]


def play(lab: crlab.Lab) -> Any:
    """Create, change, be refused, reconcile; return the controller."""

    @lab.controller("secrets")
    def copy(request, ctx):  # type: ignore[no-untyped-def]
        ctx.log(f"saw {ctx.object!r}")
        ctx.log(f"{ctx.get('configmaps', 'c')} {ctx.get('deployments', 'd')!r}")
        ctx.patch("secrets", "s", {"data": {"copy": ENCODED}})
        ctx.patch("configmaps", "c", {"data": {"api-token": f"{CANARY}"}})
        ctx.create(secret(3))  # refused: it is there

    lab.client.create("secrets", secret(0))
    lab.client.create("pods", pod())
    lab.informer("pods").wait_for_sync()
    for generation in (0, 1):
        for resource, body in carriers(generation):
            lab.apply(body)
            lab.informer(resource).wait_for_sync()
        lab.settle()
    copy.step()
    lab.client.patch("secrets", "s", secret(1), namespace="default")
    copy.step()
    lab.settle()
    return copy


@pytest.fixture
def lab() -> Iterator[crlab.Lab]:
    """A sandbox that has seen a secret."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as opened:
        yield opened


def refusals(lab: crlab.Lab) -> Iterator[str]:
    """What the server says of objects it refuses; it echoes them."""
    bad = secret(2)
    bad["data"]["password"] = CANARY + "!"
    for act in (
        lambda: lab.client.create("secrets", secret(0)),
        lambda: lab.client.create("secrets", bad | {"metadata": {"name": "bad"}}),
        lambda: lab.client.update("secrets", bad | {"type": "Other"}),
        lambda: lab.apply(pod() | {"spec": {"containers": []}}),
        lambda: lab.client.patch("secrets", "s", {"data": CANARY}, namespace="default"),
    ):
        try:
            act()
        except CrlabError as error:
            yield f"{error}{error!r}"


def surfaces(lab: crlab.Lab, copy: Any, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Every text a notebook can show, by name."""
    columns = {"all": ".", "data": ".data", "spec": ".spec", "text": (".data.password", "string"),
               "env": ".spec.template.spec.containers[*].env[*].value",
               "args": (".spec.template.spec.containers[*].args[2]", "string"),
               "one": lambda o: str(o.to_dict()) if hasattr(o, "to_dict") else str(dict(o)),
               "two": lambda o: o.get("data") or o["spec"]}  # fmt: skip
    for name in ("secrets", "pods", "configmaps", "deployments"):
        each = lab.informer(name)
        frames = [each.df, each.with_columns(wide=True, labels=True).df, each.events.df,
                  each.events.changes, each.memory(), each.with_columns(columns=columns).df,
                  each.at(each.shared.last_sync_resource_version).df]  # fmt: skip
        yield f"{name} frames", "".join(frame.to_csv() + frame.to_html() for frame in frames)
        yield f"{name} objects", repr([[obj, *obj.values()] for obj in each.objects()])
        yield f"{name} drafts", "".join(f"{d}{d!r}" for d in [each.draft(obj.key) for obj in each])
        yield f"{name} describe", "".join(str(each.describe(obj.key)) for obj in each.objects())
        yield f"{name} html", each._repr_html_()
    yield "steps", "".join(f"{r}{r!r}{r.traceback}{[c.__dict__ if hasattr(c, '__dict__') else repr(c) for c in r.calls]}" for r in copy.history)  # fmt: skip # noqa: E501
    yield "calls", repr(copy.history)
    for key in ("default/s", "default/c", "default/d", "default/p"):
        yield f"story {key}", f"{lab.explain(key)}{lab.explain(key).df.to_csv()}"
        yield f"timeline {key}", lab.timeline(key).to_csv()
    yield "trace", repr(list(lab.trace))
    yield "requests", lab.requests.to_csv()
    yield "audit log", lab.audit_log.to_csv()
    yield "tree", str(lab.tree("secrets", "default/s"))
    yield "rights", str(lab.rbac(copy))
    yield "refusals", "".join(refusals(lab))
    yield "doctor", repr(crlab.doctor())
    with lab.record(tmp_path / "run"):
        pass
    yield "recording", gzip.decompress((tmp_path / "run").read_bytes()).decode()


def leaks(found: dict[str, str]) -> list[str]:
    """Where the canary is, in clear or encoded."""
    return [name for name, text in found.items() if CANARY in text or ENCODED in text]


def test_no_secret_byte_in_anything_a_lab_shows(
    lab: crlab.Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Debug logging on; the names of the keys and their lengths are there."""
    caplog.set_level(logging.DEBUG)
    copy = play(lab)
    found = dict(surfaces(lab, copy, tmp_path)) | {"log": caplog.text}

    assert not leaks(found)
    assert f"<redacted: {len(CANARY)} bytes>" in found["secrets objects"]
    assert CANARY in repr(lab.informer("configmaps")["default/c"].to_dict())  # truth to code
    assert CANARY in repr(lab.informer("pods")["default/p"].to_dict())
    assert CANARY not in repr(lab.informer("secrets")["default/s"].to_dict())
    assert "~ .metadata.annotations.n" not in found["secrets frames"]
    assert (
        ".data.password: <redacted: 24 bytes> → <redacted: 24 bytes> (changed)"
        in (found["configmaps frames"])
    )
    assert [type(record.error).__name__ for record in copy.history] == ["AlreadyExists"] * 2
    assert len(found) > 15
    bare = lab.informer("secrets", include_secrets=True).wait_for_sync()
    lab.settle()
    assert ENCODED in repr(bare["default/s"].to_dict())  # what is searched for can be found


def test_no_secret_byte_in_any_widgets_state(lab: crlab.Lab) -> None:
    """S8: the state of a widget may be saved into a notebook."""
    from ipywidgets.embed import dependency_state

    copy = play(lab)
    informer = lab.informer("secrets")
    views = [informer.watch(), informer.events.watch(), informer.rates.watch(by="key"),
             copy.stepper(), lab.pipeline(), lab.time_slider(informer)]  # fmt: skip
    for name in ("configmaps", "deployments", "pods"):
        each = lab.informer(name, columns={"spec": ".", "password": ".data.password"})
        views += [each.watch(), each.events.watch(), lab.time_slider(each)]
        views[-2].open(each.events.events()[-1].seq) if len(each.events) else None

    found = {}
    with recorded() as recorder:
        for view in views:
            state = dependency_state([view.widget], drop_defaults=False)
            view.render()
            found[repr(view)] = json.dumps(state, default=str) + view.to_text() + view.to_html()
        found["messages"] = repr(recorder.__dict__)

    assert not leaks(found)
    assert all(len(text) > 200 for text in found.values()), found


def test_no_secret_byte_in_a_saved_notebook(tmp_path: Path) -> None:
    """The whole of it: outputs, tracebacks and the widgets' state in the metadata."""
    source = Path(__file__).read_text().split("@pytest.fixture")[0]
    cells = [
        source.replace("import pytest\nfrom support.recorder_comm import recorded\n", "").replace(
            "import nbclient\nimport nbformat\n", ""
        ),
        "lab = crlab.sandbox(seed=0, driver='manual', controllers=False); copy = play(lab)",
        "lab.informer('secrets').df",
        "lab.informer('configmaps', columns={'data': '.data', 'all': '.'}).df",
        "lab.informer('deployments')['default/d'].spec",
        "lab.informer('configmaps').draft('default/c')",
        "lab.informer('configmaps').events.changes",
        "lab.informer('secrets').watch()",
        "lab.informer('secrets').events.watch()",
        "copy.stepper()",
        "lab.pipeline()",
        "print(lab.explain('default/s'), lab.informer('pods').describe('default/p'))",
        "lab.client.create('secrets', secret(0))",
        "copy.history[-1]",
        "lab.pipeline().close()",
    ]
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells]

    client = nbclient.NotebookClient(notebook, timeout=60, allow_errors=True, kernel_name="python3")
    client.execute(cwd=str(tmp_path))

    for cell in notebook.cells:
        cell.source = ""  # ours plants the canary; what was made of it is judged
    saved = nbformat.writes(notebook)
    errors = [out.ename for cell in notebook.cells for out in cell.outputs if "ename" in out]
    assert errors == ["AlreadyExists"], errors
    assert "widget-view+json" in saved
    assert notebook.metadata.get("widgets")
    assert not leaks({"notebook": saved})
