"""Recordings: a trace written to a file, and read back safely.

From: `Trace`, as it grows. To: a gzip file of JSON lines (recording_format.py), and from
one to a list of records, a `RecordedTrace`, a replay.

Guarantees:
  1. What is written is redacted (unless secrets were asked for, which its head says).
  2. Nothing is ever overwritten; the file is the owner's alone (0600).
  3. A recorder that cannot write (a full disk, a folder that went) stops at once, says so in
     `error` and in the log, follows the trace no more and keeps nothing; what it wrote opens.
     In a forked child it is closed: the file is the parent's.
  4. Opening runs nothing from the file: JSON in, values out, within limits on size, line,
     ratio and count. A cut file gives what is whole and says where it ends; an altered,
     newer or hostile one is a `RecordingError`.

Thread: `Recorder`: the tap only queues; `_lock` guards the file. `Recording`: immutable.
Source: reliability requirements S26-S30.
"""

from __future__ import annotations

import io
import os
import stat
import threading
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crlab.errors import RecordingError, error_text
from crlab.model.plural import counted
from crlab.model.redaction import PROFILE
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.runtime import fork
from crlab.runtime.clock import Clock
from crlab.runtime.thread import StageThread
from crlab.trace.record import Trace, TraceRecord
from crlab.trace.recording_format import FORMAT, VERSION, Manifest, RecordDecoder, RecordEncoder

_CHUNK = 256 * 1024
_BATCH = 500
_BANNER = "WARNING: this recording contains unredacted secrets. Do not share it."


@dataclass(frozen=True, slots=True)
class RecordingLimits:
    """How much of a file is believed."""

    max_file_bytes: int = 1 << 30
    max_total_bytes: int = 1 << 30
    max_line_bytes: int = 32 << 20
    max_ratio: float = 200.0
    max_records: int = 5_000_000


