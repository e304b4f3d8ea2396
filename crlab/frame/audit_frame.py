"""What an audit of a cache found, and the embedded server's audit log, as frames.

Thread: any; an audit sends one list.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crlab.cache import SharedInformer
from crlab.frame.array import floats, texts, times


def audit_frame(shared: SharedInformer) -> pd.DataFrame:
    """Return the differences between cache and server; none is an empty frame.

    Shape:
        Index "key" (str); problem, cached_version, server_version (str). ``attrs``:
        compared, cache_version, server_version, is_exact.
    """
    audit = shared.audit()
    frame = pd.DataFrame(
        {
            "problem": texts(row.problem for row in audit.rows),
            "cached_version": texts(row.cached_version for row in audit.rows),
            "server_version": texts(row.server_version for row in audit.rows),
        },
        index=pd.Index(texts(row.key for row in audit.rows), name="key"),
    )
    frame.attrs.update(
        compared=audit.compared,
        cache_version=audit.cache_version,
        server_version=audit.server_version,
        is_exact=audit.is_exact,
    )
    return frame


def audit_log_frame(records: Any) -> pd.DataFrame:
    """Return the server's audit records as a frame; see `Sandbox.audit_log`."""
    rows = list(records() if callable(records) else records)
    data: dict[str, Any] = {"time": times([row.received_at for row in rows])}
    for name in ("user", "user_agent", "verb", "group", "resource", "subresource", "namespace"):
        data[name] = texts(getattr(row, name) for row in rows)
    data["name"] = texts(row.name for row in rows)
    data["code"] = np.array([row.code for row in rows], dtype=np.int64)
    data["duration_seconds"] = floats([row.duration_seconds for row in rows])
    for name in ("request_bytes", "response_bytes", "revision"):
        data[name] = np.array([getattr(row, name) for row in rows], dtype=np.int64)
    data["fault"] = texts(row.fault for row in rows)
    return pd.DataFrame(data)
