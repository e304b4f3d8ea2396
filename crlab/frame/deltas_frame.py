"""What waits between a reflector and its cache, as a frame.

Thread: any.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from crlab.cache import DeletedFinalStateUnknown, SharedInformer
from crlab.frame.array import texts


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