class Recorder:
    """Writes a trace to a file until it is closed."""

    def __init__(
        self,
        trace: Trace,
        path: str | os.PathLike[str],
        *,
        clock: Clock,
        resources: Iterable[ApiResource] = (),
        name: str = "",
        include_secrets: bool = False,
        include_history: bool = True,
        threaded: bool = True,
        version: str = "",
    ) -> None:
        """Create the file and begin.

        Args:
            resources: what is watched, so that a replay knows without a server.
            include_secrets: write objects as they are in the trace; the head says so.
            include_history: begin with what the trace holds already (a replay needs the
                lists the informers began with).
            threaded: write on a thread of its own; else on the appending threads, in
                batches.

        Raises:
            RecordingError: the file exists or cannot be created.
        """
        self.path = Path(path)
        self.error: RecordingError | None = None
        self._trace = trace
        self._encoder = RecordEncoder(include_secrets=include_secrets)
        self._lock = threading.Lock()
        self._wakeup = threading.Condition()
        self._queued: list[TraceRecord] = []
        self._is_closed = False
        self._is_threaded = threaded
        self._born = fork.generation()
        self._untap: Callable[[], None] = lambda: None
        self._thread = (
            StageThread("recorder", self._run, on_error=self._ended) if threaded else None
        )
        # Nothing is buffered in the file itself, so that no finaliser writes: not after an
        # error, and not in a forked child.
        self._deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
        self._file = _create(self.path)
        self._next = trace.first_seq if include_history else trace.last_seq + 1
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            created=clock.now(),
            redaction="none" if include_secrets else PROFILE,
            banner=_BANNER if include_secrets else "",
            crlab=version,
            name=name,
            resources=[asdict(resource) for resource in resources],
            first_seq=self._next,
        )
        try:
            self._write(self._deflater.compress(self._encoder.manifest(manifest)))
            # Tapped before the history is read: a record between the two comes twice, and its seq
            # tells; the other way round it would be missing.
            self._untap = trace.tap(self._tap)
            with self._wakeup:
                known = {record.seq for record in self._queued}
                history = trace.records(after=self._next - 1)
                self._queued += [record for record in history if record.seq not in known]
            if self._thread is not None:
                self._thread.start()
        except OSError as error:
            self._stop(error)
            raise self.error or error from None
        except BaseException:
            self.close()
            raise

    @property
    def is_recording(self) -> bool:
        """Whether it follows the trace: not closed, and not stopped by an `error`."""
        return not self._is_closed and self.error is None and self._is_mine

    @property
    def _is_mine(self) -> bool:
        return self._born == fork.generation()

    @property
    def count(self) -> int:
        """How many records it has taken; they are in the file after `flush` or `close`.

        Once it was stopped by an `error`: how many it tried to write, the failing one included.
        """
        if not self._is_mine:
            return self._encoder.count
        with self._lock, self._wakeup:
            waiting = sum(record.seq >= self._next for record in self._queued)
            return self._encoder.count + waiting

    def flush(self) -> None:
        """Write what is queued; what cannot be written stops it (see `error`)."""
        # A sync flush ends a block of zlib's: the file can be read to here, unfinished as it is.
        self._drain(zlib.Z_SYNC_FLUSH)

    def close(self) -> None:
        """Write what is left and the end; idempotent. It never raises what `error` tells."""
        # In a forked child a thread of the parent may have held the lock, for ever.
        with self._wakeup if self._is_mine else nullcontext():
            self._is_closed = True
            if self._is_mine:
                self._wakeup.notify_all()
        if not self._is_mine:
            return
        self._untap()
        if self._thread is not None:
            self._thread.join(10.0)
        self._drain(zlib.Z_FINISH)
        with self._lock, suppress(OSError):  # told by `error`, or there is nothing to tell
            self._file.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = f", stopped: {self.error}" if self.error is not None else ""
        return f"Recorder({self.path.name!r}, {counted(self.count, 'records')}{state})"

    def _tap(self, record: TraceRecord) -> None:
        if not self.is_recording:
            return
        # Not `_lock`, which is held while a disk writes: with a thread of its own to write, what
        # appends to the trace never waits for the disk.
        with self._wakeup:
            self._queued.append(record)
            is_due = len(self._queued) >= _BATCH
            if self._is_threaded:
                self._wakeup.notify()
        if is_due and not self._is_threaded:
            self._drain(zlib.Z_NO_FLUSH)

    def _run(self) -> None:
        while True:
            with self._wakeup:
                while not self._queued and not self._is_closed:
                    self._wakeup.wait()
            if self._is_closed or self.error is not None:
                return
            self.flush()

    def _drain(self, flush: int) -> None:
        """Write the queued records in the order of their seq, up to the first gap.

        Args:
            flush: how far zlib writes; `Z_FINISH` leaves no gap out and writes the end.
        """
        is_last = flush == zlib.Z_FINISH
        with self._lock:
            if self.error is not None or self._file.closed or not self._is_mine:
                return
            with self._wakeup:
                # A trace numbers records under its lock but tells them after it: two threads may
                # come here in the other order.
                batch = sorted(self._queued, key=lambda record: record.seq)
                self._queued = []
            try:
                left = self._written(batch, last=is_last)
                if is_last:
                    self._write(self._deflater.compress(self._encoder.end()))
                if flush != zlib.Z_NO_FLUSH:
                    self._write(self._deflater.flush(flush))
                if is_last:
                    self._file.close()
            except (OSError, ValueError) as error:  # full, gone, or a descriptor closed under it
                self._stop(error)
            else:
                if left:
                    with self._wakeup:
                        self._queued = left + self._queued
                return
        self._tell()

    def _written(self, batch: Sequence[TraceRecord], *, last: bool) -> list[TraceRecord]:
        """Write up to the first gap; return what is behind it."""
        for place, record in enumerate(batch):
            if record.seq < self._next:
                continue  # tapped and in the history
            if record.seq > self._next and not last:
                return list(batch[place:])  # the one before is on its way
            self._write(self._deflater.compress(self._encoder.record(record)))
            self._next = record.seq + 1
        return []

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def _ended(self, error: BaseException) -> None:
        with self._lock:
            self._stop(error)
        self._tell()

    def _tell(self) -> None:
        self._trace.failures.failed(
            "recorder", f"recorder/{self.path.name}", "", self.error or "stopped"
        )

    def _stop(self, error: BaseException) -> None:
        """Stop: follow the trace no more, keep nothing, and say why."""
        reason = getattr(error, "strerror", None) or error_text(error)
        self.error = RecordingError(
            f"cannot write {self.path}: {reason}; recording stopped, what was written opens "
            "(make room, then record into another file)"
        )
        self._untap()
        with self._wakeup:
            self._queued = []
        with suppress(OSError):
            self._file.close()


@dataclass(frozen=True)
class Recording:
    """A recording that was read.

    Attributes:
        records: oldest first.
        resources: what was watched.
        is_complete: whether its end was there.
        ends: why and where it ends, one sentence.
    """

    path: Path
    manifest: Manifest
    records: Sequence[TraceRecord]
    resources: Sequence[ApiResource]
    is_complete: bool
    ends: str

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, limits: RecordingLimits | None = None
    ) -> Recording:
        """Read a recording.

        Raises:
            RecordingError: no such file, not a regular file, not a recording, altered, from
                a newer version, or over a limit.
        """
        place = Path(path)
        bounds = limits or RecordingLimits()
        decoder = RecordDecoder()
        manifest: Manifest | None = None
        records: list[TraceRecord] = []
        lines = _lines(place, bounds)
        for number, line in enumerate(lines, start=1):
            if manifest is None:
                manifest = decoder.manifest(line)
                continue
            record = decoder.record(line, number)
            if record is None:
                continue
            if len(records) >= bounds.max_records:
                raise RecordingError(f"{place.name}: more than {bounds.max_records} records")
            if records and record.seq <= records[-1].seq:
                raise RecordingError(
                    f"line {number}: seq {record.seq} is out of order", line=number
                )
            records.append(record)
        if manifest is None:
            raise RecordingError(f"{place.name}: cut before its first line; nothing to read")
        return cls(
            place,
            manifest,
            tuple(records),
            tuple(_resources(manifest)),
            decoder.is_ended,
            _ends(records, decoder.is_ended),
        )

    def trace(self, clock: Clock) -> RecordedTrace:
        """Return the records as a trace, for frames, charts and time travel."""
        return RecordedTrace(clock, self.records)

    def __repr__(self) -> str:
        state = "whole" if self.is_complete else "cut"
        return f"Recording({self.path.name!r}, {counted(len(self.records), 'records')}, {state})"


