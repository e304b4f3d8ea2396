"""What a cache weighs, by field path, as a frame.

Thread: any.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crlab.cache import SharedInformer
from crlab.frame.array import texts


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
