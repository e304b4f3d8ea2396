"""What a reflector did, as a frame: asked, listed, watched, failed, waited.

From: the trace. To: `Informer.reflector_log`.

Thread: pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from crlab.frame.array import seqs, texts, times
from crlab.trace.record import TraceRecord
from crlab.trace.sentence import brief_of


def reflector_log(records: Iterable[TraceRecord], resource: str) -> pd.DataFrame:
    """Return what the reflectors of one resource ("plural.group") did, oldest first.

    Shape:
        Index "seq" (int64, place in the trace); time (datetime64[us, UTC]), kind ("state",
        "request", "listed", "watch_event", "bookmark", "error", "audited"), key,
        resource_version, what (str).
    """
    actor = f"informer/{resource}"
    rows = [
        record
        for record in records
        if record.resource == resource
        and (record.stage == "reflector" or record.get("actor") == actor)
    ]
    return pd.DataFrame(
        {
            "time": times([row.at for row in rows]),
            "kind": texts(row.kind for row in rows),
            "key": texts(row.key for row in rows),
            "resource_version": texts(row.resource_version for row in rows),
            "what": texts(_told(rows)),
        },
        index=seqs([row.seq for row in rows]),
    )


def _told(rows: Iterable[TraceRecord]) -> Iterator[str]:
    """Say what each record is, without repeating a reason that was just told."""
    told = ""
    for row in rows:
        reason = str(row.get("reason") or "")
        text = brief_of(row)
        if row.kind == "state" and reason:
            text = text if reason == told else f"{text}: {reason}"
        told = reason or str(row.get("error") or "") or told
        yield text
