"""Is the cache what the server holds? A list at exactly the cache's revision, compared.

client-go has this only as a panic in its own tests. Rows are plain data; the frame floor
makes a DataFrame of them.

Thread: any; one list request, none of the informer's locks is held meanwhile.
Source: kubernetes/client-go:tools/cache/reflector_data_consistency_detector.go (rule 24).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crlab.cache import revision
from crlab.client.list_watch import ListerWatcher, ListOptions
from crlab.errors import BadRequest, CrlabError, Invalid, ResourceExpired, ServerTimeout
from crlab.model.object import KubeObject


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One difference.

    Attributes:
        problem: "missing" (only the server has it), "extra" (only the cache has it),
            "version" (both, at different versions), "content" (same version, other bytes),
            or "moving" (changed while the audit ran, because no exact list was to be had).
    """

    key: str
    problem: str
    cached_version: str = ""
    server_version: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """What a comparison found.

    Attributes:
        rows: differences, sorted by key.
        compared: how many keys were looked at.
        cache_version, server_version: the revisions that were compared.
        is_exact: whether both are the same revision; else rows newer than the cache's are
            "moving", not wrong.
    """

    rows: tuple[AuditRow, ...]
    compared: int
    cache_version: str
    server_version: str
    is_exact: bool

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return all(row.problem == "moving" for row in self.rows)


def listed_at(lister_watcher: ListerWatcher, version: str) -> tuple[list[KubeObject], str, bool]:
    """Return the server's objects at exactly `version`, or the newest if that is gone.

    Raises:
        ApiError, TransportError, DecodeError: as `ListerWatcher.list`.
    """
    exact = ListOptions(resource_version=version, resource_version_match="Exact")
    if version and version != "0":
        try:
            page = lister_watcher.list(exact)
            return page.items, page.resource_version, page.resource_version == version
        except (ResourceExpired, BadRequest, Invalid, ServerTimeout):
            pass  # compacted, or a server without exact lists
    page = lister_watcher.list(ListOptions())
    if page.continue_token:
        raise CrlabError("the server answered an unpaged list with a page; nothing to compare")
    return page.items, page.resource_version, page.resource_version == version


def compare(
    cached: Mapping[str, KubeObject | None],
    served: Sequence[KubeObject],
    *,
    cache_version: str,
    server_version: str,
    exact: bool,
    with_content: bool,
) -> Audit:
    """Compare a cache with a list.

    Args:
        with_content: whether the cache keeps whole objects (no transform, no redaction).
    """
    truth = {obj.key: obj for obj in served}
    rows = []
    for key in sorted({*cached, *truth}):
        problem = _problem(cached.get(key), truth.get(key), cache_version, exact, with_content)
        if problem:
            here, there = cached.get(key), truth.get(key)
            rows.append(
                AuditRow(
                    key,
                    problem,
                    here.resource_version if here is not None else "",
                    there.resource_version if there is not None else "",
                )
            )
    compared = len({*cached, *truth})
    return Audit(tuple(rows), compared, cache_version, server_version, exact)


def together(audits: Sequence[Audit]) -> Audit:
    """Return the audits of several namespaces as one."""
    if len(audits) == 1:
        return audits[0]
    return Audit(
        tuple(sorted((row for each in audits for row in each.rows), key=lambda row: row.key)),
        sum(each.compared for each in audits),
        revision.oldest_of([each.cache_version for each in audits]),
        revision.oldest_of([each.server_version for each in audits]),
        all(each.is_exact for each in audits),
    )


def _problem(
    here: KubeObject | None,
    there: KubeObject | None,
    cache_version: str,
    exact: bool,
    with_content: bool,
) -> str:
    if here is None:
        assert there is not None
        is_newer = revision.is_older(cache_version, there.resource_version)
        return "moving" if is_newer and not exact else "missing"
    if there is None:
        return "extra" if exact else "moving"
    if here.resource_version != there.resource_version:
        is_newer = revision.is_older(cache_version, there.resource_version)
        return "moving" if is_newer and not exact else "version"
    return "content" if with_content and here != there else ""
