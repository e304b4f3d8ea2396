"""Request bodies: JSON or YAML in, a tree out, with the faults named as Go names them.

Guarantees:
  1. YAML is read by a safe loader without aliases beyond `ALIAS_LIMIT` nodes.
  2. Of repeated keys the last counts; all are reported as "duplicate field".

Thread: pure functions.
Source: k8s.io/apimachinery/pkg/runtime/serializer/json, sigs.k8s.io/json, encoding/json.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from math import isfinite, isinf
from typing import Any

import msgspec
import yaml

from crlab.apiserver import protobuf
from crlab.apiserver.status import StatusError, bad_request, unsupported_media_type
from crlab.apiserver.storage import Tree
from crlab.model.go_text import json_kind

BODY_TYPES = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
ALIAS_LIMIT = 100_000
_META_TYPE = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)


class SyntaxFault(Exception):
    """A body that does not parse; the text is Go's."""


def media_type(header: str) -> str:
    """Return a Content-Type without its parameters."""
    return header.partition(";")[0].strip().lower()


def check_body_type(content_type: str) -> str:
    """Return the media type of an object's body ("" means JSON).

    Raises:
        StatusError: 415 for anything but JSON, YAML and protobuf.
    """
    kind = media_type(content_type) or "application/json"
    if kind not in ("application/json", "application/yaml", protobuf.MEDIA_TYPE):
        raise _unsupported_body()
    return kind


def _unsupported_body() -> StatusError:
    return unsupported_media_type(
        "the body of the request was in an unknown format - accepted media types include: "
        + BODY_TYPES
    )


