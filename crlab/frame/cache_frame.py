"""An informer's audit and weight as frames.

Thread: any; the audit sends one list.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crlab.cache import DeletedFinalStateUnknown, SharedInformer
from crlab.errors import error_text
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


def memory_frame(shared: SharedInformer, top: int) -> pd.DataFrame:
    """Return the heaviest fields.

    Shape:
        Index "path" (str); bytes (int64), share (float64, 0 to 1), objects (int64).
        ``attrs``: objects, json_bytes, overhead_bytes.
    """
    memory: Any = shared.memory()
    fields = memory.fields[:top]
    frame = pd.DataFrame(
        {
            "bytes": np.array([field.bytes for field in fields], dtype=np.int64),
            "share": np.array([field.share for field in fields], dtype=np.float64),
            "objects": np.array([field.objects for field in fields], dtype=np.int64),
        },
        index=pd.Index(texts(field.path for field in fields), name="path"),
    )
    frame.attrs.update(
        objects=memory.objects,
        json_bytes=memory.json_bytes,
        overhead_bytes=memory.overhead_bytes,
    )
    return frame


def deltas_frame(shared: SharedInformer) -> pd.DataFrame:
    """Return what waits between reflector and cache; see `Informer.deltas`."""
    rows = shared.queue.snapshot()
    return pd.DataFrame(
        {
            "type": texts(str(row.type) for row in rows),
            "key": texts(row.key for row in rows),
            "resource_version": texts(row.resource_version for row in rows),
            "is_tombstone": np.array(
                [isinstance(row.object, DeletedFinalStateUnknown) for row in rows], dtype=np.bool_
            ),
            "objects": np.array(
                [len(row.items) if row.items else int(row.object is not None) for row in rows],
                dtype=np.int64,
            ),
        }
    )


def handlers_frame(shared: SharedInformer) -> pd.DataFrame:
    """Return the registered handlers; see `Informer.handlers`."""
    rows = shared.registrations
    data: dict[str, Any] = {
        name: np.array([getattr(row, name) for row in rows], dtype=np.int64)
        for name in ("delivered", "backlog", "error_count")
    }
    data["last_error"] = texts(
        error_text(row.errors[-1], repr) if row.errors else "" for row in rows
    )
    data["has_synced"] = np.array([row.has_synced for row in rows], dtype=np.bool_)
    return pd.DataFrame(data, index=pd.Index(texts(row.name for row in rows), name="handler"))


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
