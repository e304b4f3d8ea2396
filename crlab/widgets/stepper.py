"""The reconcile stepper: a controller's keys, one press a key.

Every button enqueues a command on ``crlab-cmd``; the user's reconcile runs there and
nowhere else. The methods of the same names do it from a cell and wait; what the machinery
refuses they raise, what a reconcile raises is part of the step.

Thread: as `view.py` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crlab.model.escape import Markup
from crlab.views.state import StepperState
from crlab.views.stepper import stepper_html, stepper_text
from crlab.widgets.view import Control, View
from crlab.widgets.view_source import StepperSource

_BUTTONS = (
    # name, text, what it says, needs, style
    ("step", "Step", "Take the next key of the queue through your reconcile", "step", "primary"),
    ("step10", "Step ×10", "Ten steps, or until the queue is empty", "step", ""),
    ("run", "Run to breakpoint", "Step until the breakpoint, or the queue is empty", "run", ""),
    ("back", "◀ Back", "Undo the last step: the server goes back to its snapshot", "back", ""),
    ("fork", "Fork", "Open a copy of the lab at this point", "fork", ""),
    ("conflict", "Conflict", "The next write meets a 409 Conflict", "conflict", ""),
    ("requeue", "Requeue", "Add the last step's key to the queue again", "requeue", ""),
    ("forget", "Forget", "Forget the last step's key's failures (its back-off)", "forget", ""),
)


class StepperView(View):
    """One controller, by hand; made by ``controller.stepper()``."""

    kind = "Stepper"
    _source: StepperSource

    def __init__(self, source: StepperSource, *, title: str, owner: object = None) -> None:
        super().__init__(source, title=title, owner=owner)
        self._is_syncing = False

    def _read(self) -> StepperState:
        return self._source.stepper_state()

    def _text(self, state: StepperState) -> str:
        return stepper_text(state)

    def _html(self, state: StepperState) -> Markup:
        return stepper_html(state)

    # --- what users call ------------------------------------------------------------------

    def step(self, count: int = 1) -> None:
        """Take up to `count` keys, one after the other, and wait."""
        for _ in range(count):
            self._perform("step", self._source.step)

    def run(self) -> None:
        """Step until a breakpoint or an empty queue, and wait."""
        self._perform("run", self._source.run)

    def back(self) -> None:
        """Undo the last step, and wait."""
        self._perform("back", self._source.back)

    def fork(self) -> None:
        """Open a copy of the lab at this point, and wait."""
        self._perform("fork", self._source.fork)

    step_button = Control("The Step button.")
    step10_button = Control("The button of ten steps.")
    run_button = Control("The button that steps to the next breakpoint.")
    back_button = Control("The button that undoes the last step.")
    fork_button = Control("The button that opens a copy of the lab.")
    conflict_button = Control("The button that lets the next write meet a conflict.")
    requeue_button = Control("The button that queues the last key again.")
    forget_button = Control("The button that forgets the last key's failures.")
    dry_run = Control("The button that lets writes be dry runs.")
    breakpoint = Control("The box of the breakpoint.")

    # --- widgets --------------------------------------------------------------------------

    def _controls(self) -> list[Any]:
        from crlab.widgets.control import button, text_box, toggle

        boxes = self._boxes
        for name, text, says, _, style in _BUTTONS:
            boxes[f"{name}_button"] = button(text, self._presser(name), says=says, style=style)
        boxes["dry_run"] = toggle(
            "Dry run", self._dry_run, says="Writes are validated by the server, not stored"
        )
        boxes["breakpoint"] = text_box(
            "Breakpoint", self._breakpoint, hint="default/web or attempt>2", width="270px"
        )
        return list(boxes.values())

    def _presser(self, name: str) -> Callable[[], object]:
        source = self._source
        commands: dict[str, Callable[[], None]] = {
            "step": source.step,
            "step10": lambda: _times(10, source),
            "run": source.run,
            "back": source.back,
            "fork": source.fork,
            "conflict": source.conflict,
            "requeue": lambda: source.requeue(""),
            "forget": lambda: source.forget(""),
        }
        return lambda: self._command(name, commands[name])

    def _dry_run(self, on: bool) -> None:
        if not self._is_syncing:
            self._command("dry run", lambda: self._source.set_dry_run(on))

    def _breakpoint(self, text: str) -> None:
        if not self._is_syncing:
            self._command("breakpoint", lambda: self._source.set_breakpoint(text.strip()))

    def _sync(self, state: StepperState) -> None:
        is_off = state.status.is_closed
        for name, _, _, needs, _ in _BUTTONS:
            self._boxes[f"{name}_button"].disabled = is_off or needs not in state.can
        self._boxes["dry_run"].disabled = is_off or "dry_run" not in state.can
        self._is_syncing = True
        try:
            if self._boxes["dry_run"].value != state.is_dry_run and not self._pending():
                self._boxes["dry_run"].value = state.is_dry_run
        finally:
            self._is_syncing = False

    def _pending(self) -> bool:
        return any(not ticket.is_done for ticket in self._tickets)

    def _note(self, state: StepperState) -> str:
        return state.breakpoint_error and f"breakpoint refused: {state.breakpoint_error}"


def _times(count: int, source: StepperSource) -> None:
    for _ in range(count):
        queue = source.stepper_state().queue
        if not queue.ready:
            return
        source.step()
