"""What is wrong in a lab now: as text, as a frame, as a live table.

From: the failures that the trace keeps, the informers' states, the credentials. To:
`Lab.problems`, `crlab.doctor()` and `crlab.testing.assert_converges`.

Guarantees:
  1. Present tense: what works again is gone; nothing is asked of any server.
  2. Every text is masked and escaped.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from crlab.model.escape import H, plain
from crlab.model.plural import counted
from crlab.model.redaction import mask_text
from crlab.trace.failure import Failure

if TYPE_CHECKING:
    import pandas as pd

    from crlab.cache import SharedInformer
    from crlab.runtime.clock import Clock
    from crlab.trace.record import Trace
    from crlab.widgets.table import TableView

MAX_SHOWN = 50


class Problems:
    """The problems of one lab; false, and of length 0, when all is well."""

    def __init__(
        self,
        clock: Clock,
        traces: Sequence[Trace],
        informers: Sequence[SharedInformer],
        credential_problem: Callable[[], Failure | None],
        view: Callable[[Problems, int], TableView],
    ) -> None:
        """Look at these.

        Args:
            clock: of the lab.
            traces: the lab's, and of the embedded server's own controllers.
            informers: whose state is told; the list is read each time.
            credential_problem: what keeps requests from authenticating now.
            view: makes the live table.
        """
        self._clock = clock
        self._traces = traces
        self._informers = informers
        self._credential_problem = credential_problem
        self._view = view

    def rows(self) -> list[Failure]:
        """Return what is wrong now, the oldest first."""
        found = [row for trace in self._traces for row in trace.failures.rows()]
        found += self._troubled()
        credentials = self._credential_problem()
        if credentials is not None:
            found.append(credentials)
        return sorted(map(_shown, found), key=lambda row: row.since)

    def _troubled(self) -> Iterator[Failure]:
        now = self._clock.now()
        for informer in list(self._informers):
            since = informer.trouble_since
            if since is not None:
                where = f"informer/{informer.source}"
                yield Failure("informer", where, "", str(informer.status), "", 1, since, now)

    @property
    def df(self) -> pd.DataFrame:
        """The problems as a frame; no rows: all is well.

        Shape:
            RangeIndex, the oldest first; since, time (datetime64[us, UTC]: the first and the
            newest failure), kind ("reconcile", "given up", "stuck", "mapper", "predicate",
            "event", "informer", "handler", "index", "transform", "audit", "column",
            "recorder", "credentials", "thread", …), where ("controller/web",
            "handler/pods-1", "informer/pods"), key ("namespace/name", "" if it is of none
            in particular), count (int64, since it last worked), cause, then (str).
        """
        import numpy as np
        import pandas as pd

        from crlab.frame.array import texts, times

        rows = self.rows()
        return pd.DataFrame(
            {
                "since": times([row.since for row in rows]),
                "time": times([row.at for row in rows]),
                "kind": texts(row.kind for row in rows),
                "where": texts(row.where for row in rows),
                "key": texts(row.key for row in rows),
                "count": np.array([row.count for row in rows], dtype=np.int64),
                "cause": texts(row.error for row in rows),
                "then": texts(row.then for row in rows),
            }
        )

    def watch(self, *, rows: int = 20) -> TableView:
        """Return the live table of the problems."""
        return self._view(self, rows)

    def __len__(self) -> int:
        return len(self.rows())

    def __iter__(self) -> Iterator[Failure]:
        return iter(self.rows())

    def __str__(self) -> str:
        rows = self.rows()
        if not rows:
            return "no problems"
        lines = [f"{counted(len(rows), 'problems')}:"]
        for row in rows[:MAX_SHOWN]:
            often = f" ({row.count} times)" if row.count > 1 else ""
            lines.append(f"  {row}{often}")
        if len(rows) > MAX_SHOWN:
            lines.append(f"  … and {len(rows) - MAX_SHOWN} more")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return str(H.pre(str(self)))


def _shown(row: Failure) -> Failure:
    """Return a row as it may be shown."""
    return msgspec.structs.replace(
        row,
        where=plain(mask_text(row.where)),
        key=plain(row.key),
        error=plain(mask_text(row.error)),
        then=plain(mask_text(row.then)),
    )
