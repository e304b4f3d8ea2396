"""What a controller is made of, checked before anything is made.

Thread: pure functions.
"""

from __future__ import annotations

from collections.abc import Callable

from crlab.controller.informer_like import InformerLike
from crlab.controller.reconcile import Request
from crlab.errors import ConfigError
from crlab.model.argument import checked_function
from crlab.model.resource import ApiResource
from crlab.runtime.clock import Clock
from crlab.trace.record import Trace
from crlab.workqueue import PriorityQueue, RateLimiter, RateLimitingQueue
from crlab.workqueue.rate_limiter import checked_seconds


def checked_informer(informer: InformerLike, where: str) -> InformerLike:
    if not hasattr(informer, "add_event_handler") or not hasattr(informer, "resource"):
        raise ConfigError(
            f"{where} takes informers, not {informer!r}; lab.controller also takes their names"
        )
    return informer


def check_arguments(
    name: str,
    reconcile: object,
    workers: int,
    max_retries: int | None,
    timeout_seconds: float | None,
    queue: str,
) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"a controller needs a name, not {name!r}")
    checked_function(reconcile, "reconcile", ("request", "ctx"))
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ConfigError(f"workers is a whole number ≥ 1, not {workers!r}")
    if max_retries is not None and (
        not isinstance(max_retries, int) or isinstance(max_retries, bool) or max_retries < 0
    ):
        raise ConfigError(f"max_retries is a whole number ≥ 0 or None, not {max_retries!r}")
    if timeout_seconds is not None and checked_seconds(timeout_seconds, "timeout_seconds") == 0:
        raise ConfigError("timeout_seconds must be more than 0; None has no limit")
    if queue not in ("fifo", "priority"):
        raise ConfigError(f'queue is "fifo" or "priority", not {queue!r}')


def make_queue(
    sort: str,
    name: str,
    clock: Clock,
    limiter: RateLimiter | None,
    trace: Trace,
    resource: ApiResource,
) -> RateLimitingQueue[str]:
    make = PriorityQueue if sort == "priority" else RateLimitingQueue
    queue: RateLimitingQueue[str] = make(
        name, clock=clock, limiter=limiter, trace=trace, resource=resource.gvr.group_resource
    )
    queue.check = _key_check(resource)
    return queue


def _key_check(resource: ApiResource) -> Callable[[object], None]:
    """Return what refuses a key that no worker could reconcile, where it is added."""
    slashes = 1 if resource.is_namespaced else 0

    def check(item: object) -> None:
        if type(item) is str and item.count("/") == slashes and item.strip("/") == item != "":
            return
        request = Request.of(item, resource)
        if request.key != item:
            raise ConfigError(
                f"a workqueue holds keys, not {type(item).__name__}: add {request.key!r}, "
                "or use the controller's enqueue()"
            )

    return check
