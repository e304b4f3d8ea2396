"""A comm that records instead of sending: what a front end would have been told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import comm
from comm.base_comm import BaseComm


@dataclass
class Message:
    """One message: its kind, its size, the thread that sent it."""

    kind: str
    size: int
    thread: str
    state: dict[str, Any]


@dataclass
class Recorder:
    """All messages since the start."""

    messages: list[Message] = field(default_factory=list)

    def updates(self) -> list[Message]:
        """Trait updates only."""
        return [m for m in self.messages if m.kind == "comm_msg"]


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Record every comm message of widgets made inside the block."""
    recorder = Recorder()

    class RecorderComm(BaseComm):
        def publish_msg(
            self,
            msg_type: str,
            data: dict[str, Any] | None = None,
            metadata: dict[str, Any] | None = None,
            buffers: list[bytes] | None = None,
            **more: Any,
        ) -> None:
            state = (data or {}).get("state", {}) if isinstance(data, dict) else {}
            size = len(str(data))
            name = threading.current_thread().name
            recorder.messages.append(Message(msg_type, size, name, state))

    before = comm.create_comm
    comm.create_comm = lambda *args, **kwargs: RecorderComm(*args, **kwargs)
    try:
        yield recorder
    finally:
        comm.create_comm = before
