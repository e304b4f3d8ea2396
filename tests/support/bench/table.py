"""What was measured, beside its target, its floor and its neighbours."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One measurement; `is_met` is None where nothing was promised."""

    what: str
    ours: float
    unit: str
    floor: float | None = None
    neighbours: Mapping[str, float] = field(default_factory=dict)
    target: str = ""
    is_met: bool | None = None


class Table:
    """The rows of one run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._load = os.getloadavg()[0]

    def add(
        self,
        what: str,
        ours: float,
        unit: str,
        *,
        floor: float | None = None,
        neighbours: Mapping[str, float] | None = None,
        target: str = "",
        is_met: bool | None = None,
    ) -> None:
        """Keep a measurement."""
        self.rows.append(Row(what, ours, unit, floor, neighbours or {}, target, is_met))

    def missed(self, since: int) -> list[str]:
        """Say which rows after the first `since` miss their target."""
        return [
            f"{row.what}: {_number(row.ours)} {row.unit}, target {row.target}"
            for row in self.rows[since:]
            if row.is_met is False
        ]

    def lines(self) -> list[str]:
        """Return the table as Markdown, with what the machine was doing."""
        if not self.rows:
            return []
        now = os.getloadavg()[0]
        return [
            f"Python {platform.python_version()}, {os.cpu_count()} cores, "
            f"load {self._load:.1f} at the start, {now:.1f} at the end",
            "",
            "| what | crlab | floor | ratio | neighbours | target | met |",
            "|---|---|---|---|---|---|---|",
            *(_line(row) for row in self.rows),
        ]


def _line(row: Row) -> str:
    ratio = f"{row.ours / row.floor:.2f} ×" if row.floor else ""
    others = ", ".join(
        f"{name} {_number(value)} ({value / row.ours:.1f} ×)"
        for name, value in row.neighbours.items()
    )
    met = {None: "", True: "yes", False: "**no**"}[row.is_met]
    floor = _number(row.floor) if row.floor else ""
    return (
        f"| {row.what} | {_number(row.ours)} {row.unit} | {floor} | {ratio} | {others} "
        f"| {row.target} | {met} |"
    )


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
