"""Frames over informers: which columns a resource has, and what wraps pandas for `Lab`.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crlab.errors import CrlabError
from crlab.frame.column import Column
from crlab.frame.column_set import choose_columns
from crlab.frame.events_frame import EventsFrame
from crlab.frame.live_frame import LiveFrame
from crlab.frame.rates import Rates
from crlab.frame.time_travel import TimeTravel
from crlab.model.object import thawed
from crlab.model.resource import ApiResource
from crlab.trace.record import TraceStage

if TYPE_CHECKING:
    from crlab.client import DynamicClient
    from crlab.lab.informer import Informer
    from crlab.lab.lab import Lab
    from crlab.widgets.events import EventsView
    from crlab.widgets.rate import RateView


def live_frame(lab: Lab, informer: Informer, columns: Any = None, **options: Any) -> LiveFrame:
    """Return a frame with the resource's own columns, and others if named."""
    definitions, schema = _columns_of(lab, informer)
    return LiveFrame(
        informer.indexer,
        resource=informer.resource,
        columns=columns,
        definitions=definitions,
        schema=schema,
        clock=lab.clock,
        state=lambda: str(informer.status.state),
        **options,
    )


class InformerEvents(EventsFrame):
    """The watch events of one informer: ``.df``, ``.changes``, and `watch` to inspect them."""

    def __init__(self, lab: Lab, informer: Informer) -> None:
        super().__init__(
            lab.trace,
            informer.resource.gvr.group_resource,
            namespace=informer.namespace,
            source=informer.shared.source,
        )
        self._lab = lab
        self._informer = informer

    def watch(self, *, filter: str = "", rows: int = 20) -> EventsView:
        """Return the events inspector: ``filter="type=MODIFIED path~replicas"``."""
        from crlab.lab.view import events_view

        return events_view(self._lab, self._informer, filter=filter, rows=rows)


class InformerRates(Rates):
    """The event rates of one informer: ``.df``, ``.plot()``, and `watch` for the live chart."""

    def __init__(self, lab: Lab, informer: Informer) -> None:
        super().__init__(
            lab.trace,
            lab.clock,
            informer.resource.gvr.group_resource,
            namespace=informer.namespace,
            source=informer.shared.source,
            events=informer.events,
        )
        self._lab = lab
        self._informer = informer

    def watch(self, *, by: str = "type") -> RateView:
        """Return the live chart, stacked by type, kind, namespace, key or writer."""
        from crlab.lab.view import rate_view

        return rate_view(self._lab, self._informer, by=by)


def time_travel(lab: Lab, informer: Informer) -> TimeTravel:
    """Return the moments of one informer, with the columns of its frame."""
    definitions, schema = _columns_of(lab, informer)
    columns: Sequence[Column] = choose_columns(
        informer.resource, definitions=definitions, schema=schema
    )
    return TimeTravel(
        lab.trace,
        informer.resource,
        namespace=informer.namespace,
        columns=columns,
        source=informer.shared.source,
    )


Definition = tuple[list[Mapping[str, Any]] | None, Mapping[str, Any] | None]


def _columns_of(lab: Lab, informer: Informer) -> Definition:
    """Return what says which columns an informer's frame has.

    Of metadata alone a kind's own columns would be untrue: "0/0" is no count of containers.
    """
    return ([], None) if informer.shared.is_metadata_only else definition_of(lab, informer.resource)


def definition_of(lab: Lab, resource: ApiResource) -> Definition:
    """Return a custom resource's printer columns and schema; (None, None) if unreadable.

    A user who may watch the resource may still not be allowed to read its definition; the
    frame then has the columns that every object has. A recording has it in its trace.
    """
    if lab.kind == "replay":
        for record in lab.trace:
            if record.kind == "definition" and record.resource == resource.gvr.group_resource:
                return thawed(record.get("columns")), thawed(record.get("schema"))
        return None, None
    return _read_definition(lab.client, resource)


def note_definition(lab: Lab, resource: ApiResource) -> None:
    """Leave a custom resource's definition in the trace, for recordings."""
    columns, schema = definition_of(lab, resource)
    if columns is not None or schema is not None:
        lab.trace.append(
            TraceStage.LAB,
            "definition",
            resource=resource.gvr.group_resource,
            data={"columns": columns, "schema": schema},
        )


def _read_definition(client: DynamicClient, resource: ApiResource) -> Definition:
    group = resource.gvr.group
    if "." not in group or group.endswith(".k8s.io"):
        return None, None
    try:
        crd = client.get("customresourcedefinitions", resource.gvr.group_resource)
    except CrlabError:
        return None, None
    for version in crd.get("spec", {}).get("versions", []):
        if version.get("name") == resource.gvr.version:
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            return list(version.get("additionalPrinterColumns") or []), schema
    return None, None
