"""What a lab is made of, for whatever works for it: where requests go, time, chance, who moves.

From: `opening.py`, which makes the parts. To: the lab, its informers and controllers, the
sources of its views. Who takes `Parts` cannot reach the lab's verbs, and needs no lab in a test.

Thread: immutable; each part says its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from crlab.apiserver import ApiServer
    from crlab.client import DynamicClient
    from crlab.client.transport import Transport
    from crlab.runtime.clock import Clock
    from crlab.runtime.driver import Driver
    from crlab.runtime.ids import Ids
    from crlab.trace.record import Trace

LabKind = Literal["sandbox", "cluster", "envtest", "replay"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one lab.

    Attributes:
        kind: "sandbox", "cluster", "envtest" or "replay".
        name: what it is called beside its kind: "seed=0", a context, a file; "" for nothing.
        url: the API server of a cluster; "" for a sandbox, whose server knows where it listens.
        transport, client: the way to the API server; the verbs over it.
        clock, ids, driver: time, chance, and who performs the stages.
        trace: the log of what happened here.
        server: the embedded `ApiServer`, None elsewhere.
    """

    kind: LabKind
    transport: Transport
    client: DynamicClient
    clock: Clock
    ids: Ids
    trace: Trace
    driver: Driver
    server: ApiServer | None = None
    name: str = ""
    url: str = ""

    @property
    def title(self) -> str:
        """Kind and name: "sandbox seed=0"."""
        return f"{self.kind} {self.name}".rstrip()

    @property
    def is_seeded(self) -> bool:
        """Whether outputs are the same on every run."""
        return self.ids.seed is not None
