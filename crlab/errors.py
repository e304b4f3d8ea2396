"""Every error crlab raises, as one tree.

    CrlabError
    ├─ ConfigError                      no kubeconfig, unknown context, bad argument
    │   ├─ CredentialError              an exec plugin, token or key could not be used
    │   ├─ ManifestError                YAML or JSON that is not a Kubernetes object
    │   └─ SelectorError                a label or field selector that does not parse
    ├─ ApiError(code, reason, details)  the server answered with a Status
    │   ├─ BadRequest, Unauthorized, Forbidden, NotFound, AlreadyExists, Conflict, Invalid
    │   ├─ MethodNotAllowed, NotAcceptable, UnsupportedMediaType, RequestTooLarge
    │   ├─ ResourceExpired              410: the revision is gone, list again
    │   ├─ TooManyRequests(retry_after_seconds)
    │   └─ ServerFailure                5xx
    │       └─ ServerTimeout            504, also "Too large resource version"
    ├─ TransportError(phase)            refused, TLS, timeout, cut stream
    ├─ DecodeError(offset, excerpt)     bytes that are not what the protocol promises
    ├─ UnknownResource(name, nearest)   discovery does not know the name
    ├─ ReadOnlyError                    a write that `allow_writes` or a dry run does not let out
    ├─ CacheError
    │   ├─ KeyFuncError, UnknownIndex, IndexerConflict
    │   └─ SyncTimeout(unsynced)
    ├─ LifecycleError
    │   ├─ AlreadyStarted, AlreadyStopped, NoThread
    │   └─ StopTimeout(threads)
    ├─ ReconcileError
    │   ├─ TerminalError                not retried
    │   └─ ReconcileFailed(request, attempt)
    └─ FrameError
        ├─ UnknownColumn(name, nearest), ColumnTypeError, JSONPathError
        ├─ OutOfTrace                   a moment the trace does not hold
        └─ RecordingError               a recording that is damaged, newer or hostile

Each error carries its facts as attributes; ``str()`` says what was tried, on which
object, what came back and what to do next. No error text holds a credential or a
response body.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from crlab.model.mask import mask_text


class CrlabError(Exception):
    """Base of every error crlab raises on purpose; its text is one line without controls."""

    def __str__(self) -> str:
        return _shown(super().__str__())


def _shown(text: str) -> str:
    """Return a text in which no name or message of a cluster can forge a line (S3, S38)."""
    from crlab.model.escape import plain  # not above: all of `model` imports this module

    return plain(text)


class ConfigError(CrlabError):
    """The configuration or an argument cannot be used as given."""


class SandboxOnly(ConfigError, AttributeError):
    """Something was asked of a lab that only one with a server of its own has.

    An `AttributeError` too, so that ``hasattr(lab, "rewind")`` says whether it can.
    """


class CredentialError(ConfigError):
    """Credentials could not be obtained; no request is sent without them."""


class ManifestError(ConfigError):
    """A document is not a Kubernetes object that can be sent."""


class SelectorError(ConfigError):
    """A label or field selector does not parse; the text is the API server's own."""


class ApiError(CrlabError):
    """The API server refused a request with a Status.

    Attributes:
        code: HTTP status code.
        reason: machine-readable reason of the Status ("NotFound"), "" if it had none.
        message: the server's sentence.
        details: the Status' ``details``, {} if it had none.
        tried: what was asked, e.g. "create myservices.example.com default/web".
    """

    advice = ""

    def __init__(
        self,
        message: str,
        *,
        code: int,
        reason: str = "",
        details: Mapping[str, Any] | None = None,
        tried: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.details: dict[str, Any] = dict(details or {})
        self.tried = tried

    @property
    def causes(self) -> list[dict[str, Any]]:
        """The Status' causes, field by field; [] if it named none."""
        causes = self.details.get("causes")
        return list(causes) if isinstance(causes, list) else []

    def __str__(self) -> str:
        text = f"{self.code} {self.reason}".strip() + f": {self.message}"
        if self.tried:
            text = f"{self.tried}: {text}"
        return _shown(f"{text} ({self.advice})" if self.advice else text)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_api_error, (
            type(self),
            self.message,
            self.code,
            self.reason,
            self.details,
            self.tried,
            self.__dict__.copy(),
        )


class BadRequest(ApiError):
    """400: the request itself is malformed."""


class Unauthorized(ApiError):
    """401: the credentials were not accepted."""

    advice = "check the token or certificate of this context"


class Forbidden(ApiError):
    """403: the user may not do this."""


class NotFound(ApiError):
    """404: no such object, resource or path."""


class MethodNotAllowed(ApiError):
    """405: the resource does not support the verb."""


class NotAcceptable(ApiError):
    """406: the server offers none of the accepted media types."""


class AlreadyExists(ApiError):
    """409 AlreadyExists: an object of that name is there already."""


class Conflict(ApiError):
    """409 Conflict: the object changed since it was read, or another manager owns a field."""


class ResourceExpired(ApiError):
    """410: the asked resourceVersion is no longer held; list again."""

    advice = "list again to get a current resourceVersion"


class RequestTooLarge(ApiError):
    """413: the request body is over the server's limit."""


class UnsupportedMediaType(ApiError):
    """415: the server does not read this content type."""


class Invalid(ApiError):
    """422: the object does not pass validation; see `causes`."""


class TooManyRequests(ApiError):
    """429: the server asks to come back later."""

    retry_after_seconds: float | None = None


class ServerFailure(ApiError):
    """5xx: the server failed to answer."""

    retry_after_seconds: float | None = None


class ServerTimeout(ServerFailure):
    """504: the server gave up waiting."""

    @property
    def is_too_large_resource_version(self) -> bool:
        """Whether the asked resourceVersion is ahead of the server."""
        return "Too large resource version" in self.message or any(
            cause.get("reason") == "ResourceVersionTooLarge" for cause in self.causes
        )


_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    406: NotAcceptable,
    409: Conflict,
    410: ResourceExpired,
    413: RequestTooLarge,
    415: UnsupportedMediaType,
    422: Invalid,
    429: TooManyRequests,
    504: ServerTimeout,
}
_BY_REASON: dict[str, type[ApiError]] = {
    "AlreadyExists": AlreadyExists,
    "Expired": ResourceExpired,
    "Gone": ResourceExpired,
    "Timeout": ServerTimeout,
}


