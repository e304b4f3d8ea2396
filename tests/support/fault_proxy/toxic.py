"""Faults that know only bytes and connections, by toxiproxy's names and a few more."""

from __future__ import annotations

from support.fault_proxy.fault import Fault
from support.fault_proxy.http1 import chunk
from support.fault_proxy.proxy import Exchange


class Latency(Fault):
    """Every write comes late, by `seconds` plus up to `jitter_seconds`."""

    def __init__(self, seconds: float, jitter_seconds: float = 0.0) -> None:
        self.seconds, self.jitter_seconds = seconds, jitter_seconds

    def data(self, exchange: Exchange, pieces: list[bytes]) -> list[bytes]:
        exchange.note(self)
        jitter = exchange.proxy.random.uniform(0, self.jitter_seconds)
        exchange.pause(self.seconds + jitter)
        return pieces


class Slicer(Fault):
    """Bytes arrive in slices of `size`, `delay_seconds` apart."""

    def __init__(self, size: int, delay_seconds: float = 0.0, *, is_endless: bool = False) -> None:
        self.size, self.delay_seconds = size, delay_seconds

    def data(self, exchange: Exchange, pieces: list[bytes]) -> list[bytes]:
        exchange.note(self)
        for data in pieces:
            for start in range(0, len(data), self.size):
                exchange.client.sendall(data[start : start + self.size])
                if self.delay_seconds:
                    exchange.pause(self.delay_seconds)
        return []


class Bandwidth(Slicer):
    """At most `bytes_per_second`."""

    def __init__(self, bytes_per_second: float) -> None:
        super().__init__(max(1, int(bytes_per_second / 100)), 0.01)


class SlowClose(Fault):
    """The connection stays open for `seconds` after the last byte of a stream."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def closing(self, exchange: Exchange) -> None:
        exchange.note(self)
        exchange.pause(self.seconds)


class Blackhole(Fault):
    """A request vanishes: never answered, never closed (toxiproxy's timeout 0)."""

    def asked(self, exchange: Exchange) -> None:
        exchange.note(self)
        exchange.hold()


class ResetPeer(Fault):
    """RST, instead of an answer or right now in an open stream."""

    def asked(self, exchange: Exchange) -> None:
        exchange.note(self)
        exchange.reset()

    opened = asked


class LimitData(Fault):
    """FIN after `size` bytes."""

    def __init__(self, size: int) -> None:
        self.left = size

    def data(self, exchange: Exchange, pieces: list[bytes]) -> list[bytes]:
        for data in pieces:
            exchange.client.sendall(data[: self.left])
            self.left -= len(data)
            if self.left <= 0:
                exchange.note(self)
                exchange.fin()
        return []


class HalfOpen(Fault):
    """The stream stays open and brings nothing more, whatever happens at the server."""

    def opened(self, exchange: Exchange) -> None:
        exchange.is_mute = True
        exchange.note(self)

    def data(self, exchange: Exchange, pieces: list[bytes]) -> list[bytes]:
        return []


class StallHandshake(Fault):
    """A connection is accepted; no byte is ever read or sent on it."""

    def connected(self, exchange: Exchange) -> None:
        exchange.note(self)
        while not exchange.proxy.is_closed.wait(0.05):
            pass
        exchange.fin()


class RstMidLine(Fault):
    """Half of the next line, then RST."""

    def line(self, exchange: Exchange, line: bytes) -> list[bytes]:
        exchange.write(chunk(line[: len(line) // 2]))
        exchange.note(self, f"{len(line) // 2} of {len(line)} bytes")
        exchange.pause(0.02)  # a RST may overtake what was sent before it
        exchange.reset()
        return []


class FinMidLine(Fault):
    """Half of the next line, or all but its newline, then a clean end or only a FIN."""

    def __init__(self, *, is_clean: bool = False, is_whole: bool = False) -> None:
        self.is_clean, self.is_whole = is_clean, is_whole

    def line(self, exchange: Exchange, line: bytes) -> list[bytes]:
        size = len(line) - 1 if self.is_whole else len(line) // 2
        exchange.write(chunk(line[:size]))
        exchange.note(self, f"{size} of {len(line)} bytes")
        if self.is_clean:
            exchange.finish()
        exchange.fin()
        return []


class Corrupt(Fault):
    """One bit of the next line is flipped; `at` counts from its middle."""

    def __init__(self, *, bit: int = 7, at: int = 0, times: int = 1) -> None:
        self.bit, self.at, self.times = bit, at, times

    def line(self, exchange: Exchange, line: bytes) -> list[bytes]:
        if not self.times:
            return [line]
        self.times -= 1
        where = len(line) // 2 + self.at
        exchange.note(self, f"bit {self.bit} of byte {where}")
        return [line[:where] + bytes([line[where] ^ (1 << self.bit)]) + line[where + 1 :]]


class Trickle(Fault):
    """From now on: a byte every `seconds`, never a newline (slowloris)."""

    def __init__(self, seconds: float = 0.01) -> None:
        self.seconds = seconds

    def opened(self, exchange: Exchange) -> None:
        exchange.note(self)
        exchange.is_stream = False  # nothing can be put into it any more
        while True:
            exchange.client.sendall(chunk(b" "))
            exchange.pause(self.seconds)


class Flood(Fault):
    """From now on: `size` bytes of one line without an end."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.is_sent = False

    def opened(self, exchange: Exchange) -> None:
        exchange.note(self, f"{self.size} bytes")
        piece = chunk(b'"' + b"x" * 65535)
        exchange.client.sendall(chunk(b'{"type":"ADDED","object":{"a":'))
        for _ in range(self.size // 65536):
            exchange.client.sendall(piece)
        self.is_sent = True
        exchange.hold()
