"""The embedded server's own controllers, as a lab holds them: pause, resume, step.

From: the server's commits. To: the server, as its system user, without a socket. They are
crlab controllers like the user's own (`crlab.controller.builtin`).

Thread: any; with threads they share ``crlab-builtin-controllers``.
"""

from __future__ import annotations

from collections.abc import Sequence

from crlab.apiserver import SYSTEM, ApiServer
from crlab.client import DynamicClient
from crlab.controller import Controller, StepRecord
from crlab.controller.builtin import ControllerManager
from crlab.lab.in_process import InProcessTransport
from crlab.lab.parts import Parts
from crlab.trace.record import Trace


class BuiltinControllers:
    """Namespace deletion, garbage collection and workloads of one sandbox."""

    def __init__(self, parts: Parts, server: ApiServer, names: Sequence[str]) -> None:
        transport = InProcessTransport(server, identity=SYSTEM)
        # A trace of their own: their work is the server's, not part of the user's pipeline.
        self.trace = Trace(parts.clock, max_records=20_000)
        client = DynamicClient(
            transport,
            clock=parts.clock,
            trace=self.trace,
            allow_writes=True,
            field_manager="kube-controller-manager",
            ids=parts.ids.fork("builtin-client"),
        )
        self._manager = ControllerManager(
            server.storage,
            client,
            driver=parts.driver,
            clock=parts.clock,
            ids=parts.ids.fork("builtin"),
            trace=self.trace,
            groups=names,
        )
        self._transport = transport
        self.names = tuple(names)
        self._manager.start()

    @property
    def controllers(self) -> dict[str, Controller]:
        """The controllers by name; their queues and histories can be looked at."""
        return self._manager.controllers

    def pause(self, name: str | None = None) -> None:
        """Let one of them (None: all) keep its keys until `resume`."""
        self._manager.pause(name)

    def resume(self, name: str | None = None) -> None:
        """Go on after `pause`."""
        self._manager.resume(name)

    def step(self, name: str) -> StepRecord | None:
        """Take one key of a paused controller by hand; None if it has none."""
        return self._manager.step_one(name)

    def unsettled(self) -> list[str]:
        """Say what they have still to do; [] if nothing."""
        return self._manager.pending()

    def close(self) -> list[str]:
        """End them; return the name of their thread if it is still alive. Idempotent."""
        self._manager.stop()
        left = self._manager.join(1.0)
        self._manager.close()
        self._transport.close()
        return left

    def __repr__(self) -> str:
        return f"BuiltinControllers({', '.join(self.controllers)})"
