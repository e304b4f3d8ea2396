"""The sandbox's faults for the fault panel.

From: the server's table of kinds and its journal. To: `widgets/fault.py`; what is pressed there
goes through `lab.faults`.

Thread: `fault_state` any; `inject` and `clear` on the command thread.
"""

from __future__ import annotations

from collections import Counter

from crlab.apiserver.fault.fault_kind import FAULT_KINDS
from crlab.apiserver.fault.injector import Faults
from crlab.lab.parts import Parts
from crlab.lab.source.status_source import Changing, status_state
from crlab.views.state import FaultRow, FaultState

RECENT = 20


class FaultPanel(Changing):
    """What the panel of one lab shows and does."""

    def __init__(self, parts: Parts, faults: Faults) -> None:
        super().__init__(parts)
        self._faults = faults

    def fault_state(self) -> FaultState:
        """Return what can be injected and what was; see `FaultSource`."""
        faults = self._faults
        active = {fault.kind for fault in faults.active()}
        journal = faults.journal
        counts = Counter(injection.fault for injection in journal)
        return FaultState(
            faults=tuple(
                FaultRow(
                    kind.name,
                    kind.title,
                    kind.sentence,
                    is_legal=kind.is_legal,
                    is_active=kind.name in active,
                    takes_target=kind.takes_resource,
                    count=counts[kind.name],
                )
                for kind in FAULT_KINDS.values()
                if kind.inject is not None
            ),
            targets=tuple(
                informer.resource.gvr.resource for informer in list(self.parts.informers)
            ),
            recent=tuple((entry.at, entry.description) for entry in journal[-RECENT:][::-1]),
            status=status_state(self.parts),
        )

    def inject(self, name: str, target: str) -> None:
        """Inject a fault that `fault_state` lists."""
        inject = FAULT_KINDS[name].inject
        assert inject is not None
        inject(self._faults, target)

    def clear(self, name: str) -> None:
        """End an active fault ("": all)."""
        for fault in self._faults.active():
            if name in ("", fault.kind):
                fault.remove()
