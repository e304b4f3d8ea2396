"""Objects, indexers and frames for tests of the frame room."""

from __future__ import annotations

import json
from typing import Any

from crlab.cache.indexer import Indexer
from crlab.frame import LiveFrame
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionResource

SERVICES = ApiResource(GroupVersionResource("example.com", "v1", "myservices"), "MyService", True)
COLUMNS = [
    {"name": "Image", "type": "string", "jsonPath": ".spec.image"},
    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
    {"name": "Load", "type": "number", "jsonPath": ".status.load"},
    {"name": "Paused", "type": "boolean", "jsonPath": ".spec.paused"},
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]
DTYPES = {
    "namespace": "str",
    "name": "str",
    "image": "str",
    "replicas": "Int64",
    "load": "Float64",
    "paused": "boolean",
    "phase": "str",
    "created": "datetime64[us, UTC]",
}


def thing(name: str, rv: int = 1, *, namespace: str = "d", **parts: Any) -> KubeObject:
    """One MyService."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "resourceVersion": str(rv),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        **parts.pop("metadata", {}),
    }
    body = {"apiVersion": "example.com/v1", "kind": "MyService", "metadata": metadata, **parts}
    return KubeObject(json.dumps(body).encode())


def indexer_of(*objects: KubeObject) -> Indexer:
    """A filled indexer."""
    indexer = Indexer()
    put(indexer, *objects)
    return indexer


def put(indexer: Indexer, *objects: KubeObject, gone: tuple[str, ...] = ()) -> None:
    """Store and delete in one step."""
    version = max((int(o.resource_version or 0) for o in objects), default=0)
    indexer.apply([*((o.key, o) for o in objects), *((key, None) for key in gone)], str(version))


def frame_of(indexer: Indexer, **options: Any) -> LiveFrame:
    """A live frame with the six printer columns."""
    options.setdefault("definitions", COLUMNS)
    return LiveFrame(indexer, resource=SERVICES, **options)


def types_of(frame: Any) -> dict[str, str]:
    """Column → dtype, as text."""
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}
