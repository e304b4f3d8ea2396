"""Kubeconfig files: read, merged and taken apart, without acting on them.

From: `config`. To: `config`.

Guarantees:
  1. Files of a KUBECONFIG list are merged as client-go does: the first to name a
     cluster, user, context or the current context wins; missing files are passed over.
  2. Relative paths are relative to the file that holds them.
  3. What is broken is a `ConfigError` that names the file and the entry, never its content.

Thread: pure, but for reading files.
Source: kubernetes/client-go:tools/clientcmd/loader.go.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from crlab.client.regular_file import read_regular
from crlab.errors import ConfigError, ManifestError
from crlab.model.manifest import parse_document

MAX_FILE_BYTES = 4 << 20


@dataclass(frozen=True, repr=False)
class NamedEntry:
    """A named part of a kubeconfig and the file it came from."""

    name: str
    source: str
    value: Mapping[str, Any]

    def text(self, key: str) -> str:
        """Return a text value, "" if absent.

        Raises:
            ConfigError: it is something else.
        """
        value = self.value.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ConfigError(f"{self.source}: {self.name!r}: {key} is not a text")
        return value

    def flag(self, key: str) -> bool:
        """Return a boolean value, False if absent.

        Raises:
            ConfigError: it is something else ("yes" and "true" in quotes are texts).
        """
        value = self.value.get(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise ConfigError(f"{self.source}: {self.name!r}: {key} is neither true nor false")
        return value

    def path(self, key: str) -> str:
        """Return a path made absolute, "" if absent."""
        text = self.text(key)
        if not text:
            return ""
        return os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(self.source)), text))

    def __repr__(self) -> str:
        return f"Entry({self.name!r} of {self.source})"


@dataclass(frozen=True, repr=False)
class Kubeconfig:
    """Merged kubeconfig files."""

    sources: tuple[str, ...]
    current_context: str = ""
    clusters: Mapping[str, NamedEntry] = field(default_factory=dict)
    users: Mapping[str, NamedEntry] = field(default_factory=dict)
    contexts: Mapping[str, NamedEntry] = field(default_factory=dict)

    def context(self, name: str | None) -> tuple[str, NamedEntry, NamedEntry | None, str]:
        """Return a context's name, cluster, user and namespace.

        Args:
            name: None takes the current one.

        Raises:
            ConfigError: it, its cluster or its user does not exist.
        """
        where = ", ".join(self.sources)
        name = name or self.current_context
        if not name:
            raise ConfigError(
                f"{where}: no current-context is set; pass context=..., one of: "
                f"{', '.join(sorted(self.contexts)) or '(none)'}"
            )
        context = self.contexts.get(name)
        if context is None:
            known = ", ".join(sorted(self.contexts)) or "(none)"
            raise ConfigError(f"{where}: no context {name!r}; there are: {known}")
        cluster = self.clusters.get(context.text("cluster"))
        if cluster is None:
            raise ConfigError(
                f"{where}: context {name!r} names the cluster {context.text('cluster')!r}, "
                "which is not there"
            )
        user_name = context.text("user")
        user = self.users.get(user_name)
        if user_name and user is None:
            raise ConfigError(
                f"{where}: context {name!r} names the user {user_name!r}, which is not there; "
                "nothing was sent"
            )
        return name, cluster, user, context.text("namespace")

    def __repr__(self) -> str:
        return f"Kubeconfig({', '.join(self.sources)}; contexts {sorted(self.contexts)})"


def read_kubeconfigs(paths: Sequence[str]) -> Kubeconfig | None:
    """Read and merge files; None if none of them exists.

    Raises:
        ConfigError: a file is there but broken.
    """
    sources: list[str] = []
    current = ""
    merged: dict[str, dict[str, NamedEntry]] = {"clusters": {}, "users": {}, "contexts": {}}
    for path in paths:
        path = os.path.expanduser(path)
        if not os.path.exists(path):
            continue
        sources.append(path)
        tree = _read(path)
        if not current and isinstance(tree.get("current-context"), str):
            current = tree["current-context"]
        for section, inner in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            for entry in _entries(tree, section, inner, path):
                merged[section].setdefault(entry.name, entry)
    if not sources:
        return None
    return Kubeconfig(
        tuple(sources), current, merged["clusters"], merged["users"], merged["contexts"]
    )


def _read(path: str) -> Mapping[str, Any]:
    try:
        data = read_regular(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the kubeconfig {path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"the kubeconfig {path} is larger than {MAX_FILE_BYTES} bytes")
    try:
        tree = parse_document(data.decode(), name=path)
    except UnicodeDecodeError:
        raise ConfigError(f"the kubeconfig {path} is not UTF-8 text") from None
    except ManifestError as error:
        raise ConfigError(f"the kubeconfig is broken: {error}") from None
    if tree is None:
        raise ConfigError(f"the kubeconfig {path} is empty")
    if not isinstance(tree, dict):
        raise ConfigError(f"the kubeconfig {path} is not a mapping")
    if tree.get("kind", "Config") != "Config":
        raise ConfigError(f"{path} is a {str(tree.get('kind'))[:60]}, not a kubeconfig")
    return tree


def _entries(tree: Mapping[str, Any], section: str, inner: str, path: str) -> list[NamedEntry]:
    items = tree.get(section) or []
    if not isinstance(items, list):
        raise ConfigError(f"{path}: {section} is not a list")
    entries = []
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise ConfigError(f"{path}: an entry of {section} has no name")
        value = item.get(inner)
        if value is not None and not isinstance(value, dict):
            raise ConfigError(f"{path}: {item['name']!r} in {section} is not a mapping")
        entries.append(NamedEntry(item["name"], path, value or {}))
    return entries


def write_kubeconfig(path: Path, url: str, token: str | None) -> None:
    """Write a kubeconfig for `url`, readable by its owner only; replaces what was there.

    Raises:
        ConfigError: it cannot be written there.
    """
    user = {"token": token} if token is not None else {}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "crlab", "cluster": {"server": url}}],
        "users": [{"name": "crlab", "user": user}],
        "contexts": [{"name": "crlab", "context": {"cluster": "crlab", "user": "crlab"}}],
        "current-context": "crlab",
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(yaml.safe_dump(config, sort_keys=False))
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
