"""The reading verbs: get, list, watch.

From: routing. To: `storage.py` and a view. Reads of a revision ahead of the store raise
`FutureRevision`; who called decides whether to wait.

Guarantees:
  1. A list is one moment: its resourceVersion is the store's revision under the lock.
  2. All pages of a list come from the revision of the first one, also after changes.
  3. Order is by storage key: namespace, then name, bytewise.

Thread: any; holds the store's lock while it reads.
Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go, pkg/storage/continue.go,
pkg/endpoints/handlers/get.go.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crlab.apiserver.core import Core
from crlab.apiserver.negotiation import Accept, choose_view, encode_body
from crlab.apiserver.representation import Representation
from crlab.apiserver.request import HttpRequest, HttpResponse, RequestInfo
from crlab.apiserver.resource_type import ResourceType, Version
from crlab.apiserver.status import (
    StatusError,
    bad_request,
    expired,
    future_revision,
    internal,
    not_found,
)
from crlab.apiserver.storage import Compacted, Stored
from crlab.apiserver.verb.option import ListQuery, revision_fault
from crlab.apiserver.watch import WatchPlan, WatchResponse, WatchSelection
from crlab.errors import SelectorError
from crlab.model.selector import parse_field_selector, parse_label_selector

if TYPE_CHECKING:
    from crlab.apiserver.fault.watch_fault import WatchFaults

MIN_WATCH_SECONDS = 1800.0
_TOO_OLD_LIST = "The resourceVersion for the provided list is too old."
_TOO_OLD_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can "
    "start a new list without the continue parameter, or use the continue token in this "
    "response to retrieve the remainder of the results. Continuing with the provided token "
    "results in an inconsistent list - objects that were created, modified, or deleted between "
    "the time the first chunk was returned and now may show up in the list."
)


class FutureRevision(Exception):
    """A read asks for a revision the store has not reached.

    Attributes:
        revision: the asked one.
        error: what to answer when waiting does not help.
    """

    def __init__(self, revision: int, error: StatusError) -> None:
        super().__init__(f"revision {revision} lies ahead")
        self.revision = revision
        self.error = error


def select(
    info: RequestInfo, resource: ResourceType, view: Representation, options: ListQuery
) -> WatchSelection:
    """Return which objects a collection request is about.

    Raises:
        StatusError: 400 for selectors that do not parse or name an unsupported field.
    """
    try:
        labels = parse_label_selector(options.label_selector)
    except SelectorError as error:
        raise bad_request(str(error)) from error
    try:
        fields = parse_field_selector(options.field_selector)
    except SelectorError as error:
        raise bad_request(str(error)) from error
    for name in fields.fields:
        if not resource.supports_field(view.version, name):
            raise bad_request(_unsupported_field(resource, name))
    return WatchSelection(view, info.namespace if resource.is_namespaced else "", labels, fields)


def _unsupported_field(resource: ResourceType, name: str) -> str:
    if resource.is_custom or resource.fields:
        return f"field label not supported: {name}"
    known = '"metadata.name", "metadata.namespace"'
    return f'"{name}" is not a known field selector: only {known}'


@dataclass(frozen=True, slots=True)
class _Token:
    """A continue token: the revision of the first page (-1: any) and the next key."""

    revision: int
    start: str

    def encode(self) -> str:
        body = {"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.start}
        text = json.dumps(body, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> _Token:
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError) as error:
            raise bad_request(
                "invalid continue token: continue key is not valid: illegal base64 data"
            ) from error
        try:
            body = json.loads(raw)
            token = cls(int(body["rv"]), str(body["start"]))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise bad_request(
                f"invalid continue token: continue key is not valid: {_why(raw)}"
            ) from error
        if body.get("v") != "meta.k8s.io/v1" or not token.start:
            raise bad_request(
                "invalid continue token: continue key is not valid: server does not recognize "
                "this encoded version"
            )
        return token


def _why(raw: bytes) -> str:
    first = raw.decode("latin-1")[:1]
    if not first:
        return "unexpected end of JSON input"
    shown = first if first.isprintable() and first < "\x7f" else f"\\u{ord(first):04x}"
    return f"invalid character '{shown}' looking for beginning of value"


class Reader:
    """get, list and watch on one server."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(
        self, request: HttpRequest, info: RequestInfo, resource: ResourceType, version: Version
    ) -> HttpResponse:
        """Answer with one object."""
        accept, view = choose_view(request, resource, version, self._core.clock.now, for_list=False)
        asked = request.parameter("resourceVersion")
        if asked and (fault := revision_fault(asked)):
            raise internal(f'resourceVersion: Invalid value: "{asked}": {fault}')
        with self._core.lock:
            if asked and int(asked) > self._core.storage.revision:
                current = self._core.storage.revision
                raise FutureRevision(int(asked), future_revision(int(asked), current))
            stored = self._core.storage.get(
                resource.storage_name, resource.key(info.namespace, info.name)
            )
        if stored is None:
            raise not_found(resource.group_resource, info.name)
        return encode_body(accept, view.document(stored))

    def list_objects(
        self, request: HttpRequest, info: RequestInfo, resource: ResourceType, version: Version
    ) -> HttpResponse:
        """Answer with a collection, or one page of it."""
        accept, view = choose_view(request, resource, version, self._core.clock.now, for_list=True)
        options = ListQuery.read(request, watch=False)
        selection = select(info, resource, view, options)
        with self._core.lock:
            revision, items, start = self._moment(resource, selection, options)
        return self._page(accept, view, selection, options, revision, items, start)

    def _moment(
        self, resource: ResourceType, selection: WatchSelection, options: ListQuery
    ) -> tuple[int, list[tuple[str, Stored]], str]:
        """Return (revision, objects of the scope, first key) that a list shows."""
        storage, name = self._core.storage, resource.storage_name
        asked = options.resource_version
        if asked and (fault := revision_fault(asked)):
            raise bad_request(
                f'invalid resource version: resourceVersion: Invalid value: "{asked}": {fault}'
            )
        if options.continue_token:
            if asked not in ("", "0"):
                raise bad_request("specifying resource version is not allowed when using continue")
            return self._continued(name, selection, options.continue_token)
        number = int(asked or "0")
        is_exact = options.resource_version_match == "Exact" or (
            number > 0 and options.limit > 0 and not options.resource_version_match
        )
        if number > storage.revision:
            error = future_revision(number, storage.revision, with_retry=True)
            raise FutureRevision(number, error)
        if not is_exact:
            return storage.revision, storage.items(name, selection.namespace), ""
        try:
            return number, storage.at(name, number, selection.namespace), ""
        except Compacted as error:
            raise expired(_TOO_OLD_LIST) from error

    def _continued(
        self, name: str, selection: WatchSelection, text: str
    ) -> tuple[int, list[tuple[str, Stored]], str]:
        storage = self._core.storage
        token = _Token.decode(text)
        if token.revision < 0:
            return storage.revision, storage.items(name, selection.namespace), token.start
        try:
            items = storage.at(name, token.revision, selection.namespace)
        except Compacted as error:
            fresh = _Token(-1, token.start).encode()
            raise expired(_TOO_OLD_TOKEN, continue_token=fresh) from error
        return token.revision, items, token.start

    def _page(
        self,
        accept: Accept,
        view: Representation,
        selection: WatchSelection,
        options: ListQuery,
        revision: int,
        items: list[tuple[str, Stored]],
        start: str,
    ) -> HttpResponse:
        if start:
            items = items[bisect.bisect_left(items, start, key=lambda item: item[0]) :]
        limit = 0 if options.resource_version == "0" else max(0, options.limit)
        chosen: list[Stored] = []
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if view.resource.is_custom:
            metadata = {"continue": "", **metadata}
        for index, (key, stored) in enumerate(items):
            if selection.is_filtered and not selection.holds(key, stored):
                continue
            if limit and len(chosen) == limit:
                metadata["continue"] = _Token(revision, key).encode()
                if not selection.is_filtered:
                    metadata["remainingItemCount"] = len(items) - index
                break
            chosen.append(stored)
        return encode_body(accept, view.list_document(chosen, metadata))

    def watch(
        self,
        request: HttpRequest,
        info: RequestInfo,
        resource: ResourceType,
        version: Version,
        faults: WatchFaults | None = None,
    ) -> WatchResponse:
        """Open a watch."""
        _, view = choose_view(request, resource, version, self._core.clock.now, for_list=False)
        options = ListQuery.read(request, watch=True)
        if info.name and not options.field_selector:
            options = replace(options, field_selector=f"metadata.name={info.name}")
        selection = select(info, resource, view, options)
        plan = self._plan(options)
        core = self._core
        return WatchResponse(core.storage, core.alarm, selection, plan, faults=faults)

    def _plan(self, options: ListQuery) -> WatchPlan:
        asked = options.resource_version
        if asked and (fault := revision_fault(asked)):
            raise internal(f'resourceVersion: Invalid value: "{asked}": {fault}')
        number = int(asked or "0")
        timeout = float(options.timeout_seconds)
        if timeout <= 0:
            timeout = self._core.ids.uniform(MIN_WATCH_SECONDS, 2 * MIN_WATCH_SECONDS)
        initial = options.sends_initial_events
        revision: int | None = number or None
        if initial is True:
            revision = None
        elif initial is False and not number:
            revision = self._core.storage.revision
        return WatchPlan(
            revision=revision,
            timeout_seconds=timeout,
            allows_bookmarks=options.allows_bookmarks,
            ends_initial=initial is True,
            must_reach=number if revision is None else 0,
            wait_seconds=self._core.wait_seconds,
        )
