"""Where a stepped or running controller stops: before a key, an attempt, or a condition.

Thread: any; the list is replaced as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from crlab.errors import ConfigError
from crlab.model.argument import checked_answer, checked_key, checked_optional

_ATTEMPT = re.compile(r"attempt\s*(>=|>|==|=)\s*(\d+)")

Condition = Callable[[str, int], bool]


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """Stops before the run that meets all that is given.

    Attributes:
        key: this key only, None for any.
        attempt: this try and later ones.
        condition: takes (key, attempt).
    """

    key: str | None = None
    attempt: int | None = None
    condition: Condition | None = None

    def is_met(self, key: str, attempt: int) -> bool:
        """Whether to stop before this run. A condition that raises stops as well."""
        if self.key is not None and key != self.key:
            return False
        if self.attempt is not None and attempt < self.attempt:
            return False
        if self.condition is None:
            return True
        try:
            return bool(checked_answer(self.condition(key, attempt), "a breakpoint's condition"))
        except Exception:  # noqa: BLE001 - user code; stopping shows the problem
            return True

    def __str__(self) -> str:
        parts = [] if self.key is None else [self.key]
        if self.attempt is not None:
            parts.append(f"attempt>={self.attempt}")
        if self.condition is not None:
            parts.append(getattr(self.condition, "__name__", "condition"))
        return " and ".join(parts) or "every key"


class Breakpoints:
    """The breakpoints of one controller."""

    def __init__(self) -> None:
        self._held: tuple[Breakpoint, ...] = ()

    def add(
        self,
        key: str | None = None,
        *,
        attempt: int | None = None,
        condition: Condition | None = None,
    ) -> Breakpoint:
        """Stop before runs of `key`, from `attempt` on, or where `condition` holds."""
        if key is not None:
            checked_key(key, "the key of a breakpoint")
        if attempt is not None and (not isinstance(attempt, int) or attempt < 1):
            raise ConfigError(f"attempts count from 1, not {attempt!r}")
        checked_optional(condition, "a breakpoint's condition", ("key", "attempt"))
        made = Breakpoint(key, attempt, condition)
        self._held = (*self._held, made)
        return made

    def parse(self, text: str) -> Breakpoint | None:
        """Replace all by what a line of text says: a key, "attempt>2", both, or "" for none.

        Raises:
            ConfigError: the text says something else; the breakpoints stay.
        """
        key: str | None = None
        attempt: int | None = None
        for part in re.split(r"\s+and\s+|\s*,\s*", text.strip()) if text.strip() else ():
            match = _ATTEMPT.fullmatch(part)
            if match:
                attempt = int(match[2]) + (match[1] == ">")
            elif re.fullmatch(r"[a-z0-9.\-]+(/[a-z0-9.\-:]+)?", part) and key is None:
                key = part
            else:
                raise ConfigError(
                    f'{part!r} is no breakpoint; write a key ("default/web") or "attempt>2"'
                )
        self.clear()
        return None if key is None and attempt is None else self.add(key, attempt=attempt)

    def remove(self, breakpoint_: Breakpoint) -> None:
        """Take one away."""
        self._held = tuple(held for held in self._held if held is not breakpoint_)

    def clear(self) -> None:
        """Take all away."""
        self._held = ()

    def met(self, key: str, attempt: int) -> Breakpoint | None:
        """Return the breakpoint that stops before this run, None if none does."""
        return next((held for held in self._held if held.is_met(key, attempt)), None)

    def __iter__(self) -> Iterator[Breakpoint]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __str__(self) -> str:
        return ", ".join(map(str, self._held))
