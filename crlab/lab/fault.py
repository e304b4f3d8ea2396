"""`lab.faults`: what can be broken on the embedded server, from a notebook.

From: a cell or the fault panel. To: the server's fault gate; every injection also becomes a
record of the trace, so that charts, explain and recordings show it.

Thread: any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crlab.apiserver.fault.fault_rule import Injection
from crlab.apiserver.fault.injector import Faults
from crlab.trace.record import TraceStage

if TYPE_CHECKING:
    import pandas as pd

    from crlab.lab.parts import Parts
    from crlab.widgets.fault import FaultView


class LabFaults(Faults):
    """The faults of a sandbox; see `crlab.apiserver.fault.injector.Faults` for each of them."""

    def __init__(self, parts: Parts) -> None:
        server = parts.server
        assert server is not None, "only a sandbox has faults"
        super().__init__(server.fault_gate, server.core)
        self._parts = parts
        server.fault_gate.on_inject = self._noted

    def _noted(self, injection: Injection) -> None:
        self._parts.trace.append(
            TraceStage.FAULT,
            "injected",
            resource=injection.resource,
            data={
                "name": injection.fault,
                "is_legal": injection.is_legal,
                "verb": injection.verb,
                "description": injection.description,
            },
        )

    @property
    def df(self) -> pd.DataFrame:
        """What was injected.

        Shape:
            RangeIndex; time (datetime64[us, UTC]), fault, is_legal, verb, resource,
            namespace, name, description.
        """
        import pandas as pd

        from crlab.frame.array import texts, times

        rows = self.journal
        data: dict[str, Any] = {"time": times([row.at for row in rows])}
        data["fault"] = texts(row.fault for row in rows)
        data["is_legal"] = pd.array([row.is_legal for row in rows], dtype="boolean")
        for name in ("verb", "resource", "namespace", "name", "description"):
            data[name] = texts(getattr(row, name) for row in rows)
        return pd.DataFrame(data)

    def panel(self) -> FaultView:
        """Return the fault panel with its buttons."""
        from crlab.lab.view import fault_view

        return fault_view(self._parts, self)

    def __repr__(self) -> str:
        return f"LabFaults({len(self.active())} active, {len(self.journal)} injected)"