def api_error(
    code: int,
    status: Mapping[str, Any] | None,
    *,
    tried: str = "",
    retry_after_seconds: float | None = None,
) -> ApiError:
    """Make the error that fits an HTTP code and its Status body (None: no Status came)."""
    body = status or {}
    reason = body.get("reason") if isinstance(body.get("reason"), str) else ""
    message = body.get("message") if isinstance(body.get("message"), str) else ""
    details = body.get("details") if isinstance(body.get("details"), Mapping) else None
    kind = _BY_REASON.get(reason or "") or _BY_CODE.get(code)
    if kind is None:
        kind = ServerFailure if code >= 500 else ApiError
    error = kind(
        message or f"the server answered {code} without a Status",
        code=code,
        reason=reason or "",
        details=details,
        tried=tried,
    )
    if isinstance(error, TooManyRequests | ServerFailure):
        error.retry_after_seconds = retry_after_seconds
    return error


def _rebuild_api_error(
    kind: type[ApiError],
    message: str,
    code: int,
    reason: str,
    details: dict[str, Any],
    tried: str,
    state: dict[str, Any],
) -> ApiError:
    error = kind(message, code=code, reason=reason, details=details, tried=tried)
    error.__dict__.update(state)
    return error


class _FactsError(CrlabError):
    """An error whose text is made by the raiser and whose facts ride along as attributes."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.__dict__.update(facts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_facts_error, (type(self), self.args[0], self.__dict__.copy())


def _rebuild_facts_error(
    kind: type[_FactsError], message: str, facts: dict[str, Any]
) -> _FactsError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(facts)
    return error


class BodyRefused(_FactsError, ConfigError):
    """A body holds what JSON cannot, or a masked value; nothing was sent.

    Attributes:
        paths: where: (".spec.replicas",), ("",) for the body itself.
    """

    paths: tuple[str, ...]


class TransportError(_FactsError):
    """The connection failed: refused, TLS, timed out or cut.

    Attributes:
        phase: "connect", "list", "watch", "read" or "write".
        is_refused: nothing listens there (a watch may wait without listing again).
    """

    phase: str
    is_refused: bool

    def __init__(self, message: str, *, phase: str, refused: bool = False) -> None:
        super().__init__(message, phase=phase, is_refused=refused)


class DecodeError(_FactsError):
    """Bytes from the server are not what the protocol promises.

    Attributes:
        offset: byte offset of the fault in its line or body, -1 if unknown.
        excerpt: a short, escaped piece of a *structure* error; never object content.
    """

    offset: int
    excerpt: str

    def __init__(self, message: str, *, offset: int = -1, excerpt: str = "") -> None:
        super().__init__(message, offset=offset, excerpt=excerpt)


def let_go(error: BaseException) -> None:
    """Take the frames from a caught error, so that keeping it keeps nothing else alive.

    A traceback holds every local of every frame on its way, and of their callers: the list
    that was refused, the body, the socket. For an error that crlab did not raise on purpose
    (a user's function, a bug), where it was raised becomes a note.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        waiting += [each.__cause__, each.__context__]
        if each.__traceback__ is not None and not isinstance(each, CrlabError):
            each.add_note("".join(["raised at:\n", *traceback.format_tb(each.__traceback__)]))
        each.__traceback__ = None


def error_text(error: object, form: Callable[[object], str] = str) -> str:
    """Return what an error says, secrets masked, even if its own `__str__` raises."""
    try:
        return mask_text(
            "".join([form(error)])
        )  # of a text's subclass too, whose __format__ may raise
    except BaseException as failure:  # noqa: BLE001 - a user's class, read on threads of crlab
        return f"(its text cannot be had: {type(failure).__name__} was raised)"


def describe_error(error: BaseException | None) -> str:
    """Return an error as "Type: text", "" for none; safe as `error_text` is."""
    if error is None:
        return ""
    name, text = type(error).__name__, error_text(error)
    return f"{name}: {text}" if text else name


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Return up to `limit` known names that resemble `name`, best first."""
    return difflib.get_close_matches(name, list(known), n=limit, cutoff=0.5)


class UnknownResource(_FactsError):
    """Discovery does not know this resource.

    Attributes:
        name: what was asked for.
        nearest: known names that resemble it.
    """

    name: str
    nearest: Sequence[str]

    def __init__(self, name: str, *, nearest: Sequence[str] = (), where: str = "") -> None:
        hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
        place = f" at {where}" if where else ""
        super().__init__(
            f"no resource {name!r}{place}{hint} (names may be plural, kind, short name, "
            "plural.group or plural.version.group)",
            name=name,
            nearest=tuple(nearest),
        )


class ReadOnlyError(_FactsError):
    """A write that this connection was not opened for, or that a dry run cannot make dry."""


class CacheError(_FactsError):
    """The informer's cache cannot do what was asked."""


class KeyFuncError(CacheError):
    """No key can be made for an object (no metadata.name), or a key is malformed."""


class NotCached(KeyFuncError, KeyError):
    """``informer["default/web"]``: the cache holds no such key; the server was not asked."""

    __str__ = CrlabError.__str__  # a KeyError would show its text in quotes


class UnknownIndex(CacheError):
    """No index of that name was added to the indexer."""


class IndexerConflict(CacheError):
    """An index of that name exists already."""


class SyncTimeout(CacheError):
    """A wait for caches, or for a condition, ran out.

    Attributes:
        unsynced: what had not synced or come true, one sentence each.
        timeout_seconds: how long was waited.
        now: what informers, controllers and queues were doing then, one sentence each.
    """

    unsynced: Sequence[str]
    now: Sequence[str]

    def __init__(
        self,
        unsynced: Sequence[str],
        *,
        timeout_seconds: float,
        said: str = "",
        now: Sequence[str] = (),
        advice: str = "",
    ) -> None:
        """Say what is missing.

        Args:
            said: in place of "not synced after 10 s".
            advice: what to do next.
        """
        text = said or f"not synced after {timeout_seconds:g} s"
        text += f": {'; '.join(unsynced)}"
        text += f". Now: {'; '.join(now)}" if now else ""
        super().__init__(
            text + (f" ({advice})" if advice else ""),
            unsynced=tuple(unsynced),
            timeout_seconds=timeout_seconds,
            now=tuple(now),
        )


class LifecycleError(_FactsError):
    """Something was asked of an object in the wrong part of its life."""


class AlreadyStarted(LifecycleError):
    """It runs already; one object starts once."""


class AlreadyStopped(LifecycleError):
    """It was stopped or closed and does not come back; make a new one."""


class NoThread(LifecycleError):
    """The machine starts no further thread; what needed one does not run."""


class StopTimeout(LifecycleError):
    """Threads were still alive when the wait for them ended.

    Attributes:
        threads: their names.
    """

    threads: Sequence[str]

    def __init__(self, threads: Sequence[str], *, timeout_seconds: float) -> None:
        super().__init__(
            f"still running after {timeout_seconds:g} s: {', '.join(threads)} "
            "(user code that does not return cannot be killed; it was abandoned)",
            threads=tuple(threads),
        )


class ReconcileError(_FactsError):
    """A reconcile could not be completed."""


class TerminalError(ReconcileError):
    """Raise this from a reconcile: the key is not retried."""


class ReconcileFailed(ReconcileError):
    """A reconcile raised.

    Attributes:
        request: the request it was given.
        attempt: 1 for the first try.
    """


class FrameError(_FactsError):
    """A frame cannot be built as asked."""


class UnknownColumn(FrameError):
    """No such column; `nearest` lists names that resemble it."""


class ColumnTypeError(FrameError):
    """A column cannot hold a value."""


class NotFollowed(FrameError):
    """A live expression reads what cannot be followed: the server, or nothing of a lab."""


class ColumnFailed(FrameError):
    """A column's function raised for every row; the cause is what it raised last.

    Attributes:
        name: the column.
        key: the row that failed last.
    """


class JSONPathError(FrameError):
    """A JSONPath does not parse; says where and what was expected."""


class OutOfTrace(FrameError):
    """The trace does not reach that far back, or not yet that far."""


class RecordingError(FrameError):
    """A recording is truncated, altered, from a newer version, or hostile."""
