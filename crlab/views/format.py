"""How values look in every view: times in UTC, ages as kubectl writes them, text columns.

Thread: pure functions.
Source: k8s.io/apimachinery/pkg/util/duration (HumanDuration).
"""

from __future__ import annotations

import datetime
import math
import unicodedata
from collections.abc import Sequence

from crlab.model.escape import plain
from crlab.model.plural import unit_of

CELL = 60  # characters of a cell that are shown
MARKS = {"added": "+", "modified": "~", "deleted": "-"}
TYPE_MARKS = {"ADDED": "+", "MODIFIED": "~", "DELETED": "-", "BOOKMARK": "=", "ERROR": "!"}
TONES = {"good": "●", "busy": "◐", "warn": "▲", "bad": "✖", "": "○"}


def clock_time(at: float) -> str:
    """Return wall time as ``HH:MM:SSZ``; "?" if it is no time at all."""
    try:
        return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return "?"


def date_time(at: float) -> str:
    """Return wall time as ``YYYY-MM-DD HH:MM:SSZ``."""
    try:
        return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return "?"


def age(seconds: float | None) -> str:
    """Return a duration in kubectl's short form: 45s, 3m20s, 5h, 2d3h, 1y20d."""
    if seconds is None or not math.isfinite(seconds):
        return "?"
    whole = int(max(0.0, seconds))
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    return f"{days}d" if days < 730 else _two(days // 365, "y", days % 365, "d")


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"


def lag(seconds: float | None) -> str:
    """Return a short duration with its unit: 0.4 ms, 12 ms, 1.5 s; "" for none."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 0.010:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def count(number: int) -> str:
    """Return an integer with thin groups: 12 345."""
    return f"{number:,}".replace(",", "\u202f")


def counted(number: int, unit: str) -> str:
    """Return a number with its unit, in the singular for one: "1 object", "2 objects"."""
    return f"{count(number)} {unit_of(number, unit)}".rstrip()


def cell(value: object, kind: str = "text", now: float = 0.0) -> str:
    """Return a cell as plain, unescaped text; a "time" is shown as its age at `now`."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if kind == "time" and isinstance(value, int | float):
        return age(now - value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return plain(value, limit=CELL)


def width(text: str) -> int:
    """Return how many terminal cells `text` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def pad(text: str, size: int, *, to_the_right: bool = False) -> str:
    """Return `text` filled up to `size` terminal cells."""
    space = " " * max(0, size - width(text))
    return space + text if to_the_right else text + space


def text_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> list[str]:
    """Return aligned lines, heads first; cells must be plain already."""
    widths = [max([width(head), *(width(row[i]) for row in rows)]) for i, head in enumerate(heads)]
    lines = []
    for line in ([list(heads)] if any(heads) else []) + [list(row) for row in rows]:
        cells = [pad(c, widths[i], to_the_right=i in right) for i, c in enumerate(line)]
        lines.append("  ".join(cells).rstrip())
    return lines


def window_note(offset: int, shown: int, matching: int, total: int, what: str = "rows") -> str:
    """Return "rows 1-20 of 345 (of 5 000)": what part of the whole is on show."""
    if not matching:
        return f"no {what}" if not total else f"none of {count(total)} {what} match"
    part = f"{what} {count(offset + 1)}-{count(offset + shown)} of {count(matching)}"
    return part if matching == total else f"{part} (of {count(total)})"
