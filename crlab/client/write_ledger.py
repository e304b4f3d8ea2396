"""What a write's answer says it did, and the newest writes of one client.

From: `requester` (every answered write that is no dry run). To: a lab that waits for its own
writes, and a controller's reads, which lay them over the cache.

Guarantees:
  1. What is certain is told apart from what is likely: an object is gone only if the answer
     cannot be of one that finalizers or a grace period still hold.
  2. At most `MAX_WRITES` are kept; of a Secret no value.

Thread: any; `_lock` guards the list.
Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Delete, DeleteCollection).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from itertools import count
from typing import Any

import msgspec

from crlab.errors import DecodeError, KeyFuncError
from crlab.model.key import join_key
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource

MAX_WRITES = 1000
_FINISHED = ("Succeeded", "Failed")


class Written(msgspec.Struct, frozen=True):
    """What one write did to one object.

    Attributes:
        uid: "" if the answer does not say.
        version: of the new state, or of the deletion; "" if the answer does not say.
        after: a version that is older than that for certain; "" if none is known.
        object: the new state; None: gone, or changed in a way that the answer does not say.
        replicas: what a scale was set to.
        is_gone: whether it is deleted, not only marked for it.
        is_certain: of a deletion: False if something unseen may still hold the object.
    """

    key: str
    uid: str = ""
    version: str = ""
    after: str = ""
    object: KubeObject | None = None
    replicas: int | None = None
    is_gone: bool = False
    is_certain: bool = True


def written_by(
    verb: str,
    resource: ApiResource,
    namespace: str,
    name: str,
    subresource: str,
    answer: Mapping[str, Any],
    body: bytes | None = None,
) -> list[Written]:
    """Return what an answered write did; [] if its answer does not tell.

    Args:
        body: the answer as it came, where it need not be written again.
    """
    if verb == "deletecollection":
        items = answer.get("items")
        return [_collected(x) for x in (items if isinstance(items, list) else ()) if _name_of(x)]
    metadata = _part(answer, "metadata")
    version, uid = str(metadata.get("resourceVersion") or ""), str(metadata.get("uid") or "")
    key = join_key(namespace, name) if name else ""
    if verb == "delete" and answer.get("kind") == "Status":
        return [Written(key, str(_part(answer, "details").get("uid") or ""), is_gone=True)]
    if subresource == "scale":
        replicas = _part(answer, "spec").get("replicas", 0)
        return [Written(key, uid, version, replicas=replicas)] if version and key else []
    if answer.get("kind") != resource.kind:
        return []  # of another subresource: a token, a binding
    try:
        obj = KubeObject.of(answer) if body is None else KubeObject(body)
    except (DecodeError, KeyFuncError):
        return []
    if (verb == "delete" and not metadata.get("deletionTimestamp")) or _is_released(answer):
        # Some servers say the version of the deletion, some that of the state before it.
        return [Written(obj.key, uid, after=version, is_gone=True)]
    return [Written(obj.key, uid, version, object=obj)]


def _is_released(obj: Mapping[str, Any]) -> bool:
    """Whether an answered object is marked for deletion and nothing holds it any more."""
    metadata = _part(obj, "metadata")
    return bool(
        metadata.get("deletionTimestamp")
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not _part(obj, "spec").get("finalizers")  # a namespace
    )


def _collected(item: Mapping[str, Any]) -> Written:
    """What happened to an item of a deleted collection; it is shown as it was before."""
    metadata, spec, status = (_part(item, field) for field in ("metadata", "spec", "status"))
    key = join_key(metadata.get("namespace"), str(metadata["name"]))
    before = str(metadata.get("resourceVersion") or "")
    is_graceful = bool(spec.get("nodeName")) and status.get("phase") not in _FINISHED
    is_gone = not (metadata.get("finalizers") or is_graceful)
    return Written(
        key, str(metadata.get("uid") or ""), after=before, is_gone=is_gone, is_certain=False
    )


def _name_of(item: Any) -> str:
    return str(_part(item, "metadata").get("name") or "")


def _part(tree: Any, field: str) -> Mapping[str, Any]:
    """Return a mapping in an answer; {} where a server sent something else."""
    found = tree.get(field) if isinstance(tree, Mapping) else None
    return found if isinstance(found, Mapping) else {}


class WriteLedger:
    """The newest writes of one client, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._writes: deque[tuple[int, str, Written]] = deque(maxlen=MAX_WRITES)

    def add(self, resource: ApiResource, written: list[Written]) -> None:
        """Keep what a write did."""
        with self._lock:
            for each in written:
                if each.object is not None and resource.kind == "Secret":
                    each = msgspec.structs.replace(each, object=_without_values(each.object))
                if each.is_gone and not each.after:
                    each = msgspec.structs.replace(each, after=self._last_locked(each))
                self._writes.append((next(self._numbers), resource.gvr.group_resource, each))

    def _last_locked(self, gone: Written) -> str:
        """Return the newest version of an object that this client wrote, "" if it wrote none."""
        assert self._lock.locked()
        made = (x.version for _, _, x in reversed(self._writes) if x.uid == gone.uid and x.version)
        return next(made, "") if gone.uid else ""

    def since(self, number: int, group_resource: str) -> list[tuple[int, Written]]:
        """Return the kept writes of a resource after the write `number`, each with its own."""
        with self._lock:
            if not self._writes or self._writes[-1][0] <= number:
                return []
            return [(n, w) for n, name, w in self._writes if n > number and name == group_resource]


def _without_values(secret: KubeObject) -> KubeObject:
    shown = ("apiVersion", "kind", "metadata", "type")
    return KubeObject.of({field: secret[field] for field in shown if field in secret})
