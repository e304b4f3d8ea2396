"""Whether what `lab.informer` was asked for can be had; said before anything is made.

Thread: pure functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crlab.cache.index import checked_indexers
from crlab.errors import ConfigError, nearest
from crlab.model.argument import (
    checked_count,
    checked_function,
    checked_list,
    checked_number,
    checked_optional,
    checked_text,
)
from crlab.model.field_selector import parse_field_selector
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.model.selector import parse_label_selector

QUEUES = ("real", "real-per-item", "delta")
LIST_MODES = ("auto", "watchlist", "list")
OURS = frozenset({"driver", "clock", "ids", "trace", "redact", "lister_watcher"})


def check_resource(resource: object, taker: str) -> None:
    """Raise unless `resource` can name one.

    Raises:
        ConfigError: it is of another type.
    """
    if not isinstance(resource, str | ApiResource | GroupVersionResource):
        raise ConfigError(
            f'{taker} takes a resource\'s name, such as "pods" or "deployments.apps", '
            f"not {type(resource).__name__}"
        )


def check_question(
    *,
    label_selector: str,
    field_selector: str,
    resync_seconds: float,
    queue: str,
    list_mode: str,
    namespaces: Sequence[Any],
    columns: object,
    indexers: object,
    transform: object,
    options: Mapping[str, Any],
) -> None:
    """Raise unless an informer can be made of these arguments.

    Raises:
        SelectorError: with the API server's sentence.
        ConfigError: another argument that cannot work, said which.
    """
    checked_text(label_selector, "label_selector", '"app=web"')
    checked_text(field_selector, "field_selector", '"metadata.name=web"')
    parse_label_selector(label_selector)
    parse_field_selector(field_selector)
    _one_of("queue", queue, QUEUES)
    _one_of("list_mode", list_mode, LIST_MODES)
    if isinstance(resync_seconds, bool) or not isinstance(resync_seconds, int | float):
        raise ConfigError(f"resync_seconds is a number of seconds, not {resync_seconds!r}")
    if not resync_seconds >= 0:
        raise ConfigError(f"resync_seconds is {resync_seconds}; it is 0 (never) or more")
    for namespace in namespaces:
        if not isinstance(namespace, str) or not namespace or "/" in namespace:
            raise ConfigError(f"namespace is a name, several names, or None, not {namespace!r}")
    known = _options()
    for name in options:
        if name not in known:
            near = nearest(name, known) or sorted(known)
            raise ConfigError(f"an informer has no option {name!r}; nearest: {', '.join(near)}")
    check_columns(columns)
    _check_functions(indexers, transform)
    _check_options(options)


def check_columns(columns: object) -> None:
    """Raise unless these can be columns.

    Raises:
        ConfigError: they are neither names with JSONPaths nor columns.
    """
    if columns is not None and (isinstance(columns, str) or not isinstance(columns, Iterable)):
        raise ConfigError(
            'columns maps names to JSONPaths, as {"image": ".spec.image"}, or lists names, '
            f"not {columns!r}"
        )


def check_sources(informer: object, owns: object, watches: object, predicates: object) -> None:
    """Raise unless a controller can listen to these.

    Raises:
        ConfigError: one of them is of another type, said which.
    """
    if callable(informer):
        raise ConfigError(
            "@lab.controller takes the informer (or the name) of the resource it reconciles: "
            '@lab.controller("deployments")'
        )
    _check_source(informer, "lab.controller()")
    for each in checked_list(owns, "owns", 'informers or names, as ["deployments"]'):
        _check_source(each, "owns")
    if watches is not None and not isinstance(watches, Mapping):
        raise ConfigError(
            "watches maps an informer or a name to a function from an object to keys, "
            f"not a {type(watches).__name__}"
        )
    for each, mapper in (watches or {}).items():
        _check_source(each, "watches")
        checked_function(mapper, f"what watches has for {each!r}", ("obj",), may_yield=True)
    for each in checked_list(predicates, "predicates", "functions of an event"):
        checked_function(each, "a predicate", ("event",))


def _check_source(source: object, taker: str) -> None:
    from crlab.lab.informer import Informer

    if not isinstance(source, Informer):
        check_resource(source, taker)


def _check_functions(indexers: object, transform: object) -> None:
    if indexers is not None and not isinstance(indexers, Mapping):
        raise ConfigError(f"indexers maps names to functions, not a {type(indexers).__name__}")
    for name in indexers or ():
        checked_text(name, "an index's name")
    checked_indexers(indexers or {})
    checked_optional(transform, "transform", ("obj",))


def _check_options(options: Mapping[str, Any]) -> None:
    """Check those that would otherwise show on a thread, or never."""
    checked_optional(options.get("watch_error_handler"), "watch_error_handler", ("error",))
    if options.get("name") is not None:
        checked_text(options["name"], "name")
    if options.get("page_size") is not None:
        checked_count(options["page_size"], "page_size")
    if options.get("idle_timeout_seconds") is not None:
        checked_number(options["idle_timeout_seconds"], "idle_timeout_seconds")


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        choice = ", ".join(repr(each) for each in known)
        raise ConfigError(f"{name} is one of {choice}, not {value!r}")


def _options() -> set[str]:
    """Return what `SharedInformer` takes and a user may set."""
    from crlab.cache import SharedInformer

    return set(inspect.signature(SharedInformer).parameters) - OURS
