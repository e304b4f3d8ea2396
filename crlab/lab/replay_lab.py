"""A lab on a recording: the same informers, frames and charts, and no server.

From: a recording. To: the user, through an ordinary `Lab` whose client knows what was
recorded and sends nothing.

Guarantees:
  1. No request is made, whatever is called; what needs a server says so.
  2. Frames have the columns they had when they were recorded.

Thread: as `Lab`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from crlab.client import DynamicClient, RequestRecord
from crlab.client.transport import Query, Response
from crlab.client.write_gate import WriteGate
from crlab.errors import ReadOnlyError, UnknownResource, nearest
from crlab.frame.replay import Replay, ReplayControl
from crlab.lab.informer_argument import check_resource
from crlab.lab.lab import Lab
from crlab.lab.lab_recorder import watched_resources
from crlab.lab.parts import Parts
from crlab.model.resource import ApiResource, GroupVersionKind, GroupVersionResource
from crlab.runtime.clock import Clock
from crlab.runtime.driver import Driver, ManualDriver, ThreadDriver
from crlab.runtime.ids import Ids
from crlab.runtime.recorded_clock import RecordedFakeClock, RecordedRealClock
from crlab.trace.record import Trace
from crlab.trace.recording import Recording

if TYPE_CHECKING:
    from crlab.lab.informer import Informer

_SCOPE = ("namespace", "label_selector", "field_selector", "metadata_only")


class NoTransport:
    """A transport that refuses: there is no server behind a recording."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
    ) -> Response:
        """Refuse."""
        _refuse(f"{method} {path}")

    def open_stream(
        self, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None
    ) -> NoReturn:
        """Refuse."""
        _refuse(f"watch {path}")

    def close(self) -> None:
        """Nothing is open."""


class NoWrites(WriteGate):
    """Refuses every write, and says that leave would not help."""

    def require(self, resource: ApiResource, namespace: str | None, tried: str) -> None:
        """Refuse."""
        del resource, namespace
        _refuse(tried)


class ReplayClient(DynamicClient):
    """Knows the recorded resources; lists and watches them from the recording."""

    def __init__(self, control: ReplayControl, clock: Clock, trace: Trace) -> None:
        super().__init__(NoTransport(), clock=clock, trace=trace, allow_writes=())
        self._gate = NoWrites()
        self.control = control
        recording = control.recording
        self._known = tuple(watched_resources(recording.resources, recording.records))

    @property
    def resources(self) -> tuple[ApiResource, ...]:
        """What was watched."""
        return self._known

    @property
    def requests(self) -> list[RequestRecord]:
        """None: a replay asks nobody."""
        return []

    def resolve(self, name: str | ApiResource | GroupVersionResource) -> ApiResource:
        """Return a recorded resource.

        Raises:
            UnknownResource: it was not recorded; the recorded ones are named.
        """
        self.check_open(f"look up {name}")
        for resource in self._known:
            if name in _names(resource):
                return resource
        known = [resource.gvr.group_resource for resource in self._known]
        text = str(getattr(name, "gvr", name))
        raise UnknownResource(text, nearest=nearest(text, known) or known, where="the recording")

    def resolve_kind(self, gvk: GroupVersionKind) -> ApiResource:
        """Return a recorded resource by its kind."""
        for resource in self._known:
            if resource.gvk == gvk:
                return resource
        return self.resolve(gvk.kind)

    def lister_watcher(  # type: ignore[override]  # the recording in place of the wire
        self,
        resource: str | ApiResource | GroupVersionResource,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        *,
        metadata_only: bool = False,
    ) -> Replay:
        """Return the recorded stream of a resource; see `ReplayControl.lister_watcher`."""
        return self.control.lister_watcher(
            self.resolve(resource),
            namespace,
            label_selector,
            field_selector,
            metadata_only=metadata_only,
        )

    def questions(self, resource: ApiResource) -> list[dict[str, Any]]:
        """Return what `lab.informer` was asked of a resource, once for each recorded informer.

        What covers all comes first: it stands for the resource where nothing more is asked.
        """
        found: dict[str, dict[str, Any]] = {}
        for scope in self.control.scopes(resource):
            asked = found.setdefault(
                scope.source,
                {
                    "namespace": [],
                    "label_selector": scope.label_selector,
                    "field_selector": scope.field_selector,
                    "metadata_only": scope.is_metadata_only,
                },
            )
            asked["namespace"] += [scope.namespace] if scope.namespace else []
        for asked in found.values():
            asked["namespace"] = asked["namespace"] or None
        return sorted(found.values(), key=lambda asked: any(asked.values()))


class ReplayLab(Lab):
    """A lab on a recording.

    Attributes:
        recording: what was read.
        control: how far it has come: `step`, `play`, `pause`, `seek`.
    """

    client: ReplayClient

    def __init__(self, parts: Parts, client: ReplayClient) -> None:
        """Take the parts; `client` is theirs."""
        super().__init__(parts)
        self.control = client.control
        self.recording = client.control.recording

    def informer(self, resource: str | ApiResource, **options: Any) -> Informer:
        """Return an informer on what was recorded; see `Lab.informer`.

        Which namespaces, which selectors and whether metadata only: asked for nothing of
        these, it is as the recorded informer was; its `namespaces` and selectors say so.

        Raises:
            UnknownResource: it was not recorded.
            ConfigError: not in such a namespace or so selected; says what was.
        """
        self._parts.life.check_open("make an informer")
        check_resource(resource, "lab.informer()")
        client = self.client
        if not any(options.get(name) for name in _SCOPE):
            questions = client.questions(client.resolve(resource))
            options |= questions[0] if questions else {}
        return super().informer(resource, **options)

    def recorded_informers(self) -> list[Informer]:
        """Return the recorded informers: each of its resource, namespaces and selectors."""
        client = self.client
        made = [
            self.informer(resource, **asked)
            for resource in client.resources
            for asked in client.questions(resource)
        ]
        return list({id(informer): informer for informer in made}.values())


def open_replay(
    path: str | os.PathLike[str], driver_name: str, speed: float | None = float("inf")
) -> ReplayLab:
    """Open a lab on a recording."""
    recording = Recording.open(path)
    clock: Clock = RecordedRealClock()
    if driver_name == "manual":
        clock = RecordedFakeClock(recording.records[0].at if recording.records else 0.0)
    control = ReplayControl(recording, clock, speed=speed)
    trace = Trace(clock)
    for record in recording.records:
        if record.stage == "lab" and record.kind == "definition":
            trace.append("lab", "definition", resource=record.resource, data=record.data)
    driver: Driver = ManualDriver() if driver_name == "manual" else ThreadDriver(clock)
    client = ReplayClient(control, clock, trace)
    parts = Parts(
        kind="replay",
        transport=client.transport,
        client=client,
        clock=clock,
        ids=Ids(0),
        trace=trace,
        driver=driver,
        name=recording.path.name + ("" if recording.is_complete else " (cut short)"),
    )
    parts.life.own_runtime(driver, clock)
    return ReplayLab(parts, client)


def _names(resource: ApiResource) -> tuple[object, ...]:
    gvr = resource.gvr
    plain = (gvr.resource, gvr.group_resource, str(gvr), resource.kind, resource.kind.lower())
    return (resource, gvr, *plain, resource.singular, *resource.short_names)


def _refuse(what: str) -> NoReturn:
    raise ReadOnlyError(
        f"{what}: a recording has no server behind it; open crlab.connect() or crlab.sandbox()"
    )
