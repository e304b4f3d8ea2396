"""What a reflector did, as a frame: asked, listed, watched, failed, waited.

From: the trace. To: `Informer.reflector_log`.

Thread: pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

import pandas as pd

from crlab.frame.array import seqs, texts, times
from crlab.model.plural import counted
from crlab.trace.record import TraceRecord

#: Parts of a query that say nothing about what is asked for.
_SILENT = ("watch", "timeoutSeconds")


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
        text = _what(row)
        if row.kind == "state" and reason:
            text = text if reason == told else f"{text}: {reason}"
        told = reason or str(row.get("error") or "") or told
        yield text


def _what(record: TraceRecord) -> str:
    data = record.data or {}
    match record.kind:
        case "state":
            return _transition(data)
        case "request":
            answer = data.get("status") or data.get("error") or "no answer"
            return f"{data.get('verb')} {asked(str(data.get('query') or ''))} → {answer}"
        case "listed":
            count, pages = int(data.get("count") or 0), int(data.get("pages") or 1)
            return f"{counted(count, 'objects')} in {counted(pages, 'pages')}"
        case "watch_event":
            return str(data.get("type"))
        case "error":
            return str(data.get("error"))
        case "audited":
            wrong = data.get("wrong") or ()
            return f"{counted(int(data.get('compared') or 0), 'keys')}: " + (
                ", ".join(map(str, wrong)) or "as served"
            )
    return ""


def _transition(data: Mapping[str, object]) -> str:
    text = f"{data.get('previous')} → {data.get('state')}"
    delay = data.get("delay_seconds")
    if isinstance(delay, int | float):
        text += f" for {delay:.1f} s"
    return text


def asked(query: str) -> str:
    """Return a query without the parts that are the same in every one; "-" if none is left."""
    parts = [part for part in query.split("&") if part and part.split("=")[0] not in _SILENT]
    return unquote(" ".join(parts)) or "-"
