"""The two threads behind all widgets: one renders, one runs commands.

From: sources, which mark views dirty; front ends, whose callbacks enqueue commands.
To: the traits of output panes, written by ``crlab-render`` alone.

Guarantees:
  1. A producer only sets a flag: there is no payload queue and so no backlog. What was
     drawn is always the newest state.
  2. At most `TICKS_PER_SECOND` renders a view and second; fewer when a render is dear
     (ten times its cost is kept free), when many views share the budget of
     `MESSAGES_PER_SECOND`, or when `BYTES_PER_SECOND` would be passed.
  3. A view that stays clean is drawn again every `HEARTBEAT_SECONDS`, so that a page whose
     kernel died can tell (views/header.py).
  4. A command runs alone, in order of arrival; what it raises goes to its view.
  5. Without open views, and without commands, there is no thread.

Thread: `RenderLoop` guards `_views` by `_changed`; a render runs outside of it.
Source: measured limits of ipywidgets in JupyterLab (an HTML pane of 6 KB at 10/s costs 1 ms;
a front end that falls behind never catches up).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from crlab.runtime.clock import Clock, RealClock
from crlab.runtime.thread import StageThread

TICKS_PER_SECOND = 2.0
MESSAGES_PER_SECOND = 12.0
BYTES_PER_SECOND = 256 * 1024
HEARTBEAT_SECONDS = 5.0


@dataclass(slots=True)
class Sent:
    """What a render cost the front end."""

    messages: int = 0
    size_bytes: int = 0


class Rendered(Protocol):
    """What the loop draws."""

    def render(self) -> Sent:
        """Write what changed to the panes; return what was sent. Never raises."""


class _Slot:
    __slots__ = ("due", "heartbeat", "is_dirty", "is_rendering", "view")

    def __init__(self, view: Rendered, now: float) -> None:
        self.view = view
        self.is_dirty = True
        self.is_rendering = False
        self.due = now
        self.heartbeat = now + HEARTBEAT_SECONDS


class RenderLoop:
    """Draws open views when they are dirty and due."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or RealClock()
        self._changed = threading.Condition()
        self._views: dict[int, _Slot] = {}
        self._thread: StageThread | None = None
        self._free_at = 0.0

    def add(self, view: Rendered) -> None:
        """Begin to draw `view`; the first picture is due at once."""
        with self._changed:
            self._views.setdefault(id(view), _Slot(view, self._clock.monotonic()))
            if self._thread is None:
                self._thread = StageThread("crlab-render", self._run)
                self._thread.start()
            self._changed.notify_all()

    def remove(self, view: Rendered) -> None:
        """Draw `view` no more; returns when a render under way is over."""
        with self._changed:
            slot = self._views.pop(id(view), None)
            thread = self._thread
            self._changed.notify_all()
            if slot is None or thread is None or thread.is_current:
                return
            self._changed.wait_for(lambda: not slot.is_rendering, timeout=2.0)

    def mark(self, view: Rendered) -> None:
        """Say that `view` has something new. Any thread; cheap."""
        slot = self._views.get(id(view))
        if slot is None or slot.is_dirty:
            return
        with self._changed:
            slot.is_dirty = True
            self._changed.notify_all()

    def hasten(self, view: Rendered) -> None:
        """Draw `view` as soon as the budget allows: somebody pressed something."""
        with self._changed:
            slot = self._views.get(id(view))
            if slot is not None:
                slot.is_dirty = True
                slot.due = min(slot.due, self._clock.monotonic() + 0.05)
                self._changed.notify_all()

    def now(self) -> float:
        """Return the loop's monotonic time."""
        return self._clock.monotonic()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._views:
                    self._thread = None
                    return
                now = self._clock.monotonic()
                slot, wait_seconds = self._next(now)
                if slot is None:
                    self._clock.wait(self._changed, wait_seconds)
                    continue
                slot.is_dirty = False
                slot.is_rendering = True
            self._draw(slot, now)

    def _next(self, now: float) -> tuple[_Slot | None, float]:
        first: _Slot | None = None
        at = float("inf")
        for slot in self._views.values():
            due = min(slot.due, slot.heartbeat) if slot.is_dirty else slot.heartbeat
            due = max(due, self._free_at)
            if due < at:
                first, at = slot, due
        return (first, 0.0) if at <= now else (None, at - now)

    def _draw(self, slot: _Slot, now: float) -> None:
        sent = Sent()
        try:
            sent = slot.view.render()
        finally:
            end = self._clock.monotonic()
            with self._changed:
                slot.due = now + max(1 / TICKS_PER_SECOND, 10 * (end - now))
                slot.heartbeat = end + HEARTBEAT_SECONDS
                cost = max(sent.size_bytes / BYTES_PER_SECOND, sent.messages / MESSAGES_PER_SECOND)
                self._free_at = max(now, self._free_at) + cost
                slot.is_rendering = False
                self._changed.notify_all()


class Ticket:
    """A command that was given: wait for it, or look at what it raised."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: BaseException | None = None
        self._done = threading.Event()

    @property
    def is_done(self) -> bool:
        """Whether it has run."""
        return self._done.is_set()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until it has run; False if the time ran out."""
        return self._done.wait(timeout_seconds)

    def finish(self) -> None:
        """Mark it as run."""
        self._done.set()


class CommandLoop:
    """Runs commands one after the other on ``crlab-cmd``, which lives while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commands: deque[tuple[Ticket, Callable[[], None], Callable[[Ticket], None]]] = deque()
        self._thread: StageThread | None = None
        self._running: Ticket | None = None
        self._newest: dict[int, Ticket] = {}

    def submit(
        self,
        name: str,
        command: Callable[[], None],
        done: Callable[[Ticket], None],
        owner: object = None,
    ) -> Ticket:
        """Enqueue `command`; `done` is called after it, on the same thread."""
        ticket = Ticket(name)
        with self._lock:
            self._newest = {key: each for key, each in self._newest.items() if not each.is_done}
            self._newest[id(owner)] = ticket
            self._commands.append((ticket, command, done))
            if self._thread is None:
                self._thread = StageThread("crlab-cmd", self._run)
                self._thread.start()
        return ticket

    def newest(self, owner: object) -> Ticket | None:
        """Return the last command given on behalf of `owner` that has not run yet."""
        with self._lock:
            return self._newest.get(id(owner))

    @property
    def is_current(self) -> bool:
        """Whether the caller is the command thread."""
        thread = self._thread
        return thread is not None and thread.is_current

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._commands:
                    self._thread = None
                    return
                ticket, command, done = self._commands.popleft()
            try:
                command()
            except BaseException as raised:  # noqa: BLE001 - shown in the view that gave it
                ticket.error = raised
            try:
                done(ticket)  # first: who waits for the ticket finds the view up to date
            finally:
                ticket.finish()


RENDER = RenderLoop()
COMMANDS = CommandLoop()
