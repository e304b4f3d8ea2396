"""Requests as a frame.

Thread: any; pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crlab.frame.array import floats, seqs, texts, times

_TEXTS = ("actor", "verb", "resource", "namespace", "name", "subresource", "query")


def requests_frame(records: Iterable[Any]) -> pd.DataFrame:
    """Return request records as a frame.

    Shape:
        Index "seq" (int64, place in the trace); time (datetime64[us, UTC]), actor, verb,
        resource, namespace, name, subresource, query (str), status (int64, 0 if no answer
        came), duration_seconds (float64), bytes_sent, bytes_received (int64), error (str).
    """
    rows: Sequence[Any] = list(records)
    data: dict[str, Any] = {"time": times([row.at for row in rows])}
    for name in _TEXTS:
        data[name] = texts(getattr(row, name) for row in rows)
    data["status"] = np.array([row.status for row in rows], dtype=np.int64)
    data["duration_seconds"] = floats([row.duration_seconds for row in rows])
    for name in ("bytes_sent", "bytes_received"):
        data[name] = np.array([getattr(row, name) for row in rows], dtype=np.int64)
    data["error"] = texts(row.error for row in rows)
    return pd.DataFrame(data, index=seqs([row.seq for row in rows]))
