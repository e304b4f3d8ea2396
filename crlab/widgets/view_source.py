"""What a widget needs from the machinery it shows.

A widget knows nothing of informers or controllers: it asks a source for a state when it
draws, and gives it a command when a button is pressed. The lab implements these
Protocols; tests and replays implement them too.

Guarantees a source must give:
  1. `*_state` returns soon, blocks on no network and runs on the render thread
     (``crlab-render``) or on the caller of `to_text`; it may be called at any time, also
     after the lab was closed (its `StatusState.state` is then "closed").
  2. `subscribe`'s callback may be called from any thread, often; it only sets a flag.
  3. Commands run on the command thread (``crlab-cmd``), one at a time; they may take as
     long as the user's reconcile does. What they raise is shown in the view.

Thread: states are read on ``crlab-render`` or the caller's; commands run on ``crlab-cmd``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from crlab.views.state import (
    EventsQuery,
    EventsState,
    FaultState,
    PipelineQuery,
    PipelineState,
    RateQuery,
    RateState,
    StepperState,
    TableQuery,
    TableState,
    TimeState,
)

Unsubscribe = Callable[[], None]


class Source(Protocol):
    """Something that changes and says so."""

    def subscribe(self, changed: Callable[[], None]) -> Unsubscribe:
        """Call `changed` after each change, until the returned function is called."""


class TableSource(Source, Protocol):
    """An informer's rows, or a live expression's."""

    def table_state(self, query: TableQuery) -> TableState:
        """Return the window asked for.

        Raises:
            FilterError: the filter names a field that is not there.
        """


class EventsSource(Source, Protocol):
    """The stream of watch events."""

    def events_state(self, query: EventsQuery) -> EventsState:
        """Return the window asked for, newest first, and the opened event's detail."""


class RateSource(Source, Protocol):
    """Counts of events over time."""

    def rate_state(self, query: RateQuery) -> RateState:
        """Return the counts of the last `query.window_seconds`."""


class PipelineSource(Source, Protocol):
    """An informer, its handlers and its controller."""

    def pipeline_state(self, query: PipelineQuery) -> PipelineState:
        """Return the boxes of one lane ("" : the first)."""

    def step(self) -> None:
        """Make one transition (manual driver; see `PipelineState.can`)."""

    def settle(self) -> None:
        """Step until nothing moves."""


class StepperSource(Source, Protocol):
    """A controller whose keys are taken by hand."""

    def stepper_state(self) -> StepperState:
        """Return the last step and the queue now."""

    def step(self) -> None:
        """Take one key through its reconcile; nothing if the queue is empty."""

    def run(self) -> None:
        """Step until a breakpoint is met or the queue is empty."""

    def back(self) -> None:
        """Undo the last step (embedded server: its snapshot)."""

    def fork(self) -> None:
        """Open a copy of the lab at this point."""

    def set_dry_run(self, dry_run: bool) -> None:
        """Send writes as server-side dry runs, or for real."""

    def set_breakpoint(self, text: str) -> None:
        """Stop before a key ("default/web"), an attempt ("attempt>2"), or never ("")."""

    def conflict(self) -> None:
        """Let the next write meet a 409 Conflict."""

    def requeue(self, key: str) -> None:
        """Add a key to the queue ("" : the last step's)."""

    def forget(self, key: str) -> None:
        """Forget a key's failures ("" : the last step's)."""


class FaultSource(Source, Protocol):
    """The sandbox's faults."""

    def fault_state(self) -> FaultState:
        """Return what can be injected and what was."""

    def inject(self, name: str, target: str) -> None:
        """Inject a fault, on `target` if it takes one."""

    def clear(self, name: str) -> None:
        """End an active fault ("" : all)."""


class TimeSource(Source, Protocol):
    """The trace as something to travel in."""

    def time_state(self, seq: int | None) -> TimeState:
        """Return the range, and what happened at `seq` (None: now)."""


@runtime_checkable
class HasPlot(Protocol):
    """A source that can also draw a matplotlib figure."""

    def plot(self) -> object:
        """Return a matplotlib Figure."""
