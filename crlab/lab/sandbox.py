"""A lab on a server of its own: serve, snapshot, go back, fork, forget history, break it.

From: `crlab.sandbox()` and `Sandbox.fork`. To: whoever needs more than a cluster lets one do.

Thread: any.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlab.apiserver import ApiServer, StorageSnapshot
from crlab.client.kubeconfig import write_kubeconfig
from crlab.errors import ConfigError, ResourceExpired
from crlab.lab.builtin_controller import BuiltinControllers
from crlab.lab.fault import LabFaults
from crlab.lab.lab import Lab
from crlab.lab.life import Rank
from crlab.lab.parts import Parts
from crlab.model.argument import (
    checked_count,
    checked_list,
    checked_path,
    checked_text,
    checked_texts,
)
from crlab.runtime.dependency import refuse_read

if TYPE_CHECKING:
    import pandas as pd

    from crlab.cache import SharedInformer
    from crlab.controller.informer_like import InformerLike
    from crlab.lab.informer import Informer
    from crlab.lab.lab_controller import LabController
    from crlab.report.stress import StressReport


class Sandbox(Lab):
    """A lab with an embedded API server. Made by `crlab.sandbox()`."""

    def __init__(self, parts: Parts, server: ApiServer, controllers: Sequence[str] = ()) -> None:
        """Take the parts and the server, which ends with the lab; start its own controllers."""
        super().__init__(parts)
        self._server = server
        self._faults = LabFaults(parts)  # from the first: it knows every watch
        self._builtin: BuiltinControllers | None = None
        parts.life.push("the server", server.close, rank=Rank.SERVER)
        if controllers:
            self._builtin = BuiltinControllers(parts, server, controllers)
            parts.life.push("the server's controllers", self._builtin.close, rank=Rank.BUILTIN)
            parts.unsettled.append(self._builtin.unsettled)
            parts.other_traces.append(self._builtin.trace)

    # -- its server -----------------------------------------------------------------------

    @property
    def server(self) -> ApiServer:
        """The embedded API server, for what no verb of a lab does."""
        return self._server

    def serve(self, port: int = 0) -> str:
        """Put the embedded server on a loopback socket, if it is not; return its URL.

        Raises:
            ConfigError: the port is taken.
        """
        from crlab.lab.opening import serve

        server = self._own("serve")
        if not server.is_serving:
            serve(server, port)
        return server.url

    def write_kubeconfig(self, path: str | os.PathLike[str], *, token: str | None = None) -> Path:
        """Write a kubeconfig for this sandbox, readable by its owner only; return its path.

        ``kubectl --kubeconfig PATH get namespaces`` then works; so does every other client.

        Args:
            token: whose; one of ``sandbox(tokens=…)``. None is the administrator's.

        Raises:
            ConfigError: a token that this server does not know, or no path.
        """
        server = self._own("write a kubeconfig")
        target = Path(checked_path(path, "what lab.write_kubeconfig() writes"))
        if token is not None and not server.knows_token(checked_text(token, "token")):
            raise ConfigError(
                "cannot write a kubeconfig: the token is none of crlab.sandbox(tokens=…)"
            )
        write_kubeconfig(target, self.serve(), token or server.admin_token())
        return target

    def api_client(self) -> Any:
        """Return an official ``kubernetes.client.ApiClient`` on this sandbox.

        Code written for the official client runs on it:
        ``kubernetes.client.CoreV1Api(lab.api_client()).list_namespace()``.
        """
        from crlab.client.official import api_client

        server = self._own("make an official client")
        return api_client(self.serve(), token=server.admin_token())

    @property
    def revision(self) -> int:
        """The newest resourceVersion the embedded server has given out."""
        return self._own("read the revision").storage.revision

    @property
    def audit_log(self) -> pd.DataFrame:
        """What was asked of the embedded server, by anybody.

        Shape:
            RangeIndex; time (datetime64[us, UTC]), user, user_agent, verb, group, resource,
            subresource, namespace, name (str), code (int64), duration_seconds (float64),
            request_bytes, response_bytes (of a watch: so far), revision (int64), fault (str).
        """
        from crlab.frame.audit_frame import audit_log_frame

        return audit_log_frame(self._own("read the audit log").audit.records)

    def as_user(self, user: str, *, groups: Sequence[str] = ()) -> Lab:
        """Open a second lab on this server that speaks as somebody else; RBAC decides.

        It has caches, controllers and a trace of its own, moves with this lab, and is closed
        with it.

        Args:
            user: a name, or "system:serviceaccount:namespace:name".
            groups: besides those of a service account and "system:authenticated".
        """
        from crlab.lab.other_user import acting_as

        server = self._own("act as somebody else")
        checked_text(user, "user", '"jane" or "system:serviceaccount:default:web"')
        checked_texts(groups, "groups")
        return acting_as(self._parts, server, user, groups)

    # -- its time -------------------------------------------------------------------------

    def snapshot(self) -> tuple[StorageSnapshot, object]:
        """Return the whole server at this moment, for `restore`. Costs next to nothing."""
        return self._own("take a snapshot").snapshot()

    def restore(self, snapshot: tuple[StorageSnapshot, object]) -> int:
        """Put a snapshot back, under a new revision; watches end and informers list again.

        Returns:
            The revision of the restored state: it never goes back.

        Raises:
            ConfigError: that is no snapshot.
        """
        server = self._own("restore")
        is_snapshot = isinstance(snapshot, tuple) and len(snapshot) == 2
        if not is_snapshot or not isinstance(snapshot[0], StorageSnapshot):
            raise ConfigError(
                f"restore() takes what lab.snapshot() returned, not {type(snapshot).__name__}; "
                "lab.rewind(revision) goes back to a resourceVersion"
            )
        return server.restore(snapshot)

    def rewind(self, revision: int | str) -> int:
        """Write the inverse of everything since a revision, as ordinary changes.

        Returns:
            How many objects were changed.

        Raises:
            ResourceExpired: history before that revision was compacted.
            ConfigError: that is no resourceVersion, or one that is yet to come.
        """
        from crlab.apiserver.storage import Compacted

        server = self._own("rewind")
        wanted = _revision(revision)
        if wanted > server.storage.revision:
            raise ConfigError(
                f"cannot rewind to {wanted}: the server is at {server.storage.revision}, "
                "and time only comes by writes"
            )
        try:
            return server.rewind(wanted)
        except Compacted as error:
            raise ResourceExpired(
                str(error), code=410, reason="Expired", tried=f"rewind to {wanted}"
            ) from None

    def compact(self) -> int:
        """Forget the server's history: older lists and watches get 410. Return the revision."""
        return self._own("compact").compact()

    def fork(self, *controllers: LabController) -> Sandbox:
        """Open a second sandbox that goes on from this moment, on a server of its own.

        Args:
            controllers: of this lab, to be there too: each over informers of its own, with
                attempts and breakpoints that start over; `Lab.controllers` of the fork.
        """
        from crlab.lab.opening import forked

        server = self._own("fork")
        names = self._builtin.names if self._builtin is not None else ()
        lab = forked(self._parts, server, names)
        for each in controllers:
            lab._take_twin(each)  # noqa: SLF001 - the same class
        return lab

    def _take_twin(self, model: LabController) -> LabController:
        """Build another lab's controller here, over this lab's informers."""
        theirs: dict[InformerLike, Informer] = {x.shared: x for x in model.lab.informers}

        def informer_for(shared: InformerLike) -> SharedInformer:
            like = theirs[shared]
            return self.informer(
                like.resource,
                namespace=like.namespaces or None,
                label_selector=like.label_selector,
                field_selector=like.field_selector,
            ).shared

        twin = model.controller.twin(
            informer_for,
            client=self.client,
            driver=self.driver,
            clock=self.clock,
            ids=self.ids.fork(f"controller/{model.name}"),
            trace=self.trace,
        )
        return self._keep_controller(twin, model.reconcile)

    # -- what goes wrong ------------------------------------------------------------------

    @property
    def faults(self) -> LabFaults:
        """What can be broken on this sandbox's server, on purpose."""
        self._parts.life.check_open("inject faults")
        return self._faults

    @property
    def builtin_controllers(self) -> BuiltinControllers:
        """The server's own controllers: pause, resume or step them.

        Raises:
            ConfigError: none run here.
        """
        self._parts.life.check_open("reach the built-in controllers")
        if self._builtin is None:
            raise ConfigError(f"no built-in controllers run in {self!r}")
        return self._builtin

    def stress(
        self,
        controller: LabController,
        *,
        scenario: Sequence[Callable[[Any], Any]] = (),
        max_runs: int = 60,
    ) -> StressReport:
        """Run a controller again and again, each time with one thing going wrong.

        Crash after the n-th write for every n, one watch event lost, one stale list; each
        in a fork of this sandbox. The end state and the counts of creates and deletes are
        compared with a clean run.

        Args:
            scenario: functions of a client (which may do everything), done one after the
                other; none: what this sandbox holds already.
            max_runs: more faults than this are tried at even distances.

        Raises:
            ConfigError: this lab does not stand still (``driver="manual"``).
        """
        from crlab.lab.lab_controller import LabController
        from crlab.report.stress import stress

        self._own("stress a controller")
        if not self.driver.is_manual:
            raise ConfigError(
                'stress needs a sandbox that stands still: crlab.sandbox(driver="manual")'
            )
        if not isinstance(controller, LabController):
            raise ConfigError(
                f"stress() takes a controller, as @lab.controller makes it, not {controller!r}"
            )
        checked_list(scenario, "scenario", "functions of a client")
        checked_count(max_runs, "max_runs", least=1)
        return stress(controller.controller, self.fork, scenario=scenario, max_runs=max_runs)

    def _own(self, verb: str) -> ApiServer:
        """Return the server, for a verb that no dry run, live expression or child may use."""
        self._parts.life.check_open(verb)
        refuse_read(verb)
        self._parts.life.check_here(verb)
        return self.server


def _revision(revision: object) -> int:
    """Return a resourceVersion as a number."""
    if isinstance(revision, str) and revision.isascii() and revision.isdigit():
        return int(revision)
    if isinstance(revision, bool) or not isinstance(revision, int) or revision < 0:
        raise ConfigError(
            f"rewind() takes a resourceVersion, such as 42, not {revision!r}; "
            "lab.revision is the present one"
        )
    return revision
