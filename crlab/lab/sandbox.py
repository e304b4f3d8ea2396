"""What only a sandbox can: serve, snapshot, go back, fork, forget history, show its log.

Thread: any.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crlab.errors import ConfigError, ResourceExpired
from crlab.lab.looking import LookingLab
from crlab.model.argument import checked_path, checked_text, checked_texts

if TYPE_CHECKING:
    import pandas as pd

    from crlab.lab.lab import Lab


class BranchingLab(LookingLab):
    """A lab whose server can be branched, if it is our own."""

    def serve(self, port: int = 0) -> str:
        """Put the embedded server on a loopback socket, if it is not; return its URL.

        Raises:
            ConfigError: the port is taken, or this is no sandbox.
        """
        from crlab.lab.opening import serve

        server = self._own_server("serve")
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
        from crlab.lab.kubeconfig import write_kubeconfig

        server = self._own_server("write a kubeconfig")
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

        Raises:
            ConfigError: this is no sandbox; use ``kubernetes.config.load_kube_config()``.
        """
        from crlab.client.official import api_client

        server = self._own_server("make an official client")
        return api_client(self.serve(), token=server.admin_token())

    def snapshot(self) -> Any:
        """Return the whole server at this moment, for `restore`. Costs next to nothing."""
        return self._own_server("take a snapshot").snapshot()

    def restore(self, snapshot: Any) -> int:
        """Put a snapshot back, under a new revision; watches end and informers list again.

        Returns:
            The revision of the restored state: it never goes back.

        Raises:
            ConfigError: that is no snapshot.
        """
        from crlab.apiserver import StorageSnapshot

        server = self._own_server("restore")
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

        server = self._own_server("rewind")
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
        return self._own_server("compact").compact()

    def fork(self) -> Lab:
        """Open a second lab that goes on from this moment, on a server of its own."""
        from crlab.lab.opening import forked

        self._own_server("fork")
        return forked(self._whole)

    def as_user(self, user: str, *, groups: Sequence[str] = ()) -> Lab:
        """Open a second lab on this server that speaks as somebody else; RBAC decides.

        It has caches, controllers and a trace of its own, moves with this lab, and is closed
        with it.

        Args:
            user: a name, or "system:serviceaccount:namespace:name".
            groups: besides those of a service account and "system:authenticated".
        """
        from crlab.lab.other_user import acting_as

        server = self._own_server("act as somebody else")
        checked_text(user, "user", '"jane" or "system:serviceaccount:default:web"')
        checked_texts(groups, "groups")
        return acting_as(self._whole, server, user, groups)

    @property
    def revision(self) -> int:
        """The newest resourceVersion the embedded server has given out."""
        return self._own_server("read the revision").storage.revision

    @property
    def audit_log(self) -> pd.DataFrame:
        """What was asked of the embedded server, by anybody.

        Shape:
            RangeIndex; time (datetime64[us, UTC]), user, user_agent, verb, group, resource,
            subresource, namespace, name (str), code (int64), duration_seconds (float64),
            request_bytes, response_bytes (of a watch: so far), revision (int64), fault (str).
        """
        from crlab.frame.cache_frame import audit_log_frame

        return audit_log_frame(self._own_server("read the audit log").audit.records)


def _revision(revision: Any) -> int:
    """Return a resourceVersion as a number."""
    if isinstance(revision, str) and revision.isascii() and revision.isdigit():
        return int(revision)
    if isinstance(revision, bool) or not isinstance(revision, int) or revision < 0:
        raise ConfigError(
            f"rewind() takes a resourceVersion, such as 42, not {revision!r}; "
            "lab.revision is the present one"
        )
    return revision
