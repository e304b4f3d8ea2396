"""What a reconcile is given and what it may answer.

A reconcile gets a name, not an event: whatever happened, it looks at what is and makes it
what should be (level, not edge). It answers None (done) or a `Result`.

Thread: immutable values.
Source: kubernetes-sigs/controller-runtime:pkg/reconcile/reconcile.go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from crlab.errors import ConfigError, KeyFuncError, ReconcileError
from crlab.model.key import join_key, split_key
from crlab.model.resource import ApiResource


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """Which object to reconcile.

    Attributes:
        namespace: "" for cluster-scoped objects.
    """

    namespace: str
    name: str

    @property
    def key(self) -> str:
        """ "namespace/name" or "name"."""
        return join_key(self.namespace, self.name)

    @classmethod
    def of(cls, what: Any, resource: ApiResource | None = None) -> Request:
        """Make one from a Request, a key, a (namespace, name) pair or an object.

        Raises:
            ConfigError: it is none of these, or its namespace does not fit `resource`.
        """
        request = cls(*_parts(what))
        if resource is not None:
            _check_scope(request, resource)
        return request

    def __str__(self) -> str:
        return self.key


def _parts(what: Any) -> tuple[str, str]:
    if isinstance(what, Request):
        return what.namespace, what.name
    if isinstance(what, str):
        try:
            return split_key(what)
        except KeyFuncError as error:
            raise ConfigError(str(error)) from error
    if isinstance(what, tuple) and len(what) == 2 and all(isinstance(p, str) for p in what):
        if not what[1]:
            raise ConfigError(f"a request needs a name, not {what!r}")
        return what[0], what[1]
    key = getattr(what, "key", None)
    if isinstance(key, str):
        return split_key(key)
    raise ConfigError(
        f'{what!r} names no object; give "namespace/name", a Request or (namespace, name)'
    )


def _check_scope(request: Request, resource: ApiResource) -> None:
    plural = resource.gvr.group_resource
    if resource.is_namespaced and not request.namespace:
        raise ConfigError(
            f'{request.key!r} has no namespace, and {plural} are namespaced: give "namespace/'
            f'{request.name}", e.g. "default/{request.name}"'
        )
    if not resource.is_namespaced and request.namespace:
        raise ConfigError(
            f"{request.key!r} has a namespace, and {plural} are cluster-scoped: give "
            f"{request.name!r}"
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What a reconcile that did not fail wants next.

    Attributes:
        requeue_after_seconds: come back after this long, whatever happens; the failures of
            the key are forgotten. None or 0: come back when something changes.
        requeue: come back after the rate limiter's delay, as after an error.
    """

    requeue_after_seconds: float | None = None
    requeue: bool = False

    def __post_init__(self) -> None:
        seconds = self.requeue_after_seconds
        if seconds is None:
            return
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not is_number or not math.isfinite(seconds) or seconds < 0:
            raise ConfigError(
                f"requeue_after_seconds must be a number of seconds ≥ 0, not {seconds!r}"
            )

    def __str__(self) -> str:
        if self.requeue_after_seconds:
            return f"requeue after {self.requeue_after_seconds:g} s"
        return "requeue" if self.requeue else "done"


DONE = Result()


def checked_result(answer: object) -> Result:
    """Return what a reconcile answered as a `Result`.

    Raises:
        ReconcileError: it is neither None nor a Result.
    """
    if answer is None:
        return DONE
    if isinstance(answer, Result):
        return answer
    close = getattr(answer, "close", None)
    if callable(close) and hasattr(answer, "send"):
        close()  # a coroutine or generator that nobody will run
    raise ReconcileError(
        f"a reconcile returned {type(answer).__name__}; return None, or "
        "Result(requeue_after_seconds=…)"
    )
