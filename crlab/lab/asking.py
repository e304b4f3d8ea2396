"""Whether what `lab.informer` was asked for can be had; said before anything is made.

Thread: pure functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from crlab.errors import ConfigError, nearest
from crlab.model.field_selector import parse_field_selector
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.model.selector import parse_label_selector

QUEUES = ("real", "real-per-item", "delta")
LIST_MODES = ("auto", "watchlist", "list")
OURS = frozenset({"driver", "clock", "ids", "trace", "redact", "lister_watcher"})


def check_resource(resource: Any, taker: str) -> None:
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
    options: Mapping[str, Any],
) -> None:
    """Raise unless an informer can be made of these arguments.

    Raises:
        SelectorError: with the API server's sentence.
        ConfigError: another argument that cannot work, said which.
    """
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


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        choice = ", ".join(repr(each) for each in known)
        raise ConfigError(f"{name} is one of {choice}, not {value!r}")


def _options() -> set[str]:
    """Return what `SharedInformer` takes and a user may set."""
    from crlab.cache import SharedInformer

    return set(inspect.signature(SharedInformer).parameters) - OURS
