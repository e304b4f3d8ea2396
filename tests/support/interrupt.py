"""An interrupt at a chosen line of crlab's own code: what Ctrl-C does, without its chance."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupt:
    """Runs a function and raises KeyboardInterrupt at the n-th line of crlab it comes to."""

    def __init__(self, at: int) -> None:
        """Interrupt at line number `at` of those that are run; 0 only counts them."""
        self.at = at
        self.lines = 0
        self.place = ""

    def run(self, function: Callable[[], Any]) -> bool:
        """Call it on this thread; return whether it was interrupted."""
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            function()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    def _called(self, frame: FrameType, event: str, arg: Any) -> Any:
        del event, arg
        return self._line if "/crlab/" in frame.f_code.co_filename else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        del arg
        if event == "line" and not _is_with(frame):
            self.lines += 1
            if self.lines == self.at:
                self.place = f"{frame.f_code.co_qualname}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self._line


def _is_with(frame: FrameType) -> bool:
    """Whether a line may be the end of a ``with``: no signal is looked at between its block
    and the release, though a tracer is called there."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return line.lstrip().startswith("with ")
