"""What is wrong in a lab now: as text, as a frame, as a live table.

From: the failures that the trace keeps, the informers' states, the credentials. To:
`Lab.problems`, `crlab.doctor()` and `crlab.testing.assert_converges`.

Guarantees:
  1. Present tense: what works again is gone; nothing is asked of any server.
  2. Every text is masked and escaped.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from crlab.model.escape import H, plain
from crlab.model.plural import counted
from crlab.model.redaction import mask_text
from crlab.trace.failure import Failure

if TYPE_CHECKING:
    import pandas as pd

    from crlab.lab.lab import Lab
    from crlab.widgets.table import TableView

MAX_SHOWN = 50


class Problems:
    """The problems of one lab; false, and of length 0, when all is well."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def rows(self) -> list[Failure]:
        """Return what is wrong now, the oldest first."""
        lab = self._lab
        found = [*lab.trace.failures.rows(), *self._informers(), *self._credentials()]
        if lab.builtin_trace is not None:
            found += lab.builtin_trace.failures.rows()
        return sorted(map(_shown, found), key=lambda row: row.since)

    def _informers(self) -> Iterator[Failure]:
        if self._lab.kind == "replay":
            return  # a recording's server is not there to be live
        now = self._lab.clock.now()
        for informer in self._lab.informers:
            since = informer.shared.trouble_since
            if since is not None:
                where = f"informer/{informer.shared.source}"
                yield Failure("informer", where, "", str(informer.status), "", 1, since, now)

    def _credentials(self) -> Iterator[Failure]:
        error, since = self._lab.credential_error
        if error:
            kind, now = self._lab.connection[1], self._lab.clock.now()
            yield Failure("credentials", kind, "", error, "", 1, since, now)

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
        from crlab.lab.view import problems_view

        return problems_view(self._lab, self, rows=rows)

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
