"""Log lines about failures, for whoever runs something unattended.

From: whatever failed, on the thread it failed on, by way of `trace.failure` where there is a
trace. To: Python's `logging`, below the logger ``crlab``.

Guarantees:
  1. One line each: masked (no token, key or password), and escaped, so that no text of a
     cluster can begin a line or colour one.
  2. Of each kind (who, what exception, raised where) the first traceback is told in full,
     and at most `BURST` lines per `WINDOW_SECONDS`; the rest is counted and the count told.
  3. It never raises: not an exception whose ``__str__`` does, not a handler of logging.
  4. In a notebook nothing is printed into cells unless logging was set up there
     (``logging.basicConfig()``); elsewhere Python's own default writes warnings to stderr.

Thread: any, but never under a lock of crlab's: handlers of logging write, and wait.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections import OrderedDict

from crlab.errors import CrlabError, describe_error
from crlab.model.escape import plain
from crlab.model.redaction import mask_text
from crlab.runtime.clock import Clock

BURST = 10
WINDOW_SECONDS = 60.0
MAX_LINE = 2000
MAX_TRACEBACK = 20_000
MAX_KINDS = 1000

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_EXAMPLES = os.path.join(_PACKAGE, "examples", "")


def tell(area: str, level: int, text: str, trace: str = "") -> None:
    """Log one line as ``crlab.<area>``, with a traceback below it if there is one.

    Args:
        text, trace: as they are; they are masked and escaped here.
    """
    try:
        logger = logging.getLogger(f"crlab.{area}")
        if not logger.isEnabledFor(level) or (_is_notebook() and not logger.hasHandlers()):
            return
        line = plain(mask_text(text), limit=MAX_LINE)
        record = logger.makeRecord(logger.name, level, "(crlab)", 0, line, (), None)
        if trace:  # not exc_info: a formatter would write the exception's own text, unmasked
            record.exc_text = plain(mask_text(trace.rstrip()), limit=MAX_TRACEBACK, multiline=True)
        logger.handle(record)
    except Exception:  # noqa: BLE001 - whoever tells of a failure must not be the next one
        pass


def tell_of_end(thread_name: str, error: BaseException) -> None:
    """Log that an exception ended a thread."""
    text = f"{thread_name} ended: {describe_error(error)}"
    tell("runtime", logging.ERROR, text, traceback_of(error))


def is_told(area: str, level: int) -> bool:
    """Whether `tell` would log it; for hot paths."""
    return logging.getLogger(f"crlab.{area}").isEnabledFor(level)


def _is_notebook() -> bool:
    app = sys.modules.get("ipykernel.kernelapp")
    return app is not None and app.IPKernelApp.initialized()


class _FailureKind:
    __slots__ = ("begun_at", "told", "untold")

    def __init__(self, now: float) -> None:
        self.begun_at = now
        self.told = 0
        self.untold = 0


class Teller:
    """Keeps what is told within bounds; see the module's guarantee 2."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: OrderedDict[tuple[str, ...], _FailureKind] = OrderedDict()

    def tell(
        self, area: str, level: int, who: str, text: str, error: BaseException | str | None = None
    ) -> None:
        """Log a line, or count it.

        Args:
            who: whose failure it is; part of the kind.
            error: what failed, for the kind and the traceback; it is not added to `text`.
        """
        if not is_told(area, level):
            return
        with self._lock:
            kind, is_new = self._kind_locked((area, who, type(error).__name__, _place(error)))
            if kind.told >= BURST:
                kind.untold += 1
                return
            kind.told += 1
            untold, kind.untold = kind.untold, 0
            is_last = kind.told == BURST
        if untold:
            text += f" … and {untold} more like it"
        if is_last:
            text += f" (more like it are counted for up to {WINDOW_SECONDS:g} s)"
        is_first = is_new and isinstance(error, BaseException)
        tell(area, level, text, traceback_of(error) if is_first else "")  # type: ignore[arg-type]

    def _kind_locked(self, name: tuple[str, ...]) -> tuple[_FailureKind, bool]:
        assert self._lock.locked()
        now = self._clock.monotonic()
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = _FailureKind(now)
            if len(self._kinds) > MAX_KINDS:
                self._kinds.popitem(last=False)
            return kind, True
        if now - kind.begun_at >= WINDOW_SECONDS:
            kind.begun_at, kind.told = now, 0
        return kind, False

    def flush(self, who: str) -> None:
        """Say how many lines were only counted; `who` has come to its end."""
        with self._lock:
            left = [(k, v.untold) for k, v in self._kinds.items() if k[1] == who and v.untold]
            self._kinds = OrderedDict((k, v) for k, v in self._kinds.items() if k[1] != who)
        for (area, _, type_name, _), count in left:
            tell(area, logging.WARNING, f"{who}: … and {count} more like {type_name}")


def _place(error: BaseException | str | None) -> str:
    """Return where an exception was raised."""
    trace = getattr(error, "__traceback__", None)
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def traceback_of(error: BaseException, *, users_only: bool = False) -> str:
    """Return a traceback of the user's code and what it called, "" if there is none.

    Args:
        users_only: return "" for an error of crlab's own, instead of the whole.
    """
    frames: list[traceback.FrameSummary] = list(traceback.extract_tb(error.__traceback__))
    users = [at for at, frame in enumerate(frames) if _is_users(frame.filename)]
    if not users_only and isinstance(error, CrlabError):
        frames = frames[: users[-1] + 1] if users else []  # it says itself what crlab found
    if not frames or (users_only and not users):
        return ""
    shown = frames[users[0] if users else 0 :]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(shown)]
    return "".join([*lines, *traceback.format_exception_only(error)])


def _is_users(filename: str) -> bool:
    """Whether code is the user's; the examples stand for theirs."""
    return not filename.startswith(_PACKAGE) or filename.startswith(_EXAMPLES)
