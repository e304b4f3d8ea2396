"""Events: core/v1 and events.k8s.io/v1 are two views of one store.

Objects are kept in core's form; `from_core` and `to_core` translate. Events live for an
hour of the server's clock after their last write, then they are deleted.

Thread: translations are pure; `EventExpiry` works under the store's lock.
Source: kubernetes/kubernetes:pkg/apis/{core,events}/v1/conversion.go,
pkg/apis/core/validation/events.go.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

from crlab.apiserver.core import Core
from crlab.apiserver.status import Cause, invalid_value, required
from crlab.apiserver.storage import DELETED, Commit, Tree
from crlab.model.name import label_key
from crlab.model.printer import NAME_DESCRIPTION, PrinterColumn, columns_for

EVENTS = "events"
TTL_SECONDS = 3600.0

_TO_CORE = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_IMMUTABLE = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)
_FROM_CORE = {core: new for new, core in _TO_CORE.items()}


DESCRIPTIONS = {
    "Last Seen": "The time at which the most recent occurrence of this event was recorded.",
    "Type": "Type of this event (Normal, Warning), new types could be added in the future",
    "Reason": "This should be a short, machine understandable string that gives the reason for "
    "the transition into the object's current status.",
    "Object": "The object that this event is about.",
    "Subobject": "If referring to a piece of an object instead of an entire object, this string "
    "should contain a valid JSON/Go field access statement, such as "
    "desiredState.manifest.containers[2]. For example, if the object reference is to a container "
    'within a pod, this would take on a value like: "spec.containers{name}" (where "name" refers '
    "to the name of the container that triggered the event) or if no container name is specified "
    '"spec.containers[2]" (container with index 2 in this pod). This syntax is chosen only to '
    "have some well-defined way of referencing a part of an object.",
    "Source": "The component reporting this event. Should be a short machine understandable "
    "string.",
    "Message": "A human-readable description of the status of this operation.",
    "First Seen": "The time at which the event was first recorded. (Time of server receipt is in "
    "TypeMeta.)",
    "Count": "The number of times this event has occurred.",
    "Name": NAME_DESCRIPTION,
}


def columns() -> tuple[PrinterColumn, ...]:
    """Return the columns of events, with what the server says about each."""
    return tuple(
        replace(column, description=DESCRIPTIONS.get(column.name, column.description))
        for column in columns_for("", "Event") or ()
    )


def fill_core(event: Tree, old: Tree | None) -> None:
    """Add the fields that a core event always shows."""
    del old
    event.setdefault("involvedObject", {})
    event.setdefault("source", {})
    for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
        event.setdefault(name, None)
    for name in ("reportingComponent", "reportingInstance"):
        event.setdefault(name, "")


def to_core(event: Tree) -> Tree:
    """Return an events.k8s.io event in core's form."""
    found = {_TO_CORE.get(key, key): value for key, value in event.items()}
    fill_core(found, None)
    return found


def from_core(event: Tree) -> Tree:
    """Return a core event in the form of events.k8s.io."""
    found = {_FROM_CORE.get(key, key): value for key, value in event.items()}
    for name in ("reportingController", "reportingInstance"):
        if not found.get(name):
            found.pop(name, None)
    return found


def check_core(event: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a core event."""
    if old is not None:
        return []
    if event.get("eventTime"):
        return check_new(event, None, names=("involvedObject", "reportingComponent", "message"))
    namespace = (event.get("involvedObject") or {}).get("namespace") or ""
    own = event["metadata"].get("namespace", "")
    if namespace != own and not (namespace == "" and own in ("default", "")):
        detail = "does not match event.namespace"
        return [invalid_value("involvedObject.namespace", namespace, detail)]
    return []


def check_new(
    event: Tree,
    old: Tree | None,
    names: tuple[str, str, str] = ("regarding", "reportingController", "note"),
) -> list[Cause]:
    """Return what is wrong with an event of the new kind."""
    if old is not None:
        return _immutable_causes(to_core(event), to_core(old))
    _, controller_key, note_key = names
    causes: list[Cause] = []
    if not event.get("eventTime"):
        causes.append(required("eventTime"))
    controller = event.get(controller_key) or ""
    if not controller:
        causes.append(required("reportingController"))
    faults = label_key(controller)
    causes += [invalid_value("reportingController", controller, fault) for fault in faults]
    for name in ("reportingInstance", "action", "reason"):
        value = event.get(name) or ""
        limit = 1024 if name == "reason" else 128
        if not value:
            causes.append(required(name))
        elif len(value) > limit:
            causes.append(invalid_value(name, "", f"can have at most {limit} characters"))
    if len(event.get(note_key) or "") > 1024:
        causes.append(invalid_value("message", "", "can have at most 1024 characters"))
    if event.get("type") not in ("Normal", "Warning"):
        causes.append(invalid_value("type", "", f"has invalid value: {event.get('type') or ''}"))
    return causes


def _immutable_causes(event: Tree, old: Tree) -> list[Cause]:
    """Return what an update of an event of the new kind must not have changed."""
    if not old.get("eventTime"):
        return []
    return [
        invalid_value(name, event.get(name), "field is immutable")
        for name in _IMMUTABLE
        if (event.get(name) or None) != (old.get(name) or None)
    ]


def field_names(of_object: str) -> dict[str, Any]:
    """Return the field selectors of events; `of_object` is where the involved object stands."""

    def inside(name: str) -> Any:
        return lambda event: str((event.get(of_object) or {}).get(name) or "")

    fields = {
        f"{of_object}.{name}": inside(name)
        for name in (
            "kind",
            "namespace",
            "name",
            "uid",
            "apiVersion",
            "resourceVersion",
            "fieldPath",
        )
    }
    source = "source" if of_object == "involvedObject" else "deprecatedSource"
    controller = "reportingComponent" if of_object == "involvedObject" else "reportingController"
    return {
        **fields,
        "reason": lambda event: str(event.get("reason") or ""),
        "type": lambda event: str(event.get("type") or ""),
        controller: lambda event: str(event.get(controller) or ""),
        "source": lambda event: str(
            (event.get(source) or {}).get("component") or event.get(controller) or ""
        ),
    }


class EventExpiry:
    """Deletes events whose time is over."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._due: deque[tuple[float, str, int]] = deque()
        self._is_armed = False

    def committed(self, entry: Commit) -> None:
        """Follow a commit of an event: its hour begins anew."""
        if entry.type != DELETED:
            self._expect(entry.key, entry.revision)

    def load(self) -> None:
        """Give every stored event an hour (after a fork, restore or rewind)."""
        with self._core.lock:
            for key, stored in self._core.storage.items(EVENTS):
                self._expect(key, stored.revision)

    def _expect(self, key: str, revision: int) -> None:
        at = self._core.clock.monotonic() + TTL_SECONDS
        self._due.append((at, key, revision))
        self._arm()

    def _arm(self) -> None:
        if not self._is_armed and self._due:
            self._is_armed = True
            self._core.alarm.call_at(self._due[0][0], self._expire)

    def _expire(self) -> None:
        with self._core.lock:
            now = self._core.clock.monotonic()
            while self._due and self._due[0][0] <= now:
                _, key, revision = self._due.popleft()
                stored = self._core.storage.get(EVENTS, key)
                if stored is not None and stored.revision == revision:
                    self._core.storage.commit(EVENTS, key, None)
            self._is_armed = False
            self._arm()
