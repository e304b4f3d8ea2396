"""The registered handlers of an informer as a frame.

Thread: any.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crlab.cache import SharedInformer
from crlab.errors import error_text
from crlab.frame.array import texts


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
