"""Recorded answers of a real API server: looking into them, making them comparable.

The scenarios in tests/contract/transcripts were recorded on kube-apiserver 1.36.2. What
differs from run to run (uids, times, revisions) was replaced when they were recorded; the
same is done here with the answers of the server under test, so that the rest can be
compared literally.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TRANSCRIPTS = Path(__file__).parents[1] / "contract" / "transcripts"
ABSENT = "<absent>"

_STEP = re.compile(r'\.?([^.\[\]]+)|\[(\d+)\]|\[(\*)\]|\["([^"]+)"\]|\[([^=\]]+)=([^\]]*)\]')
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_AGE = re.compile(r"(?=\d)(\d+y)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_TEXT_RULES = (
    (re.compile(r"(too old resource version: )\d+ \(\d+\)"), r"\1<RV> (<RV>)"),
    (re.compile(r"(Too large resource version: )(\d+), current: \d+"), r"\1\2, current: <RV>"),
    (re.compile(r"(ResourceVersion in (?:the precondition|record) )\(\d+\)"), r"\1(<RV>)"),
    (re.compile(r"\bselfType\d+"), "selfType<N>"),
    (re.compile(r"\?hash=[0-9A-Fa-f]+"), "?hash=<HASH>"),
    (re.compile(r'(Invalid value: )"\{\\"apiVersion\\":.*\}(\\n)?": '), r'\1"<OBJECT>": '),
)
_IGNORED = frozenset({"storageVersionHash", "serverAddressByClientCIDRs", "selfLink"})
_UNORDERED = (("resources", "name"), ("resources", "resource"), ("subresources", "subresource"))


# --- paths -------------------------------------------------------------------------------------


def look_up(value: Any, path: str) -> Any:
    """Return what is at `a.b`, `a[0]`, `a[key=value]`, `["dotted.key"]`, `a[*].b`, or ABSENT."""
    steps = list(_STEP.finditer(path))
    assert "".join(step[0] for step in steps) == path, f"bad path: {path}"
    for step in steps:
        key, index, star, quoted, field, wanted = step.groups()
        if star:
            rest = path[step.end() :].removeprefix(".")
            return [look_up(item, rest) for item in value] if isinstance(value, list) else ABSENT
        if index is not None:
            found = value[int(index) :][:1] if isinstance(value, list) else []
        elif field is not None:
            items = value if isinstance(value, list) else []
            found = [item for item in items if str(look_up(item, field)) == wanted]
        else:
            name = quoted if key is None else key
            found = [value[name]] if isinstance(value, dict) and name in value else []
        if not found:
            return ABSENT
        value = found[0]
    return value


def fill(value: Any, variables: dict[str, Any]) -> Any:
    """Replace `{{name}}` by saved values; a text that is one placeholder takes its type."""
    if isinstance(value, dict):
        if "$repeat" in value:
            return value["$repeat"] * value["times"]
        return {fill(key, variables): fill(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, variables) for item in value]
    if not isinstance(value, str):
        return value
    if whole := re.fullmatch(r"\{\{(\w+)\}\}", value):
        return variables[whole[1]]
    return re.sub(r"\{\{(\w+)\}\}", lambda match: str(variables[match[1]]), value)


# --- first pass: marks -------------------------------------------------------------------------


class Rv(NamedTuple):
    """A resourceVersion: an object's (exact), or a collection's or bookmark's (a floor)."""

    number: int
    is_floor: bool


def mark(value: Any, keep: frozenset[str], *, is_bookmark: bool = False) -> Any:
    """Drop what is ignored, sort what has no order, mark resourceVersions."""
    if isinstance(value, list):
        return [mark(item, keep, is_bookmark=is_bookmark) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"type", "object"}:
        inside = mark(value["object"], keep, is_bookmark=value["type"] == "BOOKMARK")
        return {"type": value["type"], "object": inside}
    is_floor = is_bookmark or isinstance(value.get("items", value.get("rows")), list)
    found = {}
    for key, item in _ordered(value).items():
        if key in _IGNORED:
            continue
        if key == "metadata":
            found[key] = _mark_metadata(item, keep, is_floor)
        elif key == "cells" and isinstance(item, list):
            found[key] = [_mark_age(cell) for cell in item]
        else:
            found[key] = mark(item, keep, is_bookmark=is_bookmark)
    return found


def _mark_age(cell: Any) -> Any:
    return "<AGE>" if isinstance(cell, str) and _AGE.fullmatch(cell) else cell


