"""All the sources of one controller: registered together, synced together.

From: informers. To: the controller's queue.

Thread: handlers run on the informers' threads; the rest from any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crlab.controller.enqueue import (
    Event,
    EventSource,
    KeysOf,
    Mapper,
    Predicate,
    mapped_keys,
    own_key,
    owner_keys,
)
from crlab.controller.environment import Environment
from crlab.controller.informer_like import HandlerLike, InformerLike
from crlab.controller.reconcile import Request
from crlab.errors import ConfigError, describe_error
from crlab.model.argument import checked_function
from crlab.model.resource import ApiResource
from crlab.workqueue import LOW_PRIORITY, PriorityQueue, RateLimitingQueue, Trigger


class Sources:
    """What fills a controller's queue."""

    def __init__(
        self,
        name: str,
        resource: ApiResource,
        queue: RateLimitingQueue[str],
        environment: Environment,
        informer: InformerLike,
        owned: Sequence[InformerLike],
        mappers: Mapping[InformerLike, Mapper],
        predicates: Sequence[Predicate],
    ) -> None:
        """Check and take the parts; nothing is registered yet.

        Raises:
            ConfigError: a predicate or mapper that is no function, or an owned resource that
                cannot be owned.
        """
        self._name = name
        self._resource = resource
        self._queue = queue
        self._env = environment
        self._registrations: list[HandlerLike] = []
        self._has_synced = False
        for each in predicates:
            checked_function(each, "a predicate", ("event",))
        self._pairs = [self._source(informer, own_key, predicates)]
        self._pairs += [self._owned(each) for each in owned]
        self._pairs += [self._watched(each, mapper) for each, mapper in mappers.items()]

    def _source(
        self, informer: InformerLike, keys_of: KeysOf, predicates: Sequence[Predicate] = ()
    ) -> tuple[InformerLike, EventSource]:
        source = EventSource(
            informer.resource, keys_of, self._put, self._report, self._worked, predicates
        )
        return informer, source

    def _owned(self, informer: InformerLike) -> tuple[InformerLike, EventSource]:
        if self._resource.is_namespaced and not informer.resource.is_namespaced:
            raise ConfigError(
                f"{informer.resource.gvr.group_resource} are cluster-scoped and cannot be "
                f"owned by {self._resource.gvr.group_resource}, which are namespaced; "
                "use watches with a mapper"
            )
        return self._source(informer, owner_keys(self._resource))

    def _watched(self, informer: InformerLike, mapper: Mapper) -> tuple[InformerLike, EventSource]:
        what = f"what watches has for {informer.resource.gvr.group_resource}"
        checked_function(mapper, what, ("obj",), may_yield=True)
        return self._source(informer, mapped_keys(mapper, self._resource))

    def register(self) -> None:
        """Add the handlers; events begin to come."""
        for informer, source in self._pairs:
            self._registrations.append(
                informer.add_event_handler(
                    on_add=source.on_add,
                    on_update=source.on_update,
                    on_delete=source.on_delete,
                    name=f"controller/{self._name}",
                )
            )

    def remove(self) -> None:
        """Take the handlers away."""
        for registration in self._registrations:
            registration.remove()

    @property
    def informers(self) -> list[InformerLike]:
        """The informers, the controller's own resource's first."""
        return [informer for informer, _ in self._pairs]

    @property
    def has_synced(self) -> bool:
        """Whether every handler has been offered the first list."""
        # While `register` is under way, those still to come have not synced.
        if not self._has_synced:
            self._has_synced = len(self._registrations) == len(self._pairs) and all(
                each.has_synced for each in self._registrations
            )
        return self._has_synced

    @property
    def unsynced(self) -> list[str]:
        """The resources whose first list has not been offered yet."""
        return [
            informer.resource.gvr.group_resource
            for (informer, _), registration in zip(self._pairs, self._registrations, strict=False)
            if not registration.has_synced
        ]

    @property
    def unsynced_states(self) -> list[str]:
        """What the informers of these are doing, with the cause, one sentence each."""
        return [
            f"{informer.resource.gvr.group_resource} is {getattr(informer, 'status', 'not synced')}"
            for (informer, _), registration in zip(self._pairs, self._registrations, strict=False)
            if not registration.has_synced
        ]

    def _put(self, request: Request, trigger: Trigger, event: Event) -> None:
        if isinstance(self._queue, PriorityQueue):
            # As controller-runtime: what a start or a resync brings must not hold up real changes.
            is_quiet = trigger.reason == "resync" or (event.is_initial and event.old is None)
            priority = LOW_PRIORITY if is_quiet else 0
            self._queue.add(request.key, trigger=trigger, priority=priority)
        else:
            self._queue.add(request.key, trigger=trigger)

    def _report(self, what: str, scope: str, key: str, error: BaseException) -> None:
        self._env.note(key, f"{what}_failed", 0, {"error": describe_error(error)})
        self._env.trace.failures.failed(what, self._env.actor, key, error, scope=scope)

    def _worked(self, what: str, scope: str, key: str) -> None:
        self._env.trace.failures.worked(what, self._env.actor, key, scope=scope)
