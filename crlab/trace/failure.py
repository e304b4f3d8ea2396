"""What fails now, and the log lines that say so: one table per trace.

From: whoever calls user code, writes in the background or loses a thread; each says when
something failed and when the same thing worked again. To: `Lab.problems`, and one line of
logging per failure (`runtime.telling`).

Guarantees:
  1. A row stays until the same thing works, or its owner (controller, informer, handler)
     is closed.
  2. Where nothing fails, `worked` costs one look at an empty dict.
  3. At most `MAX_PRESENT` rows; the oldest go.

Thread: any, never under a lock of the caller's; `_lock` guards the table.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container

import msgspec

from crlab.errors import describe_error
from crlab.runtime.clock import Clock
from crlab.runtime.teller import Teller

MAX_PRESENT = 10_000
MAX_ERROR = 2000  # characters of an error's text that are kept

_ERROR, _WARNING = logging.ERROR, logging.WARNING

#: Kind → the logger it is told by, how bad it is, and what is then to be expected.
KINDS: dict[str, tuple[str, int, str]] = {
    "reconcile": ("controller", _WARNING, ""),
    "given up": ("controller", _ERROR, "not tried again until the object changes"),
    "stuck": ("controller", _ERROR, "its worker was replaced"),
    "mapper": ("controller", _ERROR, "the event woke no key"),
    "predicate": ("controller", _WARNING, "the event was let pass"),
    "event": ("controller", _WARNING, "a Kubernetes Event was not written"),
    "informer": ("cache", _WARNING, ""),
    "handler": ("cache", _ERROR, "the handler is not told again"),
    "index": ("cache", _ERROR, "the object is missing from the index"),
    "transform": ("cache", _ERROR, "the object is not taken into the cache"),
    "watch error handler": ("cache", _WARNING, ""),
    "listener": ("cache", _ERROR, ""),
    "audit": ("cache", _WARNING, ""),
    "column": ("frame", _ERROR, "its cells are missing"),
    "recorder": ("trace", _ERROR, "nothing more is recorded"),
    "credentials": ("client", _ERROR, ""),
    "thread": ("runtime", _ERROR, ""),
}
#: Kinds of which one thing has one row: the newer takes the older's place.
_SLOT = {"given up": "reconcile"}


class Failure(msgspec.Struct, frozen=True):
    """One thing that fails.

    Attributes:
        kind: a key of `KINDS`.
        where: who: "controller/web", "handler/pods-1", "informer/pods".
        key: of the object concerned, "" if it is none in particular.
        error: "Type: text", as it was raised; mask it before it is shown.
        then: what is done about it, "" if nothing.
        count: how often it failed since it last worked.
        since, at: wall times of the first and the newest failure.
    """

    kind: str
    where: str
    key: str
    error: str
    then: str
    count: int
    since: float
    at: float

    def __str__(self) -> str:
        word = _SLOT.get(self.kind, self.kind)
        about = "" if self.where.startswith(f"{word}/") or word == "informer" else f"{word} "
        about = f"{about}{self.key}" if self.key else about.rstrip()
        text = f"{self.where}: {about}: {self.error}" if about else f"{self.where}: {self.error}"
        return f"{text}; {self.then}" if self.then else text


class Failures:
    """The failures of one trace.

    Attributes:
        present: (kind, where, scope, key) → what fails now; falsy where nothing does.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._teller = Teller(clock)
        self.present: dict[tuple[str, str, str, str], Failure] = {}

    def failed(
        self,
        kind: str,
        where: str,
        key: str,
        error: BaseException | str,
        *,
        scope: str = "",
        then: str = "",
        level: int | None = None,
        present: bool = True,
    ) -> None:
        """Keep a failure, and log it.

        Args:
            scope: what tells two keys of one name apart: their resource, or their informer.
            then: what is done about it; "" is what `KINDS` says.
            level: of the log line; None is what `KINDS` says.
            present: False only logs: its owner knows by itself what is still so.
        """
        area, usual, expected = KINDS[kind]
        slot = (_SLOT.get(kind, kind), where, scope, key)
        now = self._clock.now()
        text = (error if isinstance(error, str) else describe_error(error))[:MAX_ERROR]
        with self._lock:
            before = self.present.pop(slot, None)
            failure = Failure(
                kind,
                where,
                key,
                text,
                then or expected,
                before.count + 1 if before is not None else 1,
                before.since if before is not None else now,
                now,
            )
            if present:
                self.present[slot] = failure
                if len(self.present) > MAX_PRESENT:
                    del self.present[next(iter(self.present))]
        self._teller.tell(area, usual if level is None else level, where, str(failure), error)

    def worked(self, kind: str, where: str, key: str = "", *, scope: str = "") -> None:
        """Note that something worked; its row, if there is one, goes."""
        if self.present:
            with self._lock:
                self.present.pop((kind, where, scope, key), None)

    def keep(self, kind: str, where: str, keys: Container[str] = ()) -> None:
        """Drop the rows whose objects are no longer among `keys`."""
        self._drop(lambda slot: slot[:2] == (kind, where) and slot[3] not in keys)

    def forget(self, where: str, *, scope: str = "") -> None:
        """Drop the rows of one that has come to its end, and of its parts ("<where> <part>").

        Args:
            scope: drop no others; "" is all.
        """

        def is_over(slot: tuple[str, str, str, str]) -> bool:
            is_its = slot[1] == where or slot[1].startswith(f"{where} ")
            return is_its and scope in ("", slot[2])

        self._drop(is_over)
        self._teller.flush(where)

    def _drop(self, is_over: Callable[[tuple[str, str, str, str]], bool]) -> None:
        if self.present:
            with self._lock:
                for slot in [slot for slot in self.present if is_over(slot)]:
                    del self.present[slot]

    def rows(self) -> list[Failure]:
        """Return what fails now, the longest first."""
        with self._lock:
            return sorted(self.present.values(), key=lambda failure: failure.since)
