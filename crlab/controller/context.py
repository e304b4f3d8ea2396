"""What a reconcile works with: reads, writes, events, a log.

From: a worker or the stepper, one `Context` per run. To: the caches and the API server.

Guarantees:
  1. Reads are copies of the reconcile's own: a fresh one each time, but `object` one for the
     run. Whatever is done to them reaches no cache, and no server before it is written.
  2. Reads see this controller's own writes and deletions (`overlay.py`), and never an older
     state after a newer.
  3. Every read, and every write that is sent, is recorded as a `Call`, and every request carries
     the run as its cause and "controller/<name>" as its actor.
  4. In a dry run every write is sent as a server-side dry run, Events too.
  5. Once the run is over (returned, timed out, stopped) the context refuses further calls:
     a run that was given up cannot write behind its successor's back.

Thread: the thread of its run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from crlab.client.dynamic import DynamicClient
from crlab.client.retry import retry_on_conflict
from crlab.controller.call import Call
from crlab.controller.call_recorder import CallRecorder
from crlab.controller.draft import Draft, rebased
from crlab.controller.owner import add_owner
from crlab.controller.reader import key_of
from crlab.controller.reconcile import Request
from crlab.errors import ConfigError, NotFound, ReconcileFailed
from crlab.model.argument import checked_answer, checked_function, checked_name
from crlab.model.key import join_key
from crlab.model.object import KubeObject
from crlab.model.redaction import mask_text
from crlab.model.resource import ApiResource
from crlab.model.selector import parse_label_selector
from crlab.workqueue.trigger import Trigger

if TYPE_CHECKING:
    from crlab.controller.environment import Environment

Drafts = list[Draft]
T = TypeVar("T")


class Context:
    """One run of one key, and its view of the cluster.

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
        self._recorder = CallRecorder(self, environment)
        self._draft: tuple[Draft, KubeObject] | None = None  # `object`, and what it was made of
        self._client: DynamicClient | None = None

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
    def client(self) -> DynamicClient:
        """The client for what `ctx` has no verb for; a `DynamicClient`.

        Its requests are calls of this run as all others are: among `calls`, dry in a dry
        run, laid over the cache, and refused once the run is over.
        """
        if self._client is None:
            self._client = self._env.client.observed(
                self._recorder.through, field_manager=self._env.field_manager
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

    def log(self, message: object, *arguments: object) -> None:
        """Note something about this run: ``ctx.log("scaled %s to %d", name, 3)``.

        It is shown with its step, kept in the trace, and logged as ``crlab.controller`` (info)
        with the controller's name and the key. Formatted as logging does, with ``%``;
        arguments that do not fit the text follow it, and a text alone is taken as it is.
        """
        text = mask_text(_formatted(message, arguments))
        self.logged.append(text)
        self._env.note(self.request.key, "log", self._seq, {"message": text})
        self._env.tell(self.request.key, text)

    # -- reads -----------------------------------------------------------------------------

    @property
    def object(self) -> Draft | None:
        """The object to reconcile, as a copy that is this run's own; None if it is gone.

        One for the run: what is changed in it stays changed, and `ctx.update(ctx.object)` sends
        it. Nothing is sent by itself. It follows the cache, and this run's own writes, until it
        is changed; from then on it follows only those writes, so that an update that would undo
        what somebody else wrote meanwhile is a 409.
        """
        self.check()
        obj = self._current()
        version = "" if obj is None else obj.resource_version
        if version not in self._versions_read:  # looked at again: not another read to show
            self._versions_read.add(version)
            self._recorder.read(
                "get", self.resource, self.request.namespace, self.request.name, response=obj
            )
        return self._follow(obj)

    def get(
        self,
        resource: str | ApiResource,
        name: str,
        *,
        namespace: str | None = None,
        live: bool = False,
    ) -> Draft | None:
        """Read one object, from the cache where this controller has one.

        Args:
            namespace: None is the request's.
            live: ask the API server even if there is a cache.

        Returns:
            A fresh copy, None if there is no such object.
        """
        self.check()
        found, place = self._place(resource, namespace)
        name = checked_name(name)
        if not live and self._reader.informer(found) is not None:
            key = key_of(found, place, name)
            self._recorder.before("get", found, key)
            obj = self._reader.cached(found, key)
            self._recorder.read("get", found, place, name, response=obj)
            return None if obj is None else self._reader.draft(found, obj)
        try:
            answer = self.client.get(found, name, namespace=place or None)
        except NotFound:
            return None
        return self._reader.draft(found, answer)

    def list(
        self,
        resource: str | ApiResource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        live: bool = False,
    ) -> Drafts:
        """Read objects, sorted by key.

        Args:
            namespace: None is the request's; "" is all namespaces.
            label_selector: as kubectl's ``-l``.
            live: ask the API server even if there is a cache.
        """
        self.check()
        matches = parse_label_selector(label_selector).matches if label_selector else None
        found, place = self._place(resource, namespace)
        if not live and self._reader.informer(found) is not None:
            self._recorder.before("list", found, place)
            objects = [
                obj
                for obj in self._reader.cached_list(found, place)
                if matches is None or matches(_labels(obj))
            ]
            self._recorder.read("list", found, place, "", response=[obj.key for obj in objects])
            return [self._reader.draft(found, obj) for obj in objects]
        answer = self.client.list(found, namespace=place or None, label_selector=label_selector)
        items = answer.get("items") or []
        metadata = answer.get("metadata") or {}
        is_whole = not label_selector and not metadata.get("continue")
        version = str(metadata.get("resourceVersion") or "") if is_whole else ""
        self._reader.learn_list(found, place, items, version)
        return [self._reader.draft(found, item) for item in items]

    def by_index(self, resource: str | ApiResource, index: str, value: str) -> Drafts:
        """Read the cached objects under `value` of an index, sorted by key."""
        self.check()
        found = self._env.resolve(resource)
        objects = self._reader.by_index(found, index, value)
        self._recorder.read(
            "list", found, "", "", response=[obj.key for obj in objects], subresource=""
        )
        return [self._reader.draft(found, obj) for obj in objects]

    def owned(self, resource: str | ApiResource) -> Drafts:
        """Read the objects whose controller is the object being reconciled."""
        owner = self._current()
        uid = None if owner is None else owner.uid
        return [
            obj
            for obj in self.list(resource)
            if any(
                reference.get("uid") == uid and reference.get("controller")
                for reference in obj["metadata"].get("ownerReferences") or ()
            )
        ]

    def new(
        self,
        resource: str | ApiResource,
        name: str,
        *,
        namespace: str | None = None,
        **fields: Any,
    ) -> Draft:
        """Start an object: apiVersion, kind, name and namespace filled in; nothing is sent."""
        found, place = self._place(resource, namespace)
        metadata = {"name": name, **({"namespace": place} if place else {})}
        metadata |= fields.pop("metadata", None) or {}
        head = {"apiVersion": found.gvr.api_version, "kind": found.kind, "metadata": metadata}
        return Draft(head | fields, self._reader.schema(found))

    def wait_for_rv(
        self,
        resource_version: str,
        resource: str | ApiResource | None = None,
        *,
        namespace: str | None = None,
        timeout_seconds: float = 10.0,
    ) -> bool:
        """Wait until the cache of `resource` (None: the controller's own) has got that far.

        Args:
            resource_version: as a write of this run answered it; the "" of a dry run that
                creates is there at once.
            namespace: of a cache that holds several, which one must have it; None is where
                this run wrote that version, and all of them if it did not.

        Returns:
            False if `timeout_seconds` passed first, or with the manual driver if nothing
            moves any more.
        """
        self.check()
        found = self.resource if resource is None else self._env.resolve(resource)
        if namespace is None:
            written = (found.gvr.group_resource, resource_version)
            namespace = next(
                (x.namespace for x in self.calls if (x.resource, x.resource_version) == written),
                None,
            )
        return self._env.wait_for_version(found, resource_version, timeout_seconds, namespace)

    # -- writes ----------------------------------------------------------------------------

    def create(self, obj: Mapping[str, Any]) -> Draft:
        """Create an object; the namespace defaults to the request's."""
        self.check()
        found, place = self._home(obj)
        return self._reader.draft(found, self.client.create(found, obj, namespace=place))

    def update(self, obj: Mapping[str, Any]) -> Draft:
        """Replace an object; its resourceVersion must still be the server's (else 409)."""
        return self.update_subresource(obj, "")

    def update_status(self, obj: Mapping[str, Any]) -> Draft:
        """Replace the status of an object."""
        return self.update_subresource(obj, "status")

    def update_subresource(self, obj: Mapping[str, Any], subresource: str) -> Draft:
        """Replace an object through another subresource, e.g. a namespace's "finalize"."""
        self.check()
        found, place = self._home(obj)
        answer = self.client.update(found, obj, namespace=place, subresource=subresource)
        return self._reader.draft(found, answer)

    def patch(
        self,
        resource: str | ApiResource,
        name: str,
        patch: Mapping[str, Any] | Sequence[Any],
        *,
        namespace: str | None = None,
        patch_type: str | None = None,
    ) -> Draft:
        """Patch an object: "merge", "json" or "strategic"; None is as `patch` looks.

        Args:
            patch: a mapping, or a list of JSON patch operations.
        """
        self.check()
        found, place = self._place(resource, namespace)
        return self._patch(found, place, checked_name(name), patch, patch_type)

    def patch_status(
        self,
        patch: Mapping[str, Any] | Sequence[Any],
        resource: str | ApiResource | None = None,
        name: str | None = None,
        *,
        namespace: str | None = None,
        patch_type: str | None = None,
    ) -> Draft:
        """Patch a status; of the object being reconciled unless named otherwise.

        A merge patch without a "status" key is taken for the status itself.
        """
        self.check()
        found, place = self._place(self.resource if resource is None else resource, namespace)
        body: Mapping[str, Any] | Sequence[Any] = patch
        if patch_type in (None, "merge") and isinstance(patch, Mapping) and "status" not in patch:
            body = {"status": patch}
        return self._patch(
            found, place, name or self.request.name, body, patch_type, subresource="status"
        )

    def apply(self, obj: Mapping[str, Any], *, force: bool = True) -> Draft:
        """Apply an object server-side, as field manager "<controller>"."""
        self.check()
        found, place = self._home(obj)
        answer = self.client.apply(found, obj, namespace=place, force=force)
        return self._reader.draft(found, answer)

    def delete(
        self,
        resource: str | ApiResource | Mapping[str, Any],
        name: str | None = None,
        *,
        namespace: str | None = None,
        propagation_policy: str | None = None,
        grace_period_seconds: int | None = None,
        missing_ok: bool = True,
    ) -> bool:
        """Delete an object, named or given; an object given is deleted by its uid.

        Returns:
            False if it was gone already (an error if `missing_ok` is False).
        """
        self.check()
        uid = None
        if isinstance(resource, Mapping):
            found, place = self._home(resource)
            metadata = resource.get("metadata") or {}
            name, uid = metadata.get("name"), metadata.get("uid")
        else:
            found, place = self._place(resource, namespace)
        try:
            self.client.delete(
                found,
                checked_name(name),
                namespace=place or None,
                uid=uid,
                propagation_policy=propagation_policy,
                grace_period_seconds=grace_period_seconds,
            )
        except NotFound:
            if not missing_ok:
                raise
            return False
        return True

    def get_scale(
        self, resource: str | ApiResource, name: str, *, namespace: str | None = None
    ) -> Draft | None:
        """Read the scale subresource of an object, live; None if there is no such object."""
        self.check()
        found, place = self._place(resource, namespace)
        try:
            return Draft(self.client.get_scale(found, checked_name(name), namespace=place or None))
        except NotFound:
            return None

    def scale(
        self,
        resource: str | ApiResource,
        name: str,
        replicas: int,
        *,
        namespace: str | None = None,
    ) -> Draft:
        """Set the replicas of an object through its scale subresource."""
        self.check()
        found, place = self._place(resource, namespace)
        patch = {"spec": {"replicas": replicas}}
        return self._patch(found, place, checked_name(name), patch, "merge", subresource="scale")

    def modify(
        self,
        resource: str | ApiResource,
        name: str,
        change: Callable[[Draft], Any],
        *,
        namespace: str | None = None,
    ) -> Draft:
        """Read live, let `change` alter it, update; again from the read on a conflict."""
        checked_function(change, "what ctx.modify() changes with", ("obj",))

        def attempt() -> Draft:
            obj = self.get(resource, name, namespace=namespace, live=True)
            if obj is None:
                raise ConfigError(f"cannot modify {resource} {name}: it does not exist")
            checked_answer(change(obj), "what ctx.modify() changes with")
            return self.update(obj)

        return self.retry_on_conflict(attempt)

    def retry_on_conflict(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it meets no Conflict: 5 tries, 10 ms (+10 %) apart (rule 67).

        `attempt` must read what it changes again, live, or it conflicts again.
        """
        return retry_on_conflict(attempt, pause=self._env.pause, ids=self._env.ids)

    # -- owning, finalizers, events --------------------------------------------------------

    def own(self, child: T, owner: Mapping[str, Any] | None = None) -> T:
        """Make the object being reconciled (or `owner`) the controller of `child`.

        Returns:
            `child` itself, with the ownerReference and the namespace set. Nothing is sent.

        Raises:
            ConfigError: another controller owns it, or the owner cannot: it is not stored yet,
                lives in another namespace, is namespaced where the child is cluster-scoped, or
                is the child itself.
            UnknownResource: nothing serves the kind of one of them.
        """
        parent = self._current() if owner is None else owner
        if parent is None:
            raise ConfigError(f"{self.request.key} is gone: it cannot own anything")
        if not isinstance(child, dict):
            raise ConfigError(f"ctx.own takes a dict or a Draft, not {type(child).__name__}")
        home = self.resource if owner is None else self._env.resource_of(owner)
        place = self._env.resource_of(child) if child.get("kind") else None
        add_owner(child, parent, home, place)
        return child

    @property
    def is_deleting(self) -> bool:
        """Whether the object to reconcile has a deletionTimestamp."""
        obj = self._current()
        return obj is not None and bool(obj["metadata"].get("deletionTimestamp"))

    def has_finalizer(self, finalizer: str) -> bool:
        """Whether the object to reconcile carries a finalizer."""
        obj = self._current()
        return obj is not None and finalizer in (obj["metadata"].get("finalizers") or ())

    def add_finalizer(self, finalizer: str) -> bool:
        """Put a finalizer on the object to reconcile; False if it is there or too late."""
        obj = self._current()
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return False
        return self._set_finalizers(obj, finalizer, hold=True)

    def remove_finalizer(self, finalizer: str) -> bool:
        """Take a finalizer off the object to reconcile; False if it is not there."""
        obj = self._current()
        return obj is not None and self._set_finalizers(obj, finalizer, hold=False)

    def _set_finalizers(self, obj: KubeObject, finalizer: str, *, hold: bool) -> bool:
        if "/" not in finalizer:
            raise ConfigError(f'a finalizer is named "domain/name", not {finalizer!r}')
        metadata = obj["metadata"]
        present = [*(metadata.get("finalizers") or ())]
        if (finalizer in present) == hold:
            return False
        wanted = [*present, finalizer] if hold else [f for f in present if f != finalizer]
        # The resourceVersion makes it a 409 if somebody else changed the list meanwhile.
        patch = {"metadata": {"finalizers": wanted, "resourceVersion": obj.resource_version}}
        self.patch(self.resource, self.request.name, patch, namespace=self.request.namespace)
        return True

    def event(
        self,
        reason: str,
        message: str,
        *,
        type: str = "Normal",
        regarding: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a Kubernetes Event about the object being reconciled (or `regarding`).

        It is sent in the background, aggregated and rate limited as client-go does; a
        failure to send is noted in the trace and never fails the reconcile.
        """
        self.check()
        about = regarding if regarding is not None else self._current()
        if about is None:
            return
        self._env.recorder.event(
            about, type, reason, message, dry_run=self.is_dry_run, causes=(self._seq,)
        )

    # -- what the verbs share --------------------------------------------------------------

    def _place(self, resource: str | ApiResource, namespace: str | None) -> tuple[ApiResource, str]:
        found = self._env.resolve(resource)
        if not found.is_namespaced:
            return found, ""
        return found, self.request.namespace if namespace is None else namespace

    def _home(self, obj: Mapping[str, Any]) -> tuple[ApiResource, str | None]:
        """Return an object's resource, and the namespace it is written to."""
        if self._draft is not None and obj is self._draft[0]:
            self._follow(self._current())  # an earlier write of this run moved its version
        found = self._env.resource_of(obj)
        metadata = obj.get("metadata") or {}
        if not isinstance(metadata, Mapping):
            raise ConfigError("metadata of an object is a mapping")
        if not found.is_namespaced:
            return found, None
        return found, metadata.get("namespace") or self.request.namespace

    def _patch(
        self,
        resource: ApiResource,
        namespace: str,
        name: str,
        patch: Mapping[str, Any] | Sequence[Any],
        patch_type: str | None,
        subresource: str = "",
    ) -> Draft:
        answer = self.client.patch(
            resource,
            name,
            patch,
            namespace=namespace or None,
            patch_type=patch_type,
            subresource=subresource,
        )
        return self._reader.draft(resource, answer)

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


def _formatted(message: object, arguments: tuple[object, ...]) -> str:
    is_named = len(arguments) == 1 and isinstance(arguments[0], Mapping) and arguments[0]
    try:
        return (
            str(message) % (arguments[0] if is_named else arguments) if arguments else f"{message}"
        )
    except Exception:  # noqa: BLE001 - a log line is no place to fail a reconcile
        return " ".join(map(_text, (message, *arguments)))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a user's object
        return f"<{type(value).__name__} that cannot be shown>"


def _labels(obj: Mapping[str, Any]) -> Mapping[str, str]:
    metadata = obj.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return labels if isinstance(labels, Mapping) else {}
