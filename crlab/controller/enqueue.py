"""From what happened to which key: the sources of a controller.

From: an informer's notifications. To: the workqueue.

  own      an object of the controller's resource → its own key
  owns     an object with a controller ownerReference of the controller's kind → the owner
  watches  any other object → whatever the user's mapper answers

Guarantees:
  1. Owners and mappers are asked about both states of an update, so that an object that
     changes hands wakes both.
  2. A predicate or mapper that raises, or answers rubbish, never stops the informer: it is
     written to the trace, and a failing predicate lets the event pass.
  3. Predicates see the controller's own resource only; owned and watched objects always
     trigger (a generation predicate would hide a child's status).

Thread: called on the informers' handler threads.
Source: kubernetes-sigs/controller-runtime:pkg/handler (EnqueueRequestForOwner), pkg/predicate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crlab.cache.tombstone import DeletedFinalStateUnknown
from crlab.controller.reconcile import Request
from crlab.model.argument import checked_answer
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionKind
from crlab.workqueue.trigger import Trigger


@dataclass(frozen=True, slots=True)
class Event:
    """What a predicate decides on.

    Attributes:
        type: "created", "updated" or "deleted".
        object: the object as it is; for a deletion its last known state, None if unknown.
        old: before an update, else None.
        key: of the object.
        is_initial: part of the first list.
        is_final_state_unknown: the deletion was inferred from a list.
    """

    type: str
    object: KubeObject | None
    old: KubeObject | None
    key: str
    is_initial: bool = False
    is_final_state_unknown: bool = False

    @property
    def states(self) -> list[KubeObject]:
        """The states there are, new first."""
        return [state for state in (self.object, self.old) if state is not None]

    @property
    def is_resync(self) -> bool:
        """An update without a change: a resync or a relist."""
        return (
            self.old is not None
            and self.object is not None
            and self.old.resource_version == self.object.resource_version
        )


Predicate = Callable[[Event], bool]
Mapper = Callable[[KubeObject], Any]
KeysOf = Callable[[Event], Iterable[Request]]


class EventSource:
    """One informer's notifications, turned into adds."""

    def __init__(
        self,
        resource: ApiResource,
        keys_of: KeysOf,
        put: Callable[[Request, Trigger, Event], None],
        report: Callable[[str, str, str, BaseException], None],
        worked: Callable[[str, str, str], None],
        predicates: Iterable[Predicate] = (),
    ) -> None:
        """Make a source.

        Args:
            put: takes each key with its reason.
            report: takes (what failed, "plural.group", object key, error).
            worked: takes (what did not fail, "plural.group", object key).
        """
        self.resource = resource
        self._keys_of = keys_of
        self._put = put
        self._report = report
        self._worked = worked
        self._group_resource = resource.gvr.group_resource
        self._predicates = tuple(predicates)

    def on_add(self, obj: KubeObject, is_in_initial_list: bool) -> None:
        """Handle a new object."""
        self._handle(Event("created", obj, None, obj.key, is_initial=is_in_initial_list))

    def on_update(self, old: KubeObject, new: KubeObject) -> None:
        """Handle a changed object."""
        self._handle(Event("updated", new, old, new.key))

    def on_delete(self, gone: KubeObject | DeletedFinalStateUnknown) -> None:
        """Handle a deleted object, seen or inferred."""
        if isinstance(gone, DeletedFinalStateUnknown):
            event = Event("deleted", gone.obj, None, gone.key, is_final_state_unknown=True)
        else:
            event = Event("deleted", gone, None, gone.key)
        self._handle(event)

    def _handle(self, event: Event) -> None:
        if not self._passes(event):
            return
        try:
            requests = dict.fromkeys(self._keys_of(event))
        except Exception as error:  # noqa: BLE001 - user code; reported, the informer goes on
            self._report("mapper", self._group_resource, event.key, error)
            return
        self._worked("mapper", self._group_resource, event.key)
        version = event.object.resource_version if event.object is not None else ""
        reason = "resync" if event.is_resync else event.type
        trigger = Trigger(reason, self._group_resource, event.key, version)
        for request in requests:
            self._put(request, trigger, event)

    def _passes(self, event: Event) -> bool:
        has_failed = False
        is_passing = True
        for predicate in self._predicates:
            try:
                is_passing = passes(predicate, event)
            except Exception as error:  # noqa: BLE001 - user code; one run too many is harmless
                has_failed = True
                self._report("predicate", self._group_resource, event.key, error)
            if not is_passing:
                break
        if self._predicates and not has_failed:
            self._worked("predicate", self._group_resource, event.key)
        return is_passing


def passes(predicate: Predicate, event: Event) -> bool:
    """Ask a predicate.

    Raises:
        ConfigError: it answers with something to await, which would pass everything.
    """
    return bool(checked_answer(predicate(event), "a predicate"))


def own_key(event: Event) -> list[Request]:
    """Return the object's own key."""
    return [Request.of(event.key)]


def owner_keys(owner: ApiResource) -> KeysOf:
    """Return a function from an owned object to the keys of its controllers of kind `owner`."""

    def keys_of(event: Event) -> list[Request]:
        found = []
        for state in event.states:
            name = controller_name(state, owner.gvk)
            if name:
                found.append(Request(state.namespace if owner.is_namespaced else "", name))
        return found

    return keys_of


def controller_name(obj: Mapping[str, Any], owner: GroupVersionKind) -> str:
    """Return the name of the object's controller if it is of kind `owner`, else ""."""
    metadata = obj.get("metadata")
    references = metadata.get("ownerReferences") if isinstance(metadata, Mapping) else None
    for reference in references or ():
        if not isinstance(reference, Mapping) or reference.get("controller") is not True:
            continue
        kind = GroupVersionKind.from_api_version(
            str(reference.get("apiVersion", "")), str(reference.get("kind", ""))
        )
        if (kind.group, kind.kind) == (owner.group, owner.kind):
            return str(reference.get("name") or "")
    return ""


def mapped_keys(mapper: Mapper, owner: ApiResource) -> KeysOf:
    """Return a function from a watched object to the keys the user's mapper answers."""

    def keys_of(event: Event) -> list[Request]:
        found: list[Request] = []
        for state in event.states:
            found.extend(_requests(checked_answer(mapper(state), "a mapper"), owner))
        return found

    return keys_of


def _requests(answer: Any, owner: ApiResource) -> list[Request]:
    if answer is None:
        return []
    if isinstance(answer, str | Request) or (
        isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], str)
    ):
        answer = [answer]
    return [Request.of(item, owner) for item in answer]
