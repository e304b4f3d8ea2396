"""Ready-made predicates: which events of the controller's own resource matter.

A predicate takes an `Event` and answers whether it triggers. They combine with `any_of`,
`all_of` and `not_`.

Thread: pure functions.
Source: kubernetes-sigs/controller-runtime:pkg/predicate/predicate.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crlab.controller.enqueue import Event, Predicate, passes
from crlab.model.argument import checked_function


def generation_changed(event: Event) -> bool:
    """Pass updates that changed metadata.generation (the spec), and all else but updates."""
    return _changed(event, "generation")


def resource_version_changed(event: Event) -> bool:
    """Pass everything but resyncs."""
    return not event.is_resync


def labels_changed(event: Event) -> bool:
    """Pass updates that changed labels, and all else but updates."""
    return _changed(event, "labels")


def annotations_changed(event: Event) -> bool:
    """Pass updates that changed annotations, and all else but updates."""
    return _changed(event, "annotations")


def any_of(*predicates: Predicate) -> Predicate:
    """Pass what any of these passes."""
    _check(predicates)
    return lambda event: any(passes(predicate, event) for predicate in predicates)


def all_of(*predicates: Predicate) -> Predicate:
    """Pass what all of these pass."""
    _check(predicates)
    return lambda event: all(passes(predicate, event) for predicate in predicates)


def not_(predicate: Predicate) -> Predicate:
    """Pass what this one does not."""
    _check((predicate,))
    return lambda event: not passes(predicate, event)


def _check(predicates: Iterable[Predicate]) -> None:
    for each in predicates:
        checked_function(each, "a predicate", ("event",))


def _changed(event: Event, field: str) -> bool:
    if event.old is None or event.object is None:
        return True
    return bool(_metadata(event.old).get(field) != _metadata(event.object).get(field))


def _metadata(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = obj.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}