class RecordedTrace(Trace):
    """A trace that holds what a recording held, with its seqs and times."""

    def __init__(self, clock: Clock, records: Sequence[TraceRecord]) -> None:
        super().__init__(clock, max_records=len(records) + 200_000)
        with self._lock:
            self._records.extend(records)
            self._sizes.extend([0] * len(records))
            self._seq = records[-1].seq if records else 0

    @property
    def first_seq(self) -> int:
        """The seq of the oldest record still held; `last_seq` + 1 if none is."""
        records = self._records
        return records[0].seq if records else self._seq + 1

    def records(self, after: int = 0, until: int | None = None) -> list[TraceRecord]:
        """Return the records with after < seq <= until; a recording may have gaps."""
        with self._lock:
            held = list(self._records)
        first = bisect_right(held, after, key=lambda record: record.seq)
        last = len(held)
        if until is not None:
            last = bisect_right(held, until, key=lambda record: record.seq)
        return held[first:last]


def _create(path: Path) -> Any:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)
    except FileExistsError:
        raise RecordingError(
            f"{path} exists; a recording never overwrites, choose another name"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(f"cannot create {path}: {reason}") from error


def _lines(path: Path, limits: RecordingLimits) -> Iterator[bytes]:
    """Yield the whole lines of a gzip file; stop without an error where it is cut."""
    pending = bytearray()
    total = 0
    with _opened(path, limits) as file:
        inflater = zlib.decompressobj(wbits=31)
        read = 0
        data = b""
        while True:
            if not data:
                data = file.read(_CHUNK)
                read += len(data)
                if not data and not inflater.eof:
                    pending += inflater.flush()
                    yield from _taken(pending, path, limits)
                    return  # cut: what is left is a part of a line
            try:
                plain = inflater.decompress(data, _CHUNK)
            except zlib.error as error:
                raise RecordingError(
                    f"{path.name}: not a gzip file, or damaged after {total} bytes"
                ) from error
            total += len(plain)
            if total > limits.max_total_bytes:
                raise RecordingError(f"{path.name}: more than {limits.max_total_bytes} bytes")
            if total > (16 << 20) and total > limits.max_ratio * max(read, 1):
                raise RecordingError(f"{path.name}: inflates more than {limits.max_ratio:g} times")
            pending += plain
            yield from _taken(pending, path, limits)
            if inflater.eof:
                if inflater.unused_data or file.read(1):
                    raise RecordingError(f"{path.name}: something follows the end of the data")
                return
            data = inflater.unconsumed_tail


def _taken(pending: bytearray, path: Path, limits: RecordingLimits) -> Iterator[bytes]:
    """Cut the whole lines off the front of `pending`."""
    start = 0
    while (end := pending.find(b"\n", start)) >= 0:
        if end - start > limits.max_line_bytes:
            break
        yield bytes(pending[start:end])
        start = end + 1
    del pending[:start]
    if len(pending) > limits.max_line_bytes:
        raise RecordingError(f"{path.name}: a line of more than {limits.max_line_bytes} bytes")


def _opened(path: Path, limits: RecordingLimits) -> io.BufferedReader:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(f"cannot open {path}: {reason}") from error
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_size > limits.max_file_bytes:
        os.close(descriptor)
        if stat.S_ISREG(state.st_mode):
            raise RecordingError(f"{path.name}: over {limits.max_file_bytes} bytes")
        raise RecordingError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")


def resource_of(row: Any) -> ApiResource:
    """Return a resource as it was written down.

    Raises:
        RecordingError: it is malformed.
    """
    try:
        gvr = row["gvr"]
        return ApiResource(
            GroupVersionResource(
                _text(gvr["group"]), _text(gvr["version"]), _text(gvr["resource"])
            ),
            _text(row["kind"]),
            row.get("is_namespaced") is True,
            _text(row.get("singular", "")),
            tuple(map(_text, row.get("short_names") or ())),
            tuple(map(_text, row.get("categories") or ())),
            tuple(map(_text, row.get("verbs") or ())),
            tuple(map(_text, row.get("subresources") or ())),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordingError("the recording's resources are malformed") from error


def _resources(manifest: Manifest) -> Iterator[ApiResource]:
    return map(resource_of, manifest.resources)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _ends(records: Sequence[TraceRecord], complete: bool) -> str:
    where = f"after seq {records[-1].seq}" if records else "before the first record"
    if complete:
        return f"it ends {where}, as recorded"
    return f"it was cut {where}; what is whole was read"
