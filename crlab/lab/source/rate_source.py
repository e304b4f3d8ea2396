"""Counts of watch events for the rate chart.

From: `Rates`. To: the rate view.

Thread: any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crlab.lab.parts import Parts
from crlab.lab.source.status_source import Changing, status_state
from crlab.views.state import RateQuery, RateState, Series

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.frame.rate import Rates


class RateCounts(Changing):
    """The rates of one informer, or of a whole lab."""

    def __init__(
        self, parts: Parts, title: str, rates: Rates, informer: SharedInformer | None = None
    ) -> None:
        super().__init__(parts)
        self._title = title
        self._rates = rates
        self._informer = informer

    def rate_state(self, query: RateQuery) -> RateState:
        """Return the counts of the last `query.window_seconds`; see `RateSource`."""
        end = None
        if query.moment is not None:
            record = self.parts.trace.get(query.moment)
            end = record.at if record is not None else None
        names, table, edge = self._rates.counts(
            by=query.by,
            window_seconds=query.window_seconds,
            bin_seconds=query.bin_seconds,
            end=end,
        )
        series = tuple(
            Series(name, tuple(int(count) for count in table[:, place]))
            for place, name in enumerate(names)
        )
        return RateState(
            title=self._title,
            series=series,
            bin_seconds=query.bin_seconds,
            end=edge,
            by=query.by,
            status=status_state(self.parts, self._informer, query.moment),
        )

    def plot(self) -> object:
        """Return the matplotlib figure of the same counts."""
        return self._rates.plot(title=self._title)
