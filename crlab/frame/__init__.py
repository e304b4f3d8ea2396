"""Floor 5: what happened and what is, as pandas DataFrames.

Read first: `live_frame.py` (an indexer as a frame), `column_set.py` (which columns),
`column.py` (dtypes and cells).
"""

from crlab.frame.column import Column
from crlab.frame.live_frame import LiveFrame, age_of

__all__ = ["Column", "LiveFrame", "age_of"]
