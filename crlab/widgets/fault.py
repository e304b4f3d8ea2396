"""The fault panel of a sandbox.

Nothing destructive happens by accident: a fault is chosen, then injected by a second
press, in the kernel. Opening a saved notebook sends nothing.

Thread: as `view.py` says.
"""

from __future__ import annotations

from typing import Any

from crlab.errors import ConfigError, nearest
from crlab.model.escape import Markup, plain
from crlab.views.fault import fault_html, fault_text
from crlab.views.state import FaultState
from crlab.widgets.view import Control, View
from crlab.widgets.view_source import FaultSource


class FaultView(View):
    """What can be broken in a sandbox; made by ``lab.faults.panel()``.

    `fault`, `target`, `inject_button` and `clear_button` are its ipywidgets.
    """

    kind = "Faults"
    _source: FaultSource

    def _read(self) -> FaultState:
        return self._source.fault_state()

    def _text(self, state: FaultState) -> str:
        return fault_text(state)

    def _html(self, state: FaultState) -> Markup:
        return fault_html(state)

    def inject(self, name: str, target: str = "") -> None:
        """Inject a fault and wait for it.

        Raises:
            ConfigError: there is no fault of that name.
        """
        names = [fault.name for fault in self.state().faults]
        if name not in names:
            near = ", ".join(nearest(name, names)) or ", ".join(names)
            raise ConfigError(f"no fault {name!r}; there are: {near}")
        self._perform("inject", lambda: self._source.inject(name, target))

    def clear(self, name: str = "") -> None:
        """End an active fault, or all, and wait for it."""
        self._perform("clear", lambda: self._source.clear(name))

    fault = Control("The drop-down of faults.")
    target = Control("The drop-down of resources.")
    inject_button = Control("The Inject button.")
    clear_button = Control("The Clear button.")

    def _controls(self) -> list[Any]:
        from crlab.widgets.control import button, choice

        state = self._current()
        boxes = self._boxes
        boxes["fault"] = choice("Fault", _faults(state), lambda _: None, width="320px")
        boxes["target"] = choice("on", _targets(state), lambda _: None, width="240px")
        boxes["inject_button"] = button(
            "Inject", self._inject, says="Break it now, in this sandbox", style="danger"
        )
        boxes["clear_button"] = button("Clear all", self._clear, says="End every active fault")
        return list(boxes.values())

    def _inject(self) -> None:
        name, target = self._boxes["fault"].value, self._boxes["target"].value or ""
        if name:
            self._command("inject", lambda: self._source.inject(name, target))

    def _clear(self) -> None:
        self._command("clear", lambda: self._source.clear(""))

    def _sync(self, state: FaultState) -> None:
        from crlab.widgets.control import set_options

        set_options(self._boxes["fault"], _faults(state))
        set_options(self._boxes["target"], _targets(state))
        is_off = state.status.is_closed
        self._boxes["inject_button"].disabled = is_off or not state.faults
        self._boxes["clear_button"].disabled = is_off or not any(f.is_active for f in state.faults)


def _faults(state: FaultState) -> list[tuple[str, str]]:
    return [(plain(f.title or f.name, limit=60), f.name) for f in state.faults]


def _targets(state: FaultState) -> list[tuple[str, str]]:
    return [("everything", ""), *((plain(t, limit=60), t) for t in state.targets)]
