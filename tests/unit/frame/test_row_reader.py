"""What is decoded for columns, and what their cells are."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from crlab.frame.column_set import choose_columns
from crlab.frame.row_reader import RowReader
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionResource

OBJECT = KubeObject.of({"metadata": {"name": "web", "a\x00b": "c"}, 'q"q': "q", "b\\s": "b"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.metadata['a\x00b']", "c"),
        ("$['q\"q']", "q"),
        ("$['b\\\\s']", "b"),
        ("$", OBJECT.to_dict()),
    ],
)
def test_any_path_can_be_a_column(path: str, value: object) -> None:
    """A control character, a quote, a backslash, the whole object: beside ordinary columns."""
    columns = [c for c in choose_columns(None, {"x": (path, "object")}) if c.name in ("name", "x")]
    assert RowReader(columns).read([OBJECT])[-1][0] == value


def _pod(number: int, **parts) -> KubeObject:
    metadata = {"name": f"p{number}", "namespace": "d", **parts.pop("metadata", {})}
    return KubeObject(json.dumps({"kind": "Pod", "metadata": metadata, **parts}).encode())


READY = [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"}]
RUNNING = {"name": "m", "ready": True, "restartCount": 2, "state": {"running": {}}}
ENDED = {"terminated": {"exitCode": 3, "finishedAt": "2026-01-01T00:00:00Z"}}
INITS = [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]
PODS = [
    _pod(0),
    _pod(1, spec={"containers": [{}]}, status={"phase": "Running", "conditions": READY}),
    _pod(2, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}, status={"phase": "Running"}),
    _pod(3, spec={"initContainers": INITS}, status={"initContainerStatuses": [{"state": ENDED}]}),
    _pod(4, status={"reason": "Evicted", "podIPs": [{"ip": "10.0.0.1"}], "podIP": "10.0.0.2"}),
    _pod(5, spec={"nodeName": "n", "readinessGates": [{"conditionType": "Ready"}]},
         status={"conditions": READY, "containerStatuses": [RUNNING], "nominatedNodeName": "x"}),
    _pod(6, metadata={"labels": {"a": "b"}, "ownerReferences": [{"kind": "J", "name": "j"}]}),
    _pod(7, spec=[1], status="odd", metadata={"labels": 5}),
]  # fmt: skip


@pytest.mark.parametrize("pods", [PODS, PODS[:-1], PODS[:-1] * 5], ids=["odd", "all", "many"])
def test_a_function_finds_all_it_looks_at(pods):
    """Decoding only the fields a column names gives what the whole object gives."""
    resource = ApiResource(GroupVersionResource("", "v1", "pods"), "Pod", True)
    columns = choose_columns(resource, labels=True, conditions=True, owner=True, wide=True)
    assert sum(column.looks_at is not None for column in columns) > 8
    whole = [replace(column, looks_at=None) for column in columns]
    assert RowReader(columns)._decode is not None
    assert RowReader(columns).read(pods) == RowReader(whole).read(pods)
