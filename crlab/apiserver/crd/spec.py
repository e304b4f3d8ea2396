"""A CRD's spec as kube-apiserver's validation sees it.

Thread: immutable.
Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1/conversion.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crlab.model.go_text import go_json


class Spec:
    """A CRD's spec with what all versions share moved to the top, as the server sees it."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.raw = spec
        self.versions: list[Mapping[str, Any]] = list(spec.get("versions") or ())
        self.shared = {
            key: bool(self.versions)
            and all(_same(version.get(key), self.versions[0].get(key)) for version in self.versions)
            for key in ("schema", "subresources", "additionalPrinterColumns", "selectableFields")
        }

    def places(
        self, key: str, top: str, below: str
    ) -> Iterator[tuple[Any, str, Mapping[str, Any]]]:
        """Yield (value, path, version) for each place the field is validated at."""
        if not self.versions:
            return
        if self.shared[key]:
            yield self.versions[0].get(key), top, self.versions[0]
            return
        for at, version in enumerate(self.versions):
            yield version.get(key), f"spec.versions[{at}].{below}", version

    @property
    def has_status(self) -> bool:
        """Whether any version has the status subresource."""
        return any("status" in (version.get("subresources") or {}) for version in self.versions)

    def shown(self) -> str:
        """Return the versions as the server prints them into a message."""
        listed = []
        for version in self.versions:
            row: dict[str, Any] = {
                "Name": version.get("name", ""),
                "Served": bool(version.get("served")),
                "Storage": bool(version.get("storage")),
                "Deprecated": bool(version.get("deprecated")),
                "DeprecationWarning": version.get("deprecationWarning"),
            }
            for key in self.shared:
                shown = None if self.shared[key] else version.get(key)
                row[key[0].upper() + key[1:]] = shown
            listed.append(row)
        return go_json(listed)


def _same(left: Any, right: Any) -> bool:
    return (left or None) == (right or None)
