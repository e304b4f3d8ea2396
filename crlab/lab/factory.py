"""From what a user asks an informer to be, to a `SharedInformer`.

From: `Lab.informer`; `informer_argument.py` has checked its arguments. To: the lab, which keeps it.

Thread: any.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from crlab.cache import SharedInformer, name_of, source_of
from crlab.client.list_watch import ListerWatcher
from crlab.errors import ConfigError
from crlab.lab.parts import Parts
from crlab.model.argument import checked_texts
from crlab.model.redaction import holds_secrets, redact_kube_object
from crlab.model.resource import ApiResource


def chosen_namespaces(namespace: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the namespaces an informer is limited to, () for all of them.

    Raises:
        ConfigError: names that are none.
    """
    if namespace is None:
        return ()
    if isinstance(namespace, str):
        return (namespace,)
    places = tuple(dict.fromkeys(checked_texts(namespace, "namespace (or one name, or None)")))
    if not places:
        raise ConfigError("namespace names none; None is all of them")
    return places


def shared_informer(
    parts: Parts,
    resource: ApiResource,
    namespaces: tuple[str, ...],
    label_selector: str,
    field_selector: str,
    *,
    metadata_only: bool,
    include_secrets: bool,
    audit_seconds: float | None,
    **options: Any,
) -> SharedInformer:
    """Make the informer; nothing runs yet.

    Raises:
        ConfigError: an audit of a recording.
    """
    if audit_seconds is not None and parts.kind == "replay":
        raise ConfigError("cannot audit: a recording has no server to compare the cache with")
    lister_watchers = [
        parts.client.lister_watcher(
            resource, place, label_selector, field_selector, metadata_only=metadata_only
        )
        for place in namespaces or (None,)
    ]
    place = ",".join(namespaces)
    is_masked = holds_secrets(resource) and not include_secrets
    options["name"] = options.get("name") or _free_name(parts, lister_watchers)
    return SharedInformer(
        lister_watchers if len(lister_watchers) > 1 else lister_watchers[0],
        driver=parts.driver,
        clock=parts.clock,
        ids=parts.ids.fork(f"informer/{resource.gvr}/{place}/{label_selector}"),
        trace=parts.trace,
        redact=partial(redact_kube_object, resource=resource) if is_masked else None,
        audit_seconds=audit_seconds,
        **options,
    )


def _free_name(parts: Parts, lister_watchers: Sequence[ListerWatcher]) -> str:
    """Return a name for an informer; the second of the same question is "pods#2".

    The trace tells two informers of one resource apart by it: an event that both saw
    happened to each of them once.
    """
    name = name_of(lister_watchers)
    taken = {each.source for each in list(parts.informers) if not each.is_stopped}
    free, number = name, 2
    while source_of(free, lister_watchers[0]) in taken:
        free, number = f"{name}#{number}", number + 1
    return free
