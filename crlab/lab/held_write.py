"""Which of a lab's own writes an informer holds.

From: the client's ledger of writes, and the cache. To: `pace.py`.

Guarantees:
  1. A write counts as held once the cache has reached it where it was made, or holds that
     state or a newer one; what the informer does not select must have left it.
  2. A deletion counts once the object of that uid is gone; what something still holds (a
     finalizer, a grace period) once its mark has come.
  3. What was held once is not looked at again.

Thread: any.
"""

from __future__ import annotations

from crlab.cache import SharedInformer
from crlab.cache.revision import has_reached, is_older
from crlab.client.write_ledger import WriteLedger, Written
from crlab.model.object import KubeObject
from crlab.model.plural import counted

_NAMED = 5


class HeldWrites:
    """One informer's place in the ledger of its lab's writes."""

    def __init__(self, shared: SharedInformer, ledger: WriteLedger) -> None:
        self._shared = shared
        self._ledger = ledger
        self._resource = shared.resource.gvr.group_resource
        self._number = 0  # everything up to it is held

    def missing(self) -> list[str]:
        """Say which writes are not held, one sentence each; [] if all are."""
        missing: list[Written] = []
        for number, written in self._ledger.since(self._number, self._resource):
            if not self._is_held(written):
                missing.append(written)
            elif not missing:
                self._number = max(self._number, number)
        found = [self._sentence(each) for each in missing[:_NAMED]]
        if len(missing) > _NAMED:
            found.append(f"and {counted(len(missing) - _NAMED, 'writes')} more")
        return found

    def _is_held(self, written: Written) -> bool:
        shared, namespace = self._shared, written.key.rpartition("/")[0]
        if not shared.selection.covers(namespace):
            return True
        version = shared.resource_version_in(namespace)  # before the state: it may only be newer
        held: KubeObject | None = shared.indexer.get_by_key(written.key)
        if written.is_gone:
            return _is_gone(written, held, version)
        is_in = shared.selection.is_everything or held is not None
        if written.object is not None:
            is_in = shared.selection.matches(written.object)
        if is_in and written.version and has_reached(version, written.version):
            return True
        if held is None:
            return not is_in or not written.version
        if not written.version:
            return _is_gone(written, held, version) or is_older(
                written.after, held.resource_version
            )
        return held.resource_version != "" and not is_older(held.resource_version, written.version)

    def _sentence(self, written: Written) -> str:
        where = self._shared.resource_version_in(written.key.rpartition("/")[0]) or "-"
        what = "the deletion of " if written.is_gone else ""
        version = f" at rv {written.version}" if written.version else ""
        return (
            f"{what}{written.key}{version}, a write of this lab, has not come: the cache is at "
            f"rv {where}, {self._shared.status}"
        )


def _is_gone(written: Written, held: KubeObject | None, version: str) -> bool:
    """Whether the cache has seen the object of a deletion go, or that something holds it."""
    if held is None:
        return not written.after or has_reached(version, written.after)
    if held.uid not in ("", written.uid):
        return not is_older(held.resource_version, written.after)
    return not written.is_certain and is_older(written.after, held.resource_version)
