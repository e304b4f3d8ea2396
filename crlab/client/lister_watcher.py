"""Lists and watches one collection over a `Transport`.

From: the transport. To: the reflector.

Guarantees:
  1. See `list_watch`: what is not a list of this kind is an error.
  2. `abort` ends the call and the stream under way, and every later one fails.

Thread: one owner; `abort` and `close` from any thread.
Source: kubernetes/client-go:tools/cache/listwatch.go.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from crlab.client.answer import decoded, error_of
from crlab.client.list_decoder import WrongListKind, decode_page
from crlab.client.list_watch import EndOfStream, ListOptions, ListPage, WatchEvent
from crlab.client.object_decoder import ObjectDecoder
from crlab.client.request_log import RequestLog
from crlab.client.served import other_versions
from crlab.client.transport import ByteStream, Query, Response, Transport
from crlab.client.watch_decoder import MAX_LINE_BYTES, WatchDecoder
from crlab.errors import TransportError
from crlab.model.resource import ApiResource
from crlab.runtime import fork
from crlab.runtime.clock import Clock, RealClock

MAX_ERROR_BYTES = 1 << 20


class ResourceListerWatcher:
    """The collection of one resource, in one namespace or everywhere."""

    def __init__(
        self,
        transport: Transport,
        resource: ApiResource,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        *,
        metadata_only: bool = False,
        max_line_bytes: int = MAX_LINE_BYTES,
        clock: Clock | None = None,
        log: RequestLog | None = None,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            metadata_only: ask for PartialObjectMetadata.
            clock: for a ``Retry-After`` that is a date; default the machine's.
            log: where its requests are kept.
        """
        self.resource = resource
        self.namespace = namespace if resource.is_namespaced else None
        self.label_selector = label_selector
        self.field_selector = field_selector
        session = getattr(transport, "session", None)
        self._transport: Transport = transport if session is None else session()
        self._owns_transport = session is not None
        self._objects = ObjectDecoder(resource, metadata_only=metadata_only)
        self.is_metadata_only = metadata_only
        self._max_line_bytes = max_line_bytes
        self._clock = clock or RealClock()
        self._log = log
        self._path = resource.gvr.path(self.namespace)
        self._list_kinds: tuple[str, ...] = ()
        self._lock = fork.lock()
        self._is_aborted = False
        self._stream: ByteStream | None = None

    def list(self, options: ListOptions) -> ListPage:
        """Return one page; see `list_watch.ListerWatcher`."""
        self._require_open("list")
        tried = self._tried("list")
        query = self._query(options)
        started = self._clock.monotonic()
        response: Response | None = None
        try:
            response = self._transport.request(
                "GET", self._path, query=query, headers=self._headers("List")
            )
        finally:
            status, size = (response.status, len(response.body)) if response else (0, 0)
            self._note("list", query, status, started, size)
        if response.status != 200:
            raise error_of(response, tried=tried, now=self._clock.now(), kind=self.resource.kind)
        try:
            return decode_page(
                response.body, self._objects, list_kinds=self._list_kinds, tried=tried
            )
        except WrongListKind as error:
            if not error.kind or error.kind != self._list_kind_of_definition():
                raise
            self._list_kinds = (error.kind,)
            return decode_page(
                response.body, self._objects, list_kinds=self._list_kinds, tried=tried
            )

    def watch(self, options: ListOptions) -> ResourceWatch:
        """Open a watch; see `list_watch.ListerWatcher`."""
        self._require_open("watch")
        query = [("watch", "1"), *self._query(options)]
        if options.allow_watch_bookmarks:
            query.append(("allowWatchBookmarks", "true"))
        if options.send_initial_events is not None:
            query.append(("sendInitialEvents", str(options.send_initial_events).lower()))
        if options.timeout_seconds is not None:
            query.append(("timeoutSeconds", str(int(options.timeout_seconds))))
        tried = self._tried("watch")
        started = self._clock.monotonic()
        stream: ByteStream | None = None
        try:
            stream = self._transport.open_stream(self._path, query=query, headers=self._headers(""))
        finally:
            self._note("watch", query, stream.status if stream else 0, started, 0)
        with self._lock:
            if self._is_aborted:
                stream.close()
                self._require_open("watch")
            self._stream = stream
        if stream.status != 200:
            response = Response(stream.status, stream.headers, _drained(stream))
            raise error_of(response, tried=tried, now=self._clock.now(), kind=self.resource.kind)
        decoder = WatchDecoder(self._objects, max_line_bytes=self._max_line_bytes)
        return ResourceWatch(stream, decoder, tried)

    def other_versions(self, on_request: Callable[[], None] = lambda: None) -> tuple[str, ...]:
        """Return the resource's names in the other versions it is served in, () if in none.

        Args:
            on_request: called before each request, for who counts them.
        """
        return other_versions(self._transport, self.resource.gvr, on_request)

    def abort(self) -> None:
        """End the call and the watch under way; later ones fail. Idempotent; any thread."""
        with self._lock:
            self._is_aborted = True
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        if self._owns_transport:
            self._transport.close()

    def _note(self, verb: str, query: Query, status: int, started: float, size: int) -> None:
        if self._log is not None:
            self._log.add(
                verb=verb,
                method="GET",
                path=self._path,
                query=urlencode([(key, value) for key, value in query if key != "continue"]),
                resource=self.resource,
                namespace=self.namespace or "",
                name="",
                subresource="",
                status=status,
                started=started,
                bytes_received=size,
                error="" if status else "no answer",
            )

    def _require_open(self, phase: str) -> None:
        if self._is_aborted:
            raise TransportError(f"{self._tried(phase)}: aborted", phase=phase)

    def _tried(self, verb: str) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{verb} {self.resource.gvr.group_resource}{where}"

    def _headers(self, suffix: str) -> dict[str, str]:
        if self.is_metadata_only:
            kind = f"PartialObjectMetadata{suffix}"
            return {"Accept": f"application/json;as={kind};g=meta.k8s.io;v=v1"}
        return {"Accept": "application/json"}

    def _query(self, options: ListOptions) -> Query:
        query = []
        if options.limit:
            query.append(("limit", str(options.limit)))
        if options.continue_token:
            query.append(("continue", options.continue_token))
        if options.resource_version is not None:
            query.append(("resourceVersion", options.resource_version))
        if options.resource_version_match is not None:
            query.append(("resourceVersionMatch", options.resource_version_match))
        for name, own, added in (
            ("labelSelector", self.label_selector, options.label_selector),
            ("fieldSelector", self.field_selector, options.field_selector),
        ):
            if text := ",".join(filter(None, (own, added))):
                query.append((name, text))
        return query

    def _list_kind_of_definition(self) -> str:
        """Ask the CustomResourceDefinition how its lists are called; "" if it cannot be told."""
        gvr = self.resource.gvr
        if "." not in gvr.group:
            return ""
        response = self._transport.request(
            "GET",
            f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{gvr.group_resource}",
            headers={"Accept": "application/json"},
        )
        return _list_kind(response.body) if response.status == 200 else ""


