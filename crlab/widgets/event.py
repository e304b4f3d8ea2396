"""The events inspector: the stream of watch events, one of them opened.

Thread: as `view.py` says.
"""

from __future__ import annotations

from typing import Any

from crlab.model.escape import Markup, plain
from crlab.views.event import events_html, events_text
from crlab.views.filter import Filter
from crlab.views.format import TYPE_MARKS
from crlab.views.state import ROWS, EventsQuery, EventsState
from crlab.widgets.table import WindowedView
from crlab.widgets.view import Control
from crlab.widgets.view_source import EventsSource


class EventsView(WindowedView):
    """Watch events, newest first; made by ``informer.events.watch()``.

    `filter`, `pause`, `previous`, `next`, `opened` (drop-down of the page's events),
    `left` and `right` (resourceVersions to lay side by side) are its ipywidgets.
    """

    kind = "Events"
    what = "events"
    hint = "type=MODIFIED key~web path~spec.replicas writer=kubectl"
    _source: EventsSource

    def __init__(
        self,
        source: EventsSource,
        *,
        title: str,
        owner: object = None,
        limit: int = ROWS,
        filter: str = "",
    ) -> None:
        super().__init__(source, title=title, owner=owner, limit=limit, filter=filter)
        self._opened: int | None = None
        self._left = ""
        self._right = ""
        self._is_syncing = False

    def open(self, seq: int | None) -> None:
        """Open the event with this seq under the table; None closes it."""
        self._opened = seq
        self._asked()

    def compare(self, left_resource_version: str, right_resource_version: str) -> None:
        """Lay the opened event's object side by side at two resourceVersions."""
        self._left, self._right = str(left_resource_version), str(right_resource_version)
        self._asked()

    def _asked_state(self, wanted: Filter | None) -> EventsState:
        window = self._window
        return self._source.events_state(
            EventsQuery(wanted, window.offset, window.limit, self._opened, self._left, self._right)
        )

    def _text(self, state: EventsState) -> str:
        return events_text(state)

    def _html(self, state: EventsState) -> Markup:
        return events_html(state)

    opened = Control("The drop-down that opens an event.")
    left = Control("The box of the left resourceVersion; empty, the one before.")
    right = Control("The box of the right resourceVersion; empty, that of the event.")

    def _more_controls(self) -> list[Any]:
        from crlab.widgets.control import choice, text_box

        boxes = self._boxes
        boxes["opened"] = choice(
            "Open", self._options(self._current()), self._choose, width="250px"
        )
        boxes["left"] = text_box("Compare rv", lambda v: self._side("left", v), width="150px")
        boxes["right"] = text_box("with rv", lambda v: self._side("right", v), width="130px")
        return [boxes["opened"], boxes["left"], boxes["right"]]

    def _options(self, state: EventsState) -> list[tuple[str, int | None]]:
        options: list[tuple[str, int | None]] = [("no event", None)]
        seqs = {row.seq for row in state.rows}
        if state.opened and state.opened.row.seq not in seqs:
            options.append((f"#{state.opened.row.seq} (other page)", state.opened.row.seq))
        for row in state.rows:
            mark = TYPE_MARKS.get(row.type, "")
            options.append((f"#{row.seq} {mark} {plain(row.key, limit=40)}", row.seq))
        return options

    def _choose(self, seq: int | None) -> None:
        if not self._is_syncing:
            self.open(seq)

    def _side(self, side: str, text: str) -> None:
        if side == "left":
            self._left = text.strip()
        else:
            self._right = text.strip()
        self._asked()

    def _sync(self, state: EventsState) -> None:
        super()._sync(state)
        if state.is_paused or self._opened is not None:
            return  # an open list keeps still under the reader's hand
        from crlab.widgets.control import set_options

        self._is_syncing = True
        try:
            set_options(self._boxes["opened"], self._options(state))
        finally:
            self._is_syncing = False
