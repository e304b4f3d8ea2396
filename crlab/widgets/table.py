"""The live table of an informer or of a live expression.

Thread: as `view.py` says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from crlab.model.escape import Markup
from crlab.views.filter import Filter, FilterError, parse
from crlab.views.format import count
from crlab.views.state import MAX_ROWS, ROWS, TableQuery, TableState
from crlab.views.table import table_html, table_text
from crlab.widgets.view import Control, View
from crlab.widgets.view_source import TableSource, Unsubscribe


class Window:
    """Filter, pause and paging, shared by the table and the events inspector.

    `typed` is what stands in the box; `filter` the last one that was good.
    """

    def __init__(self, limit: int) -> None:
        self.typed = ""
        self.filter: Filter | None = None
        self.error = ""
        self.offset = 0
        self.limit = max(1, min(limit, MAX_ROWS))
        self.pending = 0
        self.frozen: Any = None

    def filter_shown(self) -> str:
        """Return the text of the filter in force."""
        return self.filter.text if self.filter else ""


class WindowedView(View):
    """A view over many rows: filter box, pause, previous and next page."""

    what: ClassVar[str] = "rows"
    hint: ClassVar[str] = ""

    def __init__(self, source: Any, *, title: str, owner: object, limit: int, filter: str) -> None:
        super().__init__(source, title=title, owner=owner)
        self._window = Window(limit)
        self._window.typed = filter
        self._stop_counting: Unsubscribe | None = None

    def _asked_state(self, wanted: Filter | None) -> Any:
        """Ask the source for the window, with this filter."""
        raise NotImplementedError

    def _read(self) -> Any:
        window = self._window
        if window.frozen is not None:
            return replace(window.frozen, is_paused=True, pending=window.pending)
        try:
            wanted = parse(window.typed)
            state = self._asked_state(wanted)
            window.filter, window.error = wanted, ""
        except FilterError as error:
            window.error = f"at character {error.position + 1}: {error}"
            state = self._asked_state(window.filter)
        if state.matching and window.offset >= state.matching:  # the rows went away
            window.offset = (state.matching - 1) // window.limit * window.limit
            state = self._asked_state(window.filter)
        return replace(state, filter_text=window.filter_shown(), filter_error=window.error)

    # --- controls -------------------------------------------------------------------------

    filter = Control("The filter box (ipywidgets Text).")
    pause = Control("The pause button (ipywidgets ToggleButton).")
    previous = Control("The button to the page before.")
    next = Control("The button to the page after.")

    def _controls(self) -> list[Any]:
        from crlab.widgets.control import button, text_box, toggle

        boxes = self._boxes
        boxes["filter"] = text_box("Filter", self._type, hint=self.hint, width="260px")
        boxes["filter"].value = self._window.typed
        boxes["pause"] = toggle("Pause", self._pause, says="Hold the picture; changes are counted")
        boxes["previous"] = button("◀ Previous", lambda: self._turn(-1), says="The page before")
        boxes["next"] = button("Next ▶", lambda: self._turn(1), says="The page after")
        return [
            boxes["filter"],
            *self._more_controls(),
            boxes["pause"],
            boxes["previous"],
            boxes["next"],
        ]

    def _more_controls(self) -> list[Any]:
        return []

    def _type(self, text: str) -> None:
        self._window.typed = text
        self._window.offset = 0
        self._asked()

    def _turn(self, pages: int) -> None:
        window = self._window
        window.offset = max(0, window.offset + pages * window.limit)
        self._asked()

    def _pause(self, paused: bool) -> None:
        with self._lock:
            window = self._window
            if paused and window.frozen is None:
                window.pending = 0
                window.frozen = self._current()
                self._stop_counting = self._source.subscribe(self._count)
            elif not paused:
                window.frozen = None
                if self._stop_counting is not None:
                    self._stop_counting()
                    self._stop_counting = None
        self._asked()

    def _count(self) -> None:
        self._window.pending += 1

    def _sync(self, state: Any) -> None:
        boxes = self._boxes
        is_paused = self._window.frozen is not None
        boxes["pause"].description = (
            f"Paused +{count(self._window.pending)} new" if is_paused else "Pause"
        )
        off = state.status.is_closed
        boxes["previous"].disabled = off or is_paused or state.offset <= 0
        last = state.offset + len(state.rows) >= state.matching
        boxes["next"].disabled = off or is_paused or last
        boxes["filter"].disabled = off

    def _note(self, state: Any) -> str:
        return f"filter refused {state.filter_error}" if state.filter_error else ""

    def close(self) -> None:
        """Stop following; leave the last state as static HTML. Idempotent."""
        super().close()
        if self._stop_counting is not None:
            self._stop_counting()
            self._stop_counting = None


class TableView(WindowedView):
    """Rows that follow their source; made by ``informer.watch()``.

    `filter`, `sort`, `descending`, `pause`, `previous` and `next` are its ipywidgets.
    """

    kind = "Table"
    hint = "phase=Running name~web replicas>2 label.app=web"
    _source: TableSource

    def __init__(
        self,
        source: TableSource,
        *,
        title: str,
        owner: object = None,
        limit: int = ROWS,
        filter: str = "",
        sort: str = "",
        descending: bool = False,
    ) -> None:
        """Prepare a table of at most `limit` rows a page (up to 50)."""
        super().__init__(source, title=title, owner=owner, limit=limit, filter=filter)
        self._sort = sort
        self._is_descending = descending

    def _asked_state(self, wanted: Filter | None) -> TableState:
        window = self._window
        return self._source.table_state(
            TableQuery(wanted, self._sort, self._is_descending, window.offset, window.limit)
        )

    def _text(self, state: TableState) -> str:
        return table_text(state)

    def _html(self, state: TableState) -> Markup:
        return table_html(state)

    sort = Control("The drop-down of columns to sort by.")
    descending = Control("The button that turns the order round.")

    def _more_controls(self) -> list[Any]:
        from crlab.widgets.control import choice, toggle

        options = [("key", ""), *((c.name, c.name) for c in self._current().columns)]
        boxes = self._boxes
        boxes["sort"] = choice("Sort by", options, self._sorted_by, width="180px")
        if self._sort in dict(options).values():
            boxes["sort"].value = self._sort
        boxes["descending"] = toggle("▼", self._turned, says="Descending order")
        boxes["descending"].value = self._is_descending
        return [boxes["sort"], boxes["descending"]]

    def _sorted_by(self, column: str) -> None:
        self._sort = column or ""
        self._asked()

    def _turned(self, descending: bool) -> None:
        self._is_descending = descending
        self._asked()

    def _sync(self, state: TableState) -> None:
        from crlab.widgets.control import set_options

        super()._sync(state)
        options = [("key", ""), *((c.name, c.name) for c in state.columns)]
        set_options(self._boxes["sort"], options)
