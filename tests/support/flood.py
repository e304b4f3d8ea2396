"""A flood of events into an informer with three views open; runs inside a kernel."""

from __future__ import annotations

import threading
import time
from typing import Any

import crlab
from crlab.client import DynamicClient
from crlab.lab.in_process import InProcessTransport
from crlab.runtime.thread import StageThread


class Flood:
    """A sandbox with many objects, three live views, and a writer at a steady rate."""

    def __init__(self, objects: int, per_second: int) -> None:
        self.lab: Any = crlab.sandbox()
        self.objects, self.per_second, self.made = objects, per_second, 0
        self.stop = threading.Event()
        # A client that spares the sockets, so that the flood is one of events.
        transport = InProcessTransport(self.lab.server)
        self.client = DynamicClient(
            transport, clock=self.lab.clock, trace=self.lab.trace, allow_writes=("*",)
        )
        for number in range(objects):
            self.client.create("configmaps", body(number, 0))
        self.maps = self.lab.informer("configmaps").wait_for_sync(30)
        self.views = (self.maps.watch(), self.maps.events.watch(), self.lab.pipeline())
        self.thread = StageThread("crlab-flood", self._run)

    def show(self) -> None:
        """Show the three views."""
        for view in self.views:
            view.show()

    def start(self) -> None:
        """Begin to write."""
        self.thread.start()

    def end(self) -> int:
        """Stop writing; return how many were written."""
        self.stop.set()
        self.thread.join(5)
        return self.made

    def _run(self) -> None:
        started = time.monotonic()
        while not self.stop.is_set():
            self.client.update("configmaps", body(self.made % self.objects, self.made + 1))
            self.made += 1
            ahead = self.made / self.per_second - (time.monotonic() - started)
            if ahead > 0.005:
                self.stop.wait(ahead)


def body(number: int, value: int) -> dict[str, Any]:
    """Return one small object."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"w{number}", "namespace": "default"},
        "data": {"n": str(value)},
    }