class _Pairs(dict[str, Any]):
    """A dict that remembers repeated keys while the JSON decoder builds it."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        if len(self) != len(pairs):
            seen: set[str] = set()
            self.repeated = [k for k, _ in pairs if k in seen or seen.add(k)]  # type: ignore[func-returns-value]
        else:
            self.repeated = []


def parse_json(data: bytes) -> tuple[Any, list[str]]:
    """Parse JSON quickly; the slow way is taken only where keys repeat or it does not parse."""
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        tree = _parse_strictly(data)
    if not _may_repeat(data, tree):
        return tree, []
    pairs = json.loads(data, object_pairs_hook=_Pairs)
    found: list[str] = []
    _collect(pairs, "", found)
    return tree, found


def _parse_strictly(data: bytes) -> Any:
    try:
        loaded = json.loads(
            data, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_float
        )
        return _as_json(loaded)
    except RecursionError as error:
        raise SyntaxFault("exceeded max depth") from error
    except ValueError as error:
        raise SyntaxFault(go_syntax_error(data)) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _integer(digits: str) -> int:
    _float(digits)
    return int(digits)


def _float(text: str) -> float:
    value = float(text)
    if isinf(value):
        shown = text if len(text) <= 30 else f"{text[:30]} ..."
        raise SyntaxFault(f"json: cannot unmarshal number {shown} into Go value of type float64")
    return value


def _may_repeat(data: bytes, tree: Any) -> bool:
    """Whether the text has more keys than the tree; colons in strings only cost time."""
    return data.count(b":") != _colons(tree)


def _colons(value: Any) -> int:
    if type(value) is dict:
        total = len(value)
        for key, item in value.items():
            total += key.count(":")
            kind = type(item)
            if kind is str:
                total += item.count(":")
            elif kind is dict or kind is list:
                total += _colons(item)
        return total
    if type(value) is list:
        return sum(_colons(item) for item in value)
    return value.count(":") if type(value) is str else 0


def _collect(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        for key in value.repeated:
            found.append(f"{path}.{key}" if path else key)
        for key, item in value.items():
            _collect(item, f"{path}.{key}" if path else key, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", found)


def go_syntax_error(data: bytes) -> str:
    """Return encoding/json's words for where JSON text stops being JSON."""
    text = data.decode(errors="replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        position = error.pos
        rest = text[position:].lstrip(" \t\r\n")
        if not rest or error.msg.startswith("Unterminated string"):
            return "unexpected end of JSON input"
        char = _go_char(rest[0])
        if error.msg.startswith("Expecting property name"):
            return f"invalid character {char} looking for beginning of object key string"
        if error.msg.startswith("Expecting ':'"):
            return f"invalid character {char} after object key"
        if error.msg.startswith("Expecting ','"):
            where = "array element" if _is_in_array(text[:position]) else "object key:value pair"
            return f"invalid character {char} after {where}"
        if error.msg.startswith("Extra data"):
            return f"invalid character {char} after top-level value"
        if error.msg.startswith("Invalid control"):
            return f"invalid character {char} in string literal"
        return f"invalid character {char} looking for beginning of value"
    return "unexpected end of JSON input"


def _is_in_array(text: str) -> bool:
    depth = []
    is_string = is_escaped = False
    for char in text:
        if is_escaped:
            is_escaped = False
        elif char == "\\":
            is_escaped = is_string
        elif char == '"':
            is_string = not is_string
        elif not is_string and char in "[{":
            depth.append(char)
        elif not is_string and char in "]}" and depth:
            depth.pop()
    return bool(depth) and depth[-1] == "["


def _go_char(char: str) -> str:
    if char == "'":
        return "'\\''"
    if char == '"':
        return "'\"'"
    if char < " " or "\x7f" <= char < "\xa0":
        return f"'\\u{ord(char):04x}'" if char not in "\n\r\t" else repr(char)
    return f"'{char}'"


class _BodyLoader(yaml.SafeLoader):
    """A safe loader that counts what aliases expand to and leaves times as text."""

    nodes = 0

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        self.nodes += 1
        if self.nodes > ALIAS_LIMIT:
            raise yaml.YAMLError("document contains excessive aliasing")
        return super().construct_object(node, deep=deep)


_BodyLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(data: bytes) -> tuple[Any, list[str]]:
    """Parse one YAML document (JSON is YAML, too, and is read the quick way).

    Raises:
        SyntaxFault: it does not parse, or is a bomb.
    """
    if data.lstrip()[:1] == b"{":
        with suppress(SyntaxFault):
            return parse_json(data)
    try:
        loader = _BodyLoader(data)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, []
            found: list[str] = []
            _count(node, [0])
            _find_repeats(node, "", found)
            tree = loader.construct_document(node)
        finally:
            loader.dispose()
        return _as_json(tree), found
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SyntaxFault("error converting YAML to JSON: yaml: " + _yaml_text(error)) from error


def _count(node: Any, total: list[int]) -> None:
    total[0] += 1
    if total[0] > ALIAS_LIMIT:
        raise yaml.YAMLError("document contains excessive aliasing")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _count(key, total)
            _count(value, total)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _count(item, total)


def _find_repeats(node: Any, path: str, found: list[str]) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = str(key.value)
            here = f"{path}.{name}" if path else name
            if name in seen:
                found.append(here)
            seen.add(name)
            _find_repeats(value, here, found)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _find_repeats(item, f"{path}[{index}]", found)


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_as_json(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"json: unsupported value: {value}")
    return value


def _text(text: str) -> str:
    """Return a text with U+FFFD for each half of a character, as Go reads it."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return _text(key) if isinstance(key, str) else str(key)


_LIBYAML = (  # where libyaml, which Go uses, words it differently
    (r"^expected the node content, but found .*", "did not find expected node content"),
    (r"^expected (',' or '[\]}]'), but got .*", r"did not find expected \1"),
    (r"^expected <block end>, but found '-'", "did not find expected key"),
    (r"^expected <block end>, but found .*", "did not find expected key"),
    (r"^mapping values are not allowed here", "mapping values are not allowed in this context"),
    (r"^found character .* that cannot start", "found character that cannot start"),
)


def _yaml_text(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    for pattern, words in _LIBYAML:
        problem = re.sub(pattern, words, problem)
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)


def read_object(data: bytes | None, content_type: str, kind: str) -> tuple[Tree, list[str]]:
    """Read the body of a create or update: a JSON object.

    Returns:
        The tree and the paths of repeated keys.

    Raises:
        StatusError: 400 or 415.
    """
    media = check_body_type(content_type)
    raw = data or b""
    if media == protobuf.MEDIA_TYPE:
        return _read_protobuf(raw, kind), []
    try:
        tree, repeated = parse_yaml(raw) if media.endswith("yaml") else parse_json(raw)
    except SyntaxFault as error:
        raise _unrecognized(
            kind, f"couldn't get version/kind; json parse error: {error}", raw
        ) from error
    if not isinstance(tree, dict):
        if tree is None:
            return {}, repeated
        text = (
            "couldn't get version/kind; json parse error: json: cannot unmarshal "
            f"{json_kind(tree)} into Go value of type {_META_TYPE}"
        )
        raise _unrecognized(kind, text, raw)
    for name in ("apiVersion", "kind"):
        if tree.get(name) is not None and not isinstance(tree[name], str):
            found = json_kind(tree[name])
            text = (
                f"couldn't get version/kind; json parse error: json: cannot unmarshal {found} "
                f"into Go struct field .{name} of type string"
            )
            raise _unrecognized(kind, text, raw)
    return tree, repeated


def _read_protobuf(raw: bytes, kind: str) -> Tree:
    try:
        return protobuf.decode_object(raw)
    except protobuf.UnknownMessage as error:
        raise _unsupported_body() from error
    except protobuf.ProtobufError as error:
        raise _unrecognized(kind, str(error), raw) from error


def _unrecognized(kind: str, why: str, raw: bytes) -> StatusError:
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind}): {why} ({excerpt(raw)})"
    )


def missing_kind(kind: str, raw: bytes) -> StatusError:
    """400: a custom resource's body does not say its kind."""
    text = raw.decode(errors="replace")
    return _unrecognized(kind, f"Object 'Kind' is missing in '{text}'", raw)


def excerpt(raw: bytes) -> str:
    """Return the start of a body as the server quotes it: text, or hexadecimal."""
    if not raw:
        return "<empty>"
    text = raw.decode(errors="replace")
    if re.match(r"\s*\{", text):
        return text if len(raw) <= 30 else text[:30] + " ..."
    return raw.hex() if len(raw) <= 30 else raw[:30].hex() + " ..."
