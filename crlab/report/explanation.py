"""`explain`, with its rows as a frame.

Thread: any; reads the trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlab.controller import Explanation as Told
from crlab.model.escape import plain
from crlab.model.plural import counted
from crlab.report.explain import explain
from crlab.trace.record import Trace

if TYPE_CHECKING:
    import pandas as pd


class Explanation:
    """What is known of one key, as sentences and as a frame.

    Attributes:
        sentences: in order of time.
        is_complete: False if the trace has lost records that may have belonged here.
    """

    def __init__(self, told: Told) -> None:
        self._told = told
        self.key = told.key
        self.sentences = told.sentences
        self.is_complete = told.is_complete

    @property
    def df(self) -> pd.DataFrame:
        """The trace records on the way.

        Shape:
            Index "seq" (int64); stage, kind, resource, key, resource_version, causes, text.
        """
        import pandas as pd

        columns = ["stage", "kind", "resource", "key", "resource_version", "causes", "text"]
        rows = [[row[name] for name in columns] for row in self._told.rows]
        index = pd.Index([row["seq"] for row in self._told.rows], dtype="int64", name="seq")
        frame = pd.DataFrame(rows, columns=columns, index=index)
        return frame.astype({name: "str" for name in columns if name != "causes"})

    def __str__(self) -> str:
        return "\n".join(plain(line) for line in str(self._told).splitlines())

    def __repr__(self) -> str:
        return f"Explanation({self.key}, {counted(len(self.sentences), 'sentences')})"

    def _repr_html_(self) -> str:
        from crlab.model.escape import H

        return str(H.ol([H.li(line) for line in self.sentences]))


def explained(trace: Trace, key: str, *, resource: str = "") -> Explanation:
    """Tell a key's way through the pipeline."""
    return Explanation(explain(trace, key, resource=resource))
