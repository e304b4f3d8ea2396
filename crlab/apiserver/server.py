"""The embedded API server: one object, with or without a socket.

From: HTTP (`http.py`) or in-process callers. To: discovery, the verbs, the store.
`handle` is synchronous and needs no event loop; `start` serves the same handler on
loopback. Everything that varies comes from the clock and the ids it was given.

Guarantees:
  1. `handle` never raises for a bad request: every refusal is a response with a Status.
  2. Writes of all callers, in-process or over HTTP, share one order.
  3. Nothing listens beyond 127.0.0.1 and ::1, and only below a secret URL prefix.

Thread: `handle`, `start`, `stop` from any thread. `start` makes the thread
``crlab-apiserver``; without it the server has no thread of its own.
Source: kubernetes/kubernetes 1.36 behaviour (tests/contract/transcripts).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from crlab.apiserver.alarm import Alarm
from crlab.apiserver.api_group import ApiGroups
from crlab.apiserver.audit_log import AuditLog, AuditRecord
from crlab.apiserver.auth.authentication import Authenticator, Tokens, impersonate
from crlab.apiserver.auth.escalation import check_grant
from crlab.apiserver.auth.rbac_authorizer import RbacAuthorizer, with_selected_name
from crlab.apiserver.auth.review import Reviews
from crlab.apiserver.core import Core
from crlab.apiserver.crd.definition import Definitions
from crlab.apiserver.fault.gate import FaultGate
from crlab.apiserver.fault.injector import Faults
from crlab.apiserver.fault.watch_fault import WatchFaults
from crlab.apiserver.kind.catalog import builtin_types, crd_type
from crlab.apiserver.kind.event_kind import EventExpiry
from crlab.apiserver.negotiation import error_response
from crlab.apiserver.registry import Registry
from crlab.apiserver.request import (
    BODY_LIMIT,
    SYSTEM,
    HttpRequest,
    HttpResponse,
    Identity,
    RequestInfo,
    read_info,
)
from crlab.apiserver.resource_type import ResourceType, Version
from crlab.apiserver.root import Root
from crlab.apiserver.router import Router
from crlab.apiserver.status import StatusError, bad_request, internal_error, too_large
from crlab.apiserver.storage import Storage, StorageSnapshot, Tree
from crlab.apiserver.verb.body_decoder import WriteOperation
from crlab.apiserver.verb.delete import Deleter
from crlab.apiserver.verb.patch import Patcher
from crlab.apiserver.verb.read import FutureRevision, Reader
from crlab.apiserver.watch import WatchResponse
from crlab.errors import LifecycleError, StopTimeout, describe_error
from crlab.model.encoder import check_raw, encoded
from crlab.runtime import fork
from crlab.runtime.clock import Clock, RealClock
from crlab.runtime.ids import Ids
from crlab.runtime.teller import Teller

if TYPE_CHECKING:
    from crlab.apiserver.http_app import HttpServer

COMPACTION = "/v3/kv/compaction"  # etcd's own, for tools that want history dropped
FIRST_REVISION = 1
INITIAL_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")

Authenticate = Callable[[HttpRequest], Identity]
Authorize = Callable[[RequestInfo, Identity], StatusError | None]


def _is_manual(clock: Clock) -> bool:
    return hasattr(clock, "advance")


class ApiServer:
    """A Kubernetes API server in this process.

    Attributes:
        storage: the revision log; `snapshot`, `at`, `compact` and `rewind` are there.
        registry: what is served.
        audit: what was asked.
        faults: what goes wrong on demand (see fault/injector.py).
        fault_gate: where requests and watches meet the faults.
        allow_compaction: whether POST /v3/kv/compaction below the prefix drops history.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        ids: Ids | None = None,
        *,
        storage: Storage | None = None,
        types: Iterable[ResourceType] = (),
        wait_seconds: float | None = None,
        establish_seconds: float = 0.0,
        tokens: Tokens | None = None,
        authenticate: Authenticate | None = None,
        authorize: Authorize | None = None,
        secret: str | None = None,
    ) -> None:
        """Make a server that is ready for `handle`; `start` adds the socket.

        Args:
            storage: objects and history to go on with; None: a new cluster.
            types: what another server has compiled of the CRDs in `storage`.
            wait_seconds: patience with reads of future revisions; None: 3 s, and 0 under a
                clock that only moves by hand.
            establish_seconds: how long a new CRD takes to be Established.
            tokens: bearer tokens, token → (user, groups); None: nobody is asked, everybody
                is the administrator (who may impersonate others).
            authenticate: who a request is from; None: as the tokens say.
            authorize: what they may do; None: as RBAC says.
            secret: the URL prefix' secret; None takes 192 random bits.
        """
        clock = clock or RealClock()
        wait = wait_seconds if wait_seconds is not None else (0.0 if _is_manual(clock) else 3.0)
        is_fresh = storage is None
        self.storage = storage or Storage(first_revision=FIRST_REVISION)
        self.registry = Registry()
        self.audit = AuditLog()
        self._teller = Teller(clock)
        self.core = Core(self.storage, self.registry, clock, ids or Ids(), Alarm(clock), wait)
        self.rbac = RbacAuthorizer(self.storage)
        self._access: dict[str, Any] = {
            "tokens": tokens,
            "authenticate": authenticate,
            "authorize": authorize,
        }
        self._authenticator = Authenticator(tokens)
        self.authenticate: Authenticate = authenticate or self._authenticator.authenticate
        self.authorize: Authorize = authorize or self.rbac.authorize
        self.fault_gate = FaultGate(self.core, self.audit)
        self.faults = Faults(self.fault_gate, self.core)
        self.discovery = ApiGroups(self.registry)
        self._root = Root(self.registry, self.discovery)
        self.definitions = Definitions(self.core, establish_seconds=establish_seconds)
        writer = Patcher(self.core, admit=self._admit)
        self._router = Router(self.core, Reader(self.core), writer, Deleter(self.core))
        self.reviews = self._router.reviews
        self.reviews.update(Reviews(self.rbac, self._authenticator, self.core.now).by_kind())
        self._secret = secret or Ids.token()
        self.allow_compaction = False
        self._http: HttpServer | None = None
        self._watches: set[WatchResponse] = set()
        self._life = fork.lock()
        self._born = fork.generation()
        self._expiry = EventExpiry(self.core)
        self._register()
        if is_fresh:
            self._bootstrap()
        else:
            self.definitions.adopt(types)
            self.definitions.load()
            self._expiry.load()

    # --- requests ----------------------------------------------------------------------------

    def handle(self, request: HttpRequest) -> HttpResponse | WatchResponse:
        """Answer one request; waits for a future revision, if the server is told to.

        Raises:
            ConnectionError: a fault hung up instead of answering.
        """
        delay = self.fault_gate.delay_seconds(request)
        if delay:
            self.fault_gate.sleep(delay)
        answer = self.begin(request)
        if isinstance(answer, HttpResponse | WatchResponse):
            return answer
        self._await_revision(answer)
        final = self.begin(request, may_wait=False)
        assert isinstance(final, HttpResponse | WatchResponse)
        return final

    def begin(
        self, request: HttpRequest, *, may_wait: bool = True
    ) -> HttpResponse | WatchResponse | FutureRevision:
        """Answer one request at once, or say which revision is to be waited for.

        Who gets a `FutureRevision` waits for it as it likes, at most `core.wait_seconds`,
        and asks again with `may_wait` off.
        """
        # A forked child has a copy: what it wrote there would be lost without a word.
        fork.check(self._born, "this embedded server (lab.url of a served one can be reached)")
        clock = self.core.clock
        started = clock.monotonic()
        record = AuditRecord(
            audit_id=self.audit.next_id(),
            received_at=clock.now(),
            verb=request.method.lower(),
            request_uri=request.path,
            user="",
            user_agent=request.header("user-agent"),
            request_bytes=len(request.body or b""),
        )
        answer: HttpResponse | WatchResponse
        try:
            answer = self._answer(request, record)
        except FutureRevision as future:
            if may_wait and self.core.wait_seconds > 0:
                return future
            answer = error_response(request, future.error)
        except StatusError as error:
            answer = error_response(request, error)
        except ConnectionError:  # a fault: there is no answer
            record.duration_seconds = clock.monotonic() - started
            self.audit.add(record)
            raise
        except RecursionError:  # a real server takes 10,000 levels, an interpreter some hundred
            text = "the object is nested too deeply to be processed: exceeded max depth"
            answer = error_response(request, bad_request(text))
        except Exception as error:  # noqa: BLE001 - a fault of ours is a 500, never a hang
            text = describe_error(error)
            said = f"apiserver: a fault of its own, answered with 500: {text}"
            self._teller.tell("apiserver", logging.ERROR, "apiserver", said, error)
            answer = error_response(request, internal_error(text))
        record.code = answer.status
        record.revision = self.storage.revision
        record.duration_seconds = clock.monotonic() - started
        if isinstance(answer, HttpResponse):
            record.response_bytes = len(answer.body)
        else:
            answer.audit = record
        self.audit.add(record)
        answer.headers.append(("Audit-Id", record.audit_id))
        answer.headers.append(("Cache-Control", "no-cache, private"))
        return answer

    def _answer(self, request: HttpRequest, record: AuditRecord) -> HttpResponse | WatchResponse:
        if self.allow_compaction and request.path == COMPACTION:
            return self._compaction(request)
        identity = request.identity or self.authenticate(request)
        info = read_info(request)
        self._note(record, info, identity)
        identity = impersonate(request, info, identity, self.rbac)
        if len(request.body or b"") > BODY_LIMIT:
            raise too_large(BODY_LIMIT)
        request = self.fault_gate.before(request, info, record)
        refusal = self.authorize(with_selected_name(request, info), identity)
        if refusal is not None:
            raise refusal
        if info.is_resource:
            answer = self._resource(request, info, identity, record)
            self.fault_gate.after(request, info, record)
            return answer
        return self._root.answer(request)

    def _forget(self, watch: WatchResponse, watch_faults: WatchFaults) -> None:
        self._watches.discard(watch)
        self.fault_gate.unregister(watch_faults)

    def _admit(self, call: WriteOperation, new: Tree, old: Tree | None) -> None:
        if old is None and call.info.verb != "create":  # an apply that creates needs both verbs
            refusal = self.authorize(replace(call.info, verb="create"), call.identity)
            if refusal is not None:
                raise refusal
        check_grant(self.rbac, call.resource, call.identity, call.info.namespace, new, old)

    def _compaction(self, request: HttpRequest) -> HttpResponse:
        """Forget history, asked for as of etcd: POST {"revision": n}."""
        try:
            revision = int(msgspec.json.decode(request.body or b"")["revision"])
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            return HttpResponse.json({"error": 'expected {"revision": n}', "code": 3}, 400)
        self.compact(revision)
        return HttpResponse.json({"header": {"revision": str(self.storage.revision)}})

    def _note(self, record: AuditRecord, info: RequestInfo, identity: Identity) -> None:
        record.verb, record.user = info.verb, identity.name
        record.group, record.resource = info.group, info.resource
        record.subresource, record.namespace = info.subresource, info.namespace
        record.name = info.name

    def _resource(
        self, request: HttpRequest, info: RequestInfo, identity: Identity, record: AuditRecord
    ) -> HttpResponse | WatchResponse:
        is_watch = info.verb == "watch"
        watch_faults = self.fault_gate.open_watch(request, info, record) if is_watch else None
        answer = self._router.route(request, info, identity, watch_faults)
        if isinstance(answer, WatchResponse):
            assert watch_faults is not None
            self.fault_gate.register(watch_faults, answer.nudge)
            self._watches.add(answer)
            answer.on_close(lambda: self._forget(answer, watch_faults))
        return answer

    def _await_revision(self, future: FutureRevision) -> None:
        condition = threading.Condition()

        def wake(*_: object) -> None:
            with condition:
                condition.notify_all()

        cancel = self.storage.subscribe(wake)
        deadline = self.core.clock.monotonic() + self.core.wait_seconds
        try:
            with condition:
                while self.storage.revision < future.revision:
                    left = deadline - self.core.clock.monotonic()
                    if left <= 0 or not self.core.clock.wait(condition, left):
                        return
        finally:
            cancel()

    # --- life --------------------------------------------------------------------------------

    def start(self, *, host: str = "127.0.0.1", port: int = 0) -> ApiServer:
        """Serve on loopback in a thread; return self. Port 0 takes a free one."""
        from crlab.apiserver.http_app import HttpServer

        with self._life:
            if self._http is not None:
                raise LifecycleError("this server was started already")
            self._http = HttpServer(self, host=host, port=port, prefix=f"/c/{self._secret}")
        try:
            self._http.start()
        except OSError:
            self._http = None  # nothing listens
            raise
        return self

    def stop(self) -> None:
        """End all watches and the socket; idempotent. `handle` goes on working."""
        with self._life:
            http = self._http
        for watch in list(self._watches):
            watch.close()
        if http is not None:
            try:
                http.stop()
            except StopTimeout:
                self._http = None
                raise
            self._http = None  # not before: who was interrupted in `stop` may come again

    def close(self) -> None:
        """Stop, and forget all timers."""
        self.stop()
        self.core.alarm.close()

    def __enter__(self) -> ApiServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "serving" if self._http is not None else "in-process"
        return f"<ApiServer {state} rv={self.storage.revision}>"

    def knows_token(self, token: str) -> bool:
        """Whether requests with this bearer token are let in."""
        return self._authenticator.knows(token)

    def admin_token(self) -> str | None:
        """Return a bearer token of the administrator; None if no tokens are asked for."""
        return self._authenticator.admin_token()

    @property
    def is_serving(self) -> bool:
        """Whether a socket is open."""
        return self._http is not None

    @property
    def url(self) -> str:
        """The base URL, with the secret prefix; whoever has it is the administrator."""
        if self._http is None:
            raise LifecycleError("the server is not on a socket; call start() first")
        return self._http.url

    @property
    def watches(self) -> Iterable[WatchResponse]:
        """The open watches."""
        return tuple(self._watches)

    # --- state -------------------------------------------------------------------------------

    def snapshot(self) -> tuple[StorageSnapshot, object]:
        """Return everything the server holds at this moment."""
        with self.core.lock:
            return self.storage.snapshot(), self.core.ids.state()

    def fork(self, clock: Clock | None = None, ids: Ids | None = None) -> ApiServer:
        """Return a second server that goes on from here, with a URL of its own."""
        snapshot, state = self.snapshot()
        fresh = ids or Ids(self.core.ids.seed)
        if ids is None:
            fresh.restore(state)
        return ApiServer(
            clock or self.core.clock,
            fresh,
            storage=Storage.fork(snapshot),
            types=self.registry.all(),
            wait_seconds=self.core.wait_seconds,
            **self._access,
        )

    def restore(self, snapshot: tuple[StorageSnapshot, object]) -> int:
        """Put a snapshot back; all watches end, the revision jumps ahead. Return it."""
        with self.core.lock:
            revision = self.storage.restore(snapshot[0])
            self._reload()
            return revision

    def rewind(self, revision: int) -> int:
        """Write the inverse of everything since a revision; return how many objects changed."""
        with self.core.lock:
            count = self.storage.rewind(revision)
            self._reload()
            return count

    def compact(self, revision: int | None = None) -> int:
        """Forget history up to a revision (None: now): older reads and watches get 410."""
        return self.storage.compact(revision)

    def objects(self) -> Iterable[tuple[ResourceType, Version, str, Tree]]:
        """Yield (type, version, key, fresh tree) of every object, for built-in controllers."""
        with self.core.lock:
            found = [
                (resource, resource.storage_version, key, stored)
                for resource in self.registry.all()
                if resource.storage_name == resource.group_resource
                for key, stored in self.storage.items(resource.storage_name)
            ]
        for resource, version, key, stored in found:
            yield resource, version, key, resource.tree(version, stored)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Iterable[tuple[str, str]] = (),
        content_type: str = "application/json",
        identity: Identity | None = SYSTEM,
        user_agent: str = "crlab",
    ) -> tuple[int, Any]:
        """Send one request in-process; return (status, decoded body). For controllers and tests."""
        headers = {"accept": "application/json", "user-agent": user_agent}
        data = None
        if body is not None:
            headers["content-type"] = content_type
            tried = f"{method} {path}"
            if isinstance(body, bytes):
                data = body
                check_raw(data, tried)
            else:
                data = encoded(body, tried)[1]
        answer = self.handle(HttpRequest(method, path, tuple(query), headers, data, identity))
        assert isinstance(answer, HttpResponse), "use handle() for watches"
        with suppress(msgspec.DecodeError):
            return answer.status, msgspec.json.decode(answer.body)
        return answer.status, answer.body.decode(errors="replace")

    # --- inside ------------------------------------------------------------------------------

    def _register(self) -> None:
        for resource in builtin_types():
            if resource.storage_name == "events":
                resource.after_commit = self._expiry.committed
            self.registry.add(resource)
        self.registry.add(crd_type(self.definitions))

    def _reload(self) -> None:
        self.rbac.forget()
        self.definitions.load()
        self._expiry.load()

    def _bootstrap(self) -> None:
        for name in INITIAL_NAMESPACES:
            status, _ = self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
            assert status == 201, f"namespace {name} was not created"
        self.storage.seal()
