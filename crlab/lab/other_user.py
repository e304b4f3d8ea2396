"""The same sandbox as somebody else: what RBAC lets them do.

From: a sandbox. To: a second lab on its server, with a client that speaks as that user,
caches and a trace of its own, on the same clock and driver.

Guarantees:
  1. Every request is authorised by the server as that user's; nothing is checked here.
  2. Closing it closes what it made, and not the sandbox; closing the sandbox closes both.

Thread: as `Lab`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crlab.apiserver.request import Identity
from crlab.client import DynamicClient
from crlab.errors import ConfigError
from crlab.lab.in_process import InProcessTransport
from crlab.lab.lab import Lab
from crlab.lab.parts import Parts
from crlab.trace.record import Trace

if TYPE_CHECKING:
    from crlab.apiserver import ApiServer

AUTHENTICATED = "system:authenticated"
SERVICE_ACCOUNT = "system:serviceaccount:"


def acting_as(own: Parts, server: ApiServer, user: str, groups: Sequence[str]) -> Lab:
    """Open a lab on `server` that speaks as `user`; it closes with the lab of `own`."""
    identity = Identity(user, (*groups, *_groups_of(user), AUTHENTICATED))
    transport = InProcessTransport(server, identity=identity)
    trace = Trace(own.clock)
    client = DynamicClient(
        transport,
        clock=own.clock,
        trace=trace,
        allow_writes=True,
        ids=own.ids.fork(f"client/{user}"),
    )
    # Clock and driver are the sandbox's, which ends them: this lab only moves with it.
    made = Lab(
        Parts(
            kind="sandbox",
            transport=transport,
            client=client,
            clock=own.clock,
            ids=own.ids.fork(f"user/{user}"),
            trace=trace,
            driver=own.driver,
            name=f"{own.name} as {user}".strip(),
        )
    )
    own.life.adopt(made)
    return made


def _groups_of(user: str) -> tuple[str, ...]:
    """Return the groups a service account is in.

    Raises:
        ConfigError: it has the form of one, and is none.
    """
    if not user:
        raise ConfigError("a user has a name")
    if not user.startswith(SERVICE_ACCOUNT):
        return ()
    namespace, _, name = user.removeprefix(SERVICE_ACCOUNT).partition(":")
    if not namespace or not name:
        raise ConfigError(f'a service account is "{SERVICE_ACCOUNT}namespace:name", not {user!r}')
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