def _ordered(value: dict[str, Any]) -> dict[str, Any]:
    for key, name in _UNORDERED:
        rows = value.get(key)
        if isinstance(rows, list) and all(isinstance(r, dict) and name in r for r in rows):
            value = {**value, key: sorted(rows, key=lambda row: row[name])}
    details: Any = value.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    if value.get("kind") != "Status" or not isinstance(causes, list):
        return value
    causes = sorted(causes, key=lambda cause: (cause.get("field", ""), cause.get("message", "")))
    value = {**value, "details": {**details, "causes": causes}}
    texts = list(dict.fromkeys(f"{c.get('field')}: {c.get('message')}" for c in causes))
    head, bracket, tail = str(value.get("message")).partition(" is invalid: [")
    if bracket and len(", ".join(texts)) + 1 == len(tail) and all(t in tail for t in texts):
        value["message"] = f"{head}{bracket}{', '.join(texts)}]"
    return value


def _mark_metadata(metadata: Any, keep: frozenset[str], is_floor: bool) -> Any:
    if not isinstance(metadata, dict):
        return mark(metadata, keep)
    found: dict[str, Any] = {}
    for key, item in metadata.items():
        if key == "resourceVersion" and isinstance(item, str) and item.isdigit() and item != "0":
            found[key] = Rv(int(item), is_floor)
        elif key == "continue" and item:
            found[key] = "<CONTINUE>"
        elif key == "managedFields":
            if "managedFields" in keep:
                found[key] = sorted(mark(item, keep), key=_manager_order)
        elif key not in _IGNORED:
            found[key] = mark(item, keep)
    return found


def _manager_order(entry: dict[str, Any]) -> list[str]:
    return [str(entry.get(k, "")) for k in ("manager", "operation", "subresource", "apiVersion")]


# --- second pass: numbers ----------------------------------------------------------------------


class Resolver:
    """Numbers revisions, uids, generated names and ETags over all answers of a scenario."""

    def __init__(self, answers: list[Any], literals: str) -> None:
        self._literals = literals
        self._uids: dict[str, str] = {}
        self._etags: dict[str, str] = {}
        self._names: dict[str, str] = {}
        bases = {base[:58] for base in re.findall(r'"generateName": "([^"]+)"', literals)}
        listed = "|".join(map(re.escape, sorted(bases, key=len, reverse=True)))
        self._generated = re.compile(f"({listed})[{_SUFFIX}]{{5}}(?![a-z0-9])") if bases else None
        self._ranks = sorted({rv.number for rv in _marks(answers) if not rv.is_floor})

    def resolve(self, value: Any) -> Any:
        """Return a marked answer in the form of the recordings."""
        if isinstance(value, Rv):
            rank = bisect.bisect_right(self._ranks, value.number)
            return f"R{rank}+" if value.is_floor else f"R{rank}"
        if isinstance(value, dict):
            return {self._text(key): self._entry(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _entry(self, key: str, item: Any) -> Any:
        if key == "etag":
            return self._etags.setdefault(item, f"E{len(self._etags) + 1}")
        return self.resolve(item)

    def _text(self, text: str) -> str:
        if self._generated:
            text = self._generated.sub(self._name, text)
        text = _TIME.sub(self._time, _UUID.sub(self._uid, text))
        for pattern, replacement in _TEXT_RULES:
            text = pattern.sub(replacement, text)
        return text

    def _name(self, match: re.Match[str]) -> str:
        return self._names.setdefault(match[0], f"{match[1]}<S{len(self._names) + 1}>")

    def _uid(self, match: re.Match[str]) -> str:
        if match[0] in self._literals:
            return match[0]
        return self._uids.setdefault(match[0], f"U{len(self._uids) + 1}")

    def _time(self, match: re.Match[str]) -> str:
        if match[0] in self._literals:
            return match[0]
        return "T" if match[1] is None else f"T.{len(match[1]) - 1}"


def _marks(value: Any) -> Iterator[Rv]:
    if isinstance(value, Rv):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _marks(item)


# --- comparing ---------------------------------------------------------------------------------


def differences(expected: Any, got: Any, path: str = "") -> list[str]:
    """Return every difference as text; order of keys does not matter, order of lists does."""
    if isinstance(expected, dict) and isinstance(got, dict):
        found = []
        for key in sorted(expected.keys() | got.keys()):
            here = f"{path}.{key}" if path else key
            found += differences(expected.get(key, ABSENT), got.get(key, ABSENT), here)
        return found
    if isinstance(expected, list) and isinstance(got, list):
        found = []
        for index in range(max(len(expected), len(got))):
            left = expected[index] if index < len(expected) else ABSENT
            right = got[index] if index < len(got) else ABSENT
            found += differences(left, right, f"{path}[{index}]")
        return found
    if expected == got and isinstance(expected, bool) == isinstance(got, bool):
        return []
    return [f"{path}\n    expected {_shown(expected)}\n    got      {_shown(got)}"]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
