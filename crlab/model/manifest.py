"""Manifests: YAML or JSON, from a path, text, dict or list, to plain objects.

Guarantees (S26):
  1. Only plain YAML: no tag makes an object; aliases are capped by what they expand to;
     a key that appears twice is refused; size, depth and node count have limits.
  2. What YAML 1.1 would silently take for a boolean or a date ("no", "2024-01-01") is
     read as Kubernetes' own YAML reader reads it: dates stay texts, ``yes``/``no``/
     ``on``/``off`` are booleans as values and texts as keys.
  3. An error names the document and the line, and quotes nothing but keys.

Thread: pure, but for reading the file.
Source: sigs.k8s.io/yaml, kubernetes/apimachinery:pkg/util/yaml/decoder.go.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from crlab.errors import ManifestError
from crlab.model.encoder import check_whole, plain

MAX_BYTES = 32 << 20
MAX_NODES = 100_000
MAX_DEPTH = 100

Manifest = str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any]


_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,400}|0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """The safe loader with Kubernetes' scalars: no dates, no base-60 numbers, 1e3 a number."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - yaml's own protocol
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if not tag.endswith((":timestamp", ":int", ":float", ":value"))
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


for _pattern, _tag, _first in (
    (_INT, "int", "-+0123456789"),
    (_FLOAT, "float", "-+.0123456789"),
    (_SPECIAL_FLOAT, "float", "-+."),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))


def _number(node: yaml.ScalarNode) -> int | float:
    """Read an int or float scalar; raise ValueError if JSON has no such number."""
    text = node.value
    if node.tag.endswith(":int"):
        digits = text.lstrip("+-")
        base = 8 if len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567" else 0
        return int(text, base)
    value = float(text)
    if value - value != 0:
        raise ValueError
    return value


def _construct(loader: Any, node: yaml.Node, name: str, number: int) -> Any:
    """Build a document, counting what aliases expand to."""
    return _DocumentBuilder(loader, name, number).value(node, 0)


