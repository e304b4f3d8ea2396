"""A live expression of a lab, with its view.

Thread: any; see `crlab.frame.live`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crlab.frame.live import LiveExpression

if TYPE_CHECKING:
    from crlab.lab.parts import Parts
    from crlab.widgets.table import TableView


class Live(LiveExpression):
    """A frame, a Series or a figure that follows what it reads."""

    def __init__(self, parts: Parts, function: Callable[[], Any], *, name: str = "") -> None:
        interval = 0.0 if parts.driver.is_manual else 0.25
        super().__init__(function, clock=parts.clock, min_interval_seconds=interval, name=name)
        self._parts = parts
        parts.life.adopt(self)

    def watch(self, *, rows: int = 20) -> TableView:
        """Return the live table of this expression.

        While the function fails, it shows the last good rows and their time, and says
        "failed" with the error and since when.
        """
        from crlab.lab.view import live_view

        return live_view(self._parts, self._name, self, rows=rows)

    def close(self) -> None:
        """Follow no more; the last value stays."""
        super().close()
        self._parts.life.release(self)
