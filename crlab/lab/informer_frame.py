"""Frames over informers: which columns a resource has, and what wraps pandas for `Lab`.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crlab.errors import CrlabError, ServerFailure, TooManyRequests, TransportError
from crlab.frame.column import Column
from crlab.frame.column_set import choose_columns
from crlab.frame.events_frame import EventsFrame
from crlab.frame.live_frame import Definition, LiveFrame
from crlab.frame.rate import Rates
from crlab.frame.time_travel import TimeTravel
from crlab.lab.parts import Parts, namespace_of
from crlab.model.object import thawed
from crlab.model.resource import ApiResource
from crlab.runtime.dependency import unread
from crlab.trace.record import TraceStage

if TYPE_CHECKING:
    from crlab.cache import SharedInformer
    from crlab.client import DynamicClient
    from crlab.widgets.event import EventsView
    from crlab.widgets.rate import RateView

_ASK_AGAIN_SECONDS = 1.0


def live_frame(
    parts: Parts, informer: SharedInformer, columns: Any = None, **options: Any
) -> LiveFrame:
    """Return a frame with the resource's own columns, and others if named."""
    known = _columns_of(parts, informer)
    definitions, schema = known or (None, None)
    return LiveFrame(
        informer.indexer,
        resource=informer.resource,
        columns=columns,
        definitions=definitions,
        schema=schema,
        clock=parts.clock,
        state=lambda: str(informer.status.state),
        later=None if known else _LaterDefinition(parts, informer),
        failures=parts.trace.failures,
        where=f"informer/{informer.source}",
        **options,
    )


class _LaterDefinition:
    """Asks again for a definition that could not be read, while the informer is live.

    Thread: any; two readers may ask twice.
    """

    def __init__(self, parts: Parts, informer: SharedInformer) -> None:
        self._parts = parts
        self._informer = informer
        self._was_live = False
        self._asked_at = parts.clock.monotonic()

    def __call__(self) -> Definition | None:
        was_live, self._was_live = self._was_live, self._informer.status.state == "live"
        now = self._parts.clock.monotonic()
        is_early = was_live and now - self._asked_at < _ASK_AGAIN_SECONDS
        if not self._was_live or is_early:
            return None
        self._asked_at = now
        return _definition_or_none(self._parts, self._informer.resource)


class InformerEvents(EventsFrame):
    """The watch events of one informer: ``.df``, ``.changes``, and `watch` to inspect them."""

    def __init__(self, parts: Parts, informer: SharedInformer) -> None:
        super().__init__(
            parts.trace,
            informer.resource.gvr.group_resource,
            namespace=namespace_of(informer),
            source=informer.source,
        )
        self._parts = parts
        self._informer = informer

    def watch(self, *, filter: str = "", rows: int = 20) -> EventsView:
        """Return the events inspector: ``filter="type=MODIFIED path~replicas"``."""
        from crlab.lab.view import events_view

        return events_view(self._parts, self._informer, self, filter=filter, rows=rows)


class InformerRates(Rates):
    """The event rates of one informer: ``.df``, ``.plot()``, and `watch` for the live chart."""

    def __init__(self, parts: Parts, informer: SharedInformer, events: EventsFrame) -> None:
        super().__init__(
            parts.trace,
            parts.clock,
            informer.resource.gvr.group_resource,
            namespace=namespace_of(informer),
            source=informer.source,
            events=events,
        )
        self._parts = parts
        self._informer = informer

    def watch(self, *, by: str = "type") -> RateView:
        """Return the live chart, stacked by type, kind, namespace, key or writer."""
        from crlab.lab.view import rate_view

        return rate_view(self._parts, self._informer, self, by=by)


def time_travel(parts: Parts, informer: SharedInformer) -> TimeTravel:
    """Return the moments of one informer, with the columns of its frame."""
    known = _columns_of(parts, informer)
    later = _LaterDefinition(parts, informer)

    def chosen(definition: Definition) -> Sequence[Column]:
        definitions, schema = definition
        return choose_columns(informer.resource, definitions=definitions, schema=schema)

    def chosen_later() -> Sequence[Column] | None:
        definition = later()
        return None if definition is None else chosen(definition)

    return TimeTravel(
        parts.trace,
        informer.resource,
        namespace=namespace_of(informer),
        columns=chosen(known or (None, None)),
        source=informer.source,
        later=None if known else chosen_later,
    )


def _columns_of(parts: Parts, informer: SharedInformer) -> Definition | None:
    """Return what says which columns an informer's frame has; None if it cannot be read now.

    Of metadata alone a kind's own columns would be untrue: "0/0" is no count of containers.
    """
    if informer.is_metadata_only:
        return [], None
    return _definition_or_none(parts, informer.resource)


def definition_of(parts: Parts, resource: ApiResource) -> Definition:
    """Return a custom resource's printer columns and schema; (None, None) if unreadable.

    A user who may watch the resource may still not be allowed to read its definition; the
    frame then has the columns that every object has. A recording has it in its trace.
    """
    return _definition_or_none(parts, resource) or (None, None)


def _definition_or_none(parts: Parts, resource: ApiResource) -> Definition | None:
    """The same; None if the server could not say it now."""
    if parts.kind == "replay":
        with unread():
            records = parts.trace.records()
        for record in records:
            if record.kind == "definition" and record.resource == resource.gvr.group_resource:
                return thawed(record.get("columns")), thawed(record.get("schema"))
        return None, None
    with unread():  # it decides which columns there are, not what is in them
        return _read_definition(parts.client, resource)


def note_definition(parts: Parts, resource: ApiResource) -> None:
    """Leave a custom resource's definition in the trace, for recordings."""
    columns, schema = definition_of(parts, resource)
    if columns is not None or schema is not None:
        parts.trace.append(
            TraceStage.LAB,
            "definition",
            resource=resource.gvr.group_resource,
            data={"columns": columns, "schema": schema},
        )


def _read_definition(client: DynamicClient, resource: ApiResource) -> Definition | None:
    group = resource.gvr.group
    if "." not in group or group.endswith(".k8s.io"):
        return None, None
    try:
        crd = client.get("customresourcedefinitions", resource.gvr.group_resource)
    except (TransportError, ServerFailure, TooManyRequests):
        return None
    except CrlabError:
        return None, None
    for version in crd.get("spec", {}).get("versions", []):
        if version.get("name") == resource.gvr.version:
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            return list(version.get("additionalPrinterColumns") or []), schema
    return None, None
