"""One run of a reconcile: what it is about, what it has done, when it is over.

The base of `Context`; reading, writing and owning build on it.

Thread: the thread of its run; `end` from any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crlab.controller.call import Call
from crlab.controller.draft import Draft, rebased
from crlab.controller.reconcile import Request
from crlab.controller.writer import RunWriter
from crlab.errors import ConfigError, ReconcileFailed
from crlab.model.encoder import check_whole
from crlab.model.key import join_key
from crlab.model.object import KubeObject
from crlab.model.redaction import mask_text
from crlab.model.resource import ApiResource
from crlab.workqueue.trigger import Trigger

if TYPE_CHECKING:
    from crlab.controller.environment import Environment


class Run:
    """One run of one key.

    Attributes:
        request: which object to reconcile.
        attempt: 1 for the first try since the key last succeeded.
        triggers: every event that was collapsed into this run, oldest first.
        reconcile_id: a uid of this run.
        is_dry_run: writes are checked by the server and change nothing.
        calls: the reads and writes so far.
        logged: what `log` was given.
    """

    def __init__(
        self,
        environment: Environment,
        request: Request,
        *,
        attempt: int = 1,
        triggers: tuple[Trigger, ...] = (),
        seq: int = 0,
        dry_run: bool = False,
        deadline_seconds: float | None = None,
    ) -> None:
        self._env = environment
        self._reader = environment.reader
        self.request = request
        self.attempt = attempt
        self.triggers = triggers
        self.reconcile_id = environment.ids.uid()
        self.is_dry_run = dry_run
        self.calls: list[Call] = []
        self.logged: list[str] = []
        self._versions_read: set[str] = set()
        self._seq = seq
        self._ended = ""
        self._until = (
            None if deadline_seconds is None else environment.clock.monotonic() + deadline_seconds
        )
        self._writer = RunWriter(self, environment)
        self._draft: tuple[Draft, KubeObject] | None = None  # `object`, and what it was made of
        self._client: Any = None

    @property
    def name(self) -> str:
        """The name of the object to reconcile."""
        return self.request.name

    @property
    def namespace(self) -> str:
        """Its namespace, "" if cluster-scoped."""
        return self.request.namespace

    @property
    def resource(self) -> ApiResource:
        """The controller's own resource."""
        return self._env.resource

    @property
    def client(self) -> Any:
        """The client for what `ctx` has no verb for; a `DynamicClient`.

        Its requests are calls of this run as all others are: among `calls`, dry in a dry
        run, laid over the cache, and refused once the run is over.
        """
        if self._client is None:
            observed = getattr(self._env.client, "observed", None)
            self._client = (
                self._env.client
                if observed is None
                else observed(self._writer.through, field_manager=self._env.field_manager)
            )
        return self._client

    @property
    def is_stopping(self) -> bool:
        """Whether the run should come to its end: stopped or over its time."""
        return bool(self._ended) or self._env.is_stopping() or self._is_late()

    @property
    def is_stale(self) -> bool:
        """Whether cached reads may be behind the server; `staleness` says why."""
        return bool(self._reader.staleness())

    @property
    def staleness(self) -> str:
        """Why cached reads may be behind, "" if nothing suggests it."""
        return self._reader.staleness()

    def end(self, why: str) -> None:
        """Refuse further calls; `why` is told to whoever makes one."""
        self._ended = self._ended or why

    def check(self) -> None:
        """Raise `ReconcileFailed` if this run is over."""
        why = self._ended or ("its time is over" if self._is_late() else "")
        if why:
            raise ReconcileFailed(
                f"{self.request.key}: this run may make no more calls: {why}",
                request=self.request,
                attempt=self.attempt,
            )

    def _is_late(self) -> bool:
        return self._until is not None and self._env.clock.monotonic() >= self._until

    def log(self, message: Any, *arguments: Any) -> None:
        """Note something about this run: ``ctx.log("scaled %s to %d", name, 3)``.

        It is shown with its step, kept in the trace, and logged as ``crlab.controller`` (info)
        with the controller's name and the key. Formatted as logging does, with ``%``;
        arguments that do not fit the text follow it, and a text alone is taken as it is.
        """
        text = mask_text(_formatted(message, arguments))
        self.logged.append(text)
        self._env.note(self.request.key, "log", self._seq, {"message": text})
        self._env.tell(self.request.key, text)

    def _place(self, resource: str | ApiResource, namespace: str | None) -> tuple[ApiResource, str]:
        found = self._env.resolve(resource)
        if not found.is_namespaced:
            return found, ""
        return found, self.request.namespace if namespace is None else namespace

    def _complete(self, obj: Mapping[str, Any]) -> tuple[ApiResource, dict[str, Any]]:
        """Return an object's resource and a copy with its namespace filled in."""
        if self._draft is not None and obj is self._draft[0]:
            self._follow(self._current())  # an earlier write of this run moved its version
        found = self._env.resource_of(obj)
        tree = dict(obj)
        metadata = tree.get("metadata") or {}
        if not isinstance(metadata, Mapping):
            raise ConfigError("metadata of an object is a mapping")
        metadata = tree["metadata"] = dict(metadata)
        if found.is_namespaced and not metadata.get("namespace"):
            metadata["namespace"] = self.request.namespace
        return found, tree

    def _whole(self, obj: Mapping[str, Any]) -> tuple[ApiResource, dict[str, Any]]:
        """Complete an object that is to be written as a whole."""
        found, tree = self._complete(obj)
        check_whole(obj, f"write {found.gvr.group_resource} {tree['metadata'].get('name')}")
        return found, tree

    def _current(self) -> KubeObject | None:
        return self._reader.cached(self.resource, self.request.key)

    def _follow(self, obj: KubeObject | None) -> Draft | None:
        """Bring the run's own copy to `obj`, without losing what was changed in it."""
        if obj is None:
            self._draft = None
            return None
        if self._draft is None:
            self._draft = self._reader.draft(self.resource, obj), obj
        mine, base = self._draft
        if base.resource_version != obj.resource_version:
            was = base.to_dict()
            is_ours = any(c.resource_version == obj.resource_version for c in self.calls)
            if is_ours or mine == was:
                rebased(mine, was, obj.to_dict())
                self._draft = mine, obj
        return mine

    def __repr__(self) -> str:
        return f"<Context {join_key(self.namespace, self.name)} attempt {self.attempt}>"


def _formatted(message: Any, arguments: tuple[Any, ...]) -> str:
    is_named = len(arguments) == 1 and isinstance(arguments[0], Mapping) and arguments[0]
    try:
        return (
            str(message) % (arguments[0] if is_named else arguments) if arguments else f"{message}"
        )
    except Exception:  # noqa: BLE001 - a log line is no place to fail a reconcile
        return " ".join(map(_text, (message, *arguments)))


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a user's object
        return f"<{type(value).__name__} that cannot be shown>"


def checked_name(name: Any) -> str:
    """Return a name if it is one.

    Raises:
        ConfigError: it is not a text, or empty.
    """
    if not isinstance(name, str) or not name:
        raise ConfigError(f"an object's name is a text, not {name!r}")
    return str.__str__(name)  # of an Enum's text, what it stands for
