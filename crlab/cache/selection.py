"""Which objects a cache is of: its namespaces and selectors, applied here to one object.

From: the lister-watchers of an informer. To: whoever knows an object before the cache does.

Thread: any; the selectors are parsed at the first look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from crlab.client.list_watch import ListerWatcher
from crlab.errors import SelectorError
from crlab.model.object import KubeObject
from crlab.model.selector import (
    FieldSelector,
    LabelSelector,
    parse_field_selector,
    parse_label_selector,
)


class Selection:
    """The objects that a server sends to one informer."""

    def __init__(self, sources: Sequence[ListerWatcher]) -> None:
        self._namespaces = frozenset(x.namespace for x in sources if x.namespace)
        self._labels = str(getattr(sources[0], "label_selector", ""))
        self._fields = str(getattr(sources[0], "field_selector", ""))

    @property
    def is_everything(self) -> bool:
        """Whether no selector narrows it, within its namespaces."""
        return not self._labels and not self._fields

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole resource: every namespace, no selector."""
        return self.is_everything and not self._namespaces

    def covers(self, namespace: str) -> bool:
        """Whether objects of a namespace are in it; "" is that of cluster-scoped ones."""
        return not self._namespaces or namespace in self._namespaces

    def matches(self, obj: KubeObject) -> bool:
        """Whether an object is in it, as the server would judge."""
        if not self.covers(obj.namespace):
            return False
        if self.is_everything:
            return True
        parsed = self._parsed
        if parsed is None:
            return False
        labels, fields = parsed
        return labels.matches(obj["metadata"].get("labels")) and fields.matches(
            {term.field: _text_at(obj, term.field, term.value) for term in fields.terms}
        )

    @cached_property
    def _parsed(self) -> tuple[LabelSelector, FieldSelector] | None:
        try:
            return parse_label_selector(self._labels), parse_field_selector(self._fields)
        except SelectorError:
            return None  # the server refuses it too: such a cache holds nothing


def _text_at(obj: Mapping[str, Any], path: str, asked: str) -> str:
    """Return a field as a selector sees it; one that is absent has its type's zero value."""
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None:
        return "false" if asked in ("true", "false") else "0" if asked.isdigit() else ""
    return str(value).lower() if isinstance(value, bool) else str(value)
