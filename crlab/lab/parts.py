"""What a lab is made of, for whatever works for it: where requests go, time, chance, who moves.

From: `opening.py`, which makes the parts. To: the lab, its informers and controllers, the
sources of its views. Who takes `Parts` cannot reach the lab's verbs, and needs no lab in a test.

Thread: immutable but for the lists, which only the lab changes, by whole appends; each part
says its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from crlab.lab.life import Life
from crlab.trace.failure import Failure

if TYPE_CHECKING:
    from crlab.apiserver import ApiServer
    from crlab.cache import SharedInformer
    from crlab.client import DynamicClient
    from crlab.client.endpoint import Endpoint
    from crlab.client.transport import Transport
    from crlab.controller import Controller
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
        cluster_url: the API server of a cluster; "" where there is none, or our own.
        transport, client: the way to the API server; the verbs over it.
        clock, ids, driver: time, chance, and who performs the stages.
        trace: the log of what happened here.
        server: the embedded `ApiServer`, None elsewhere.
        life: whether the lab is open, and what ends with it.
        informers, controllers: what the lab made and did not replace, oldest first.
        unsettled: whoever else says what it has still to do: the server's own controllers.
        other_traces: what they did; their failures are this lab's problems too.
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
    cluster_url: str = ""
    life: Life = field(default_factory=Life)
    informers: list[SharedInformer] = field(default_factory=list)
    controllers: list[Controller] = field(default_factory=list)
    unsettled: list[Callable[[], list[str]]] = field(default_factory=list)
    other_traces: list[Trace] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Kind and name: "sandbox seed=0"."""
        return f"{self.kind} {self.name}".rstrip()

    @property
    def is_seeded(self) -> bool:
        """Whether outputs are the same on every run."""
        return self.ids.seed is not None

    def controllers_of(self, informer: SharedInformer) -> list[Controller]:
        """Return the controllers that an informer's changes reach."""
        name = informer.resource.gvr.group_resource
        return [each for each in list(self.controllers) if each.listens_to(name)]

    @property
    def url(self) -> str:
        """Where the API server listens; "" for a sandbox that is on no socket."""
        if self.server is not None:
            return self.server.url if self.server.is_serving else ""
        return self.cluster_url

    @property
    def connection(self) -> tuple[Endpoint | None, str]:
        """Where requests go (None: nowhere, the server is in this process) and how they
        authenticate: "token", "exec /usr/bin/plugin", "none"."""
        endpoint: Endpoint | None = getattr(self.transport, "endpoint", None)
        return endpoint, str(getattr(self.transport, "authentication", "none"))

    def credential_problem(self) -> Failure | None:
        """Return why there are no credentials now, and since when; None while there are."""
        credentials = getattr(self.transport, "credentials", None)
        error: str = getattr(credentials, "error", "")
        if not error:
            return None
        since: float = getattr(credentials, "failed_at", 0.0)
        kind, now = self.connection[1], self.clock.now()
        return Failure("credentials", kind, "", error, "", 1, since, now)


def namespaces_of(informer: SharedInformer) -> tuple[str, ...]:
    """Return the namespaces an informer is limited to, () for all."""
    return tuple(each.namespace for each in informer.lister_watchers if each.namespace)


def namespace_of(informer: SharedInformer) -> str | None:
    """Return the namespace an informer is limited to; None for all, or for several."""
    namespaces = namespaces_of(informer)
    return namespaces[0] if len(namespaces) == 1 else None


def lane_of(informer: SharedInformer) -> str:
    """Return how views and sentences call an informer: "pods in default, web"."""
    namespaces = namespaces_of(informer)
    place = f" in {', '.join(namespaces)}" if namespaces else ""
    return f"{informer.resource.gvr.group_resource}{place}"