class ResourceWatch:
    """An open watch of a `ResourceListerWatcher`."""

    def __init__(self, stream: ByteStream, decoder: WatchDecoder, tried: str) -> None:
        self._stream = stream
        self._decoder = decoder
        self._tried = tried
        self._failure: Exception | None = None
        self.bytes_received = 0

    def read(self, timeout_seconds: float | None) -> list[WatchEvent]:
        """Return the events that are there; see `list_watch.WatchStream`."""
        failure = self._failure or self._decoder.error
        if failure is not None:
            raise failure
        try:
            chunk = self._stream.read(timeout_seconds)
        except TimeoutError:
            return []
        self.bytes_received += len(chunk)
        if chunk:
            return self._decoder.feed(chunk)
        if self._decoder.has_fragment:
            self._failure = TransportError(
                f"{self._tried}: the stream ended in the middle of a line", phase="watch"
            )
        else:
            self._failure = EndOfStream(f"{self._tried}: the server ended the watch")
        raise self._failure

    def close(self) -> None:
        """End the watch and wake a blocked reader. Idempotent; any thread."""
        self._stream.close()


def _drained(stream: ByteStream) -> bytes:
    """Read the body of a refused watch, up to a limit, and close it."""
    parts, size = [], 0
    try:
        while size < MAX_ERROR_BYTES and (chunk := stream.read(10.0)):
            parts.append(chunk)
            size += len(chunk)
    except (TimeoutError, TransportError):
        pass  # the status is known already; its text is a courtesy
    finally:
        stream.close()
    return b"".join(parts)


def _list_kind(body: bytes) -> str:
    definition = decoded(body)
    names = ((definition or {}).get("spec") or {}).get("names") or {}
    return str(names.get("listKind") or "")