class _DocumentBuilder:
    """Makes plain JSON of one document's nodes; refuses what has none, or is too much."""

    def __init__(self, loader: Any, name: str, number: int) -> None:
        self._loader = loader
        self._name = name
        self._number = number
        self._seen: set[int] = set()
        self._repeated = 0

    def value(self, node: yaml.Node, depth: int) -> Any:
        self._count(node, depth)
        if isinstance(node, yaml.MappingNode):
            self._check_tag(node, "tag:yaml.org,2002:map")
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "tag:yaml.org,2002:seq")
            return [self.value(item, depth + 1) for item in node.value]
        self._check_tag(node, *_SCALARS)
        try:
            if isinstance(node, yaml.ScalarNode) and node.tag.endswith((":int", ":float")):
                return _number(node)
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, KeyError, OverflowError):
            text = "a value cannot be read as its type, or has no JSON form"
            raise self._error(text, node) from None

    def _count(self, node: yaml.Node, depth: int) -> None:
        # A node that is met again was reached through an alias: ten lines can be a billion values.
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        if self._repeated > MAX_NODES:
            raise self._error(f"aliases expand to more than {MAX_NODES} values", node)
        if depth > MAX_DEPTH:
            raise self._error(f"is nested deeper than {MAX_DEPTH} levels", node)

    def _check_tag(self, node: yaml.Node, *allowed: str) -> None:
        if node.tag not in allowed:
            raise self._error(f"the tag {node.tag!r} is not allowed", node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merges: list[Any] = []
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                value = self.value(value_node, depth + 1)
                merges += value if isinstance(value, list) else [value]
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error("a key is not a text", key_node)
            key = key_node.value
            if key in result:
                raise self._error(f"the key {key!r} appears twice", key_node)
            result[key] = self.value(value_node, depth + 1)
        for merged in merges:
            if not isinstance(merged, dict):
                raise self._error("<< needs a mapping", node)
            for key, value in merged.items():
                result.setdefault(key, value)
        return result

    def _error(self, text: str, at: yaml.Node) -> ManifestError:
        return ManifestError(f"{_place(self._name, self._number, at.start_mark)}: {text}")


def _place(name: str, number: int, mark: Any) -> str:
    line = f" line {mark.line + 1}" if mark is not None else ""
    return f"{name} document {number}{line}"


def _documents(text: str, name: str) -> Iterator[tuple[int, int, Any]]:
    """Yield (document number, first line, tree) of each document that is not empty."""
    if len(text) > MAX_BYTES:
        raise ManifestError(f"{name} is larger than {MAX_BYTES} bytes")
    number = 1
    try:
        loader = _Loader(text)
        try:
            while loader.check_node():
                node = loader.get_node()
                tree = _construct(loader, node, name, number)
                if tree is not None:
                    yield number, node.start_mark.line + 1, tree
                number += 1
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        place = _place(name, number, error.problem_mark)
        raise ManifestError(f"{place}: {error.problem or 'not YAML'}") from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", None) or "not YAML"
        raise ManifestError(f"{name} document {number}: {reason}") from None
    except RecursionError:
        raise ManifestError(f"{name} document {number}: nested too deeply") from None


def parse_document(text: str, *, name: str = "the text") -> Any:
    """Parse one YAML or JSON document; None if it is empty.

    Raises:
        ManifestError: it is broken, hostile, or not alone.
    """
    found = [tree for _, _, tree in _documents(text, name)]
    if len(found) > 1:
        raise ManifestError(f"{name} holds {len(found)} documents; expected one")
    return found[0] if found else None


def load_manifests(source: Manifest) -> list[dict[str, Any]]:
    """Read objects: a path, a folder, YAML or JSON text, a mapping, or a list of these.

    A text with a line break, or that starts with "{" or "[", is content; any other names
    a file. Items of a ``kind: List`` are taken out of it.

    Returns:
        Fresh, plain dicts, each with apiVersion, kind and metadata.name or generateName.

    Raises:
        ManifestError: what cannot be read or is not a Kubernetes object, with its place.
        BodyRefused: a mapping holds what JSON cannot.
    """
    objects: list[dict[str, Any]] = []
    for place, tree in _trees(source, "the manifest"):
        _collect(tree, place, objects)
    if not objects:
        raise ManifestError(f"{_describe(source)} holds no object")
    return objects


def _trees(source: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(source, Mapping):
        check_whole(source, name)
        yield name, plain(source, name)
    elif isinstance(source, os.PathLike) or (isinstance(source, str) and not _is_content(source)):
        yield from _files(os.fspath(source))
    elif isinstance(source, str):
        for number, line, tree in _documents(source, name):
            yield f"{name} document {number} line {line}", tree
    elif isinstance(source, Sequence) and not isinstance(source, bytes | bytearray):
        for place, item in enumerate(source, 1):
            yield from _trees(item, f"item {place} of the list")
    else:
        raise ManifestError(
            f"{name} is of type {type(source).__name__}; expected a path, YAML or JSON text, "
            "a mapping or a list"
        )


def _is_content(text: str) -> bool:
    return "\n" in text or text.lstrip().startswith(("{", "[")) or ": " in text


def _files(path: str) -> Iterator[tuple[str, Any]]:
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        names = sorted(n for n in os.listdir(path) if n.endswith((".yaml", ".yml", ".json")))
        if not names:
            raise ManifestError(f"the folder {path} holds no .yaml, .yml or .json file")
        for name in names:
            yield from _files(os.path.join(path, name))
        return
    try:
        size = os.path.getsize(path)
        if size > MAX_BYTES:
            raise ManifestError(f"{path} is larger than {MAX_BYTES} bytes")
        with open(path, "rb") as file:
            text = file.read(MAX_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise ManifestError(f"{path!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not UTF-8 text (byte {error.start})") from None
    for number, line, tree in _documents(text, path):
        yield f"{path} document {number} line {line}", tree


def _collect(tree: Any, place: str, objects: list[dict[str, Any]]) -> None:
    if not isinstance(tree, dict):
        raise ManifestError(f"{place}: not an object but a {_json_type(tree)}")
    kind, api_version = tree.get("kind"), tree.get("apiVersion")
    if not isinstance(api_version, str) or not api_version:
        raise ManifestError(f"{place}: apiVersion is missing or not a text")
    if not isinstance(kind, str) or not kind:
        raise ManifestError(f"{place}: kind is missing or not a text")
    if "items" in tree and kind.endswith("List"):
        items = tree["items"]
        if not isinstance(items, list):
            raise ManifestError(f"{place}: items of the {kind} is not a list")
        for number, item in enumerate(items):
            _collect(item, f"{place} items[{number}]", objects)
        return
    metadata = tree.get("metadata")
    if not isinstance(metadata, dict):
        raise ManifestError(f"{place}: {kind} has no metadata")
    name = metadata.get("name") or metadata.get("generateName")
    if not isinstance(name, str):
        found = "is not a text" if name else "is missing"
        raise ManifestError(f"{place}: metadata.name of the {kind} {found}")
    namespace = metadata.get("namespace", "")
    if namespace is not None and not isinstance(namespace, str):
        raise ManifestError(f"{place}: metadata.namespace of {kind} {name} is not a text")
    objects.append(tree)


def _json_type(tree: Any) -> str:
    return {list: "list", str: "text", bool: "boolean"}.get(type(tree), type(tree).__name__)


def _describe(source: Any) -> str:
    if isinstance(source, os.PathLike) or (isinstance(source, str) and not _is_content(source)):
        return os.fspath(source)
    return "the manifest"
