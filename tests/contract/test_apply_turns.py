"""`lab.apply` and `kubectl apply` on one object, in turns: each removes what left its manifest."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.kubectl import KUBECTL

import crlab

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on PATH"),
]
FULL: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": "default", "labels": {"team": "a", "old": "x"}},
    "spec": {
        "selector": {"matchLabels": {"app": "d"}},
        "template": {
            "metadata": {"labels": {"app": "d"}},
            "spec": {
                "containers": [
                    {"name": "c", "image": "x"},
                    {"name": "helper", "image": "y"},
                ]
            },
        },
    },
}


def test_kubectl_and_a_lab_apply_in_turns(tmp_path: Path) -> None:
    """Client-side apply, the lab, client-side again, the lab again, an export of kubectl's."""
    less = copy.deepcopy(FULL)
    del less["metadata"]["labels"]["old"]
    less["spec"]["template"]["spec"]["containers"].pop()
    with crlab.sandbox(controllers=False) as lab:
        config = str(lab.write_kubeconfig(tmp_path / "kubeconfig"))

        def kubectl(*arguments: str, manifest: Any = None) -> str:
            command = [str(KUBECTL), "--kubeconfig", config, *arguments]
            given = None if manifest is None else json.dumps(manifest)
            done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
            return done.stdout

        def found() -> tuple[set[str], set[str]]:
            obj = lab.get("deployments", "d")
            containers = obj["spec"]["template"]["spec"]["containers"]
            return set(obj["metadata"]["labels"]), {c["name"] for c in containers}

        for _ in range(2):
            kubectl("apply", "-f", "-", manifest=FULL)
            assert found() == ({"team", "old"}, {"c", "helper"})
            lab.apply(less)
            assert found() == ({"team"}, {"c"})
        assert [a.operation for a in lab.apply(less)] == ["unchanged"]
        lab.apply(kubectl("get", "deployment", "d", "-o", "yaml"))
        assert found() == ({"team"}, {"c"})
