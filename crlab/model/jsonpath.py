r"""Kubernetes' JSONPath: compiled once, asked often.

The dialect of printer columns, selectable fields and ``kubectl -o jsonpath``:
``.spec.image``, ``{.spec.image}``, ``$.a``, ``['a.b']``, ``.a\.b``, ``[0]``, ``[-1]``,
``[0:3]``, ``[0,2]``, ``[*]``, ``.*``, ``..name`` and filters
``[?(@.type=="Ready")]`` (== != < <= > >=, or just ``@.x`` for "is there").

Thread: a compiled path is immutable.
Source: k8s.io/client-go/util/jsonpath (parser.go, jsonpath.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from crlab.errors import JSONPathError

Step = Callable[[list[Any]], list[Any]]
_NAME = re.compile(r"(?:[^\s.\[\]{}()'\"*,:?@$\\=<>!]|\\.)+")
_INTEGER = re.compile(r"-?\d+")
_OPERATOR = re.compile(r"==|!=|<=|>=|<|>")
_MAX_LENGTH = 4096


class JSONPath:
    """A compiled path.

    Attributes:
        text: as it was written.
        fields: the field names, if the path is nothing but fields; else None.
        prefix: the leading field names, before the first index, filter or wildcard.
        is_definite: whether it can give one value at most.
    """

    __slots__ = ("_steps", "fields", "is_definite", "prefix", "text")

    def __init__(
        self,
        text: str,
        steps: Sequence[Step],
        fields: tuple[str, ...] | None,
        prefix: tuple[str, ...],
        definite: bool,
    ) -> None:
        self.text = text
        self._steps = tuple(steps)
        self.fields = fields
        self.prefix = prefix
        self.is_definite = definite

    def find(self, obj: Any) -> list[Any]:
        """Return every value the path leads to, in document order; [] if none."""
        if self.fields is not None:
            for name in self.fields:
                if not isinstance(obj, Mapping) or name not in obj:
                    return []
                obj = obj[name]
            return [obj]
        found = [obj]
        for step in self._steps:
            found = step(found)
            if not found:
                break
        return found

    def below(self, consumed: int) -> Callable[[Any], list[Any]]:
        """Return the path without its first `consumed` field names, as a function."""
        steps = self._steps[consumed:]

        def find(value: Any) -> list[Any]:
            found = [value]
            for step in steps:
                found = step(found)
            return found

        return find

    def first(self, obj: Any, default: Any = None) -> Any:
        """Return the first value, as printer columns do; `default` if there is none."""
        found = self.find(obj)
        return found[0] if found else default

    def __repr__(self) -> str:
        return f"JSONPath({self.text!r})"


@lru_cache(maxsize=2048)
def compile_path(text: str) -> JSONPath:
    """Compile a path; the same text gives the same object.

    Raises:
        JSONPathError: it does not parse; has `path`, `position` and `expected`.
    """
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or not text.strip():
            raise JSONPathError(
                "an empty JSONPath; expected something like .spec.image",
                path=text,
                position=0,
                expected=".field",
            )
        if len(text) > _MAX_LENGTH:
            raise JSONPathError(
                f"a JSONPath of {len(text)} characters; the limit is {_MAX_LENGTH}",
                path=text[:80],
                position=_MAX_LENGTH,
                expected="a shorter path",
            )
        self.text = text
        self.at = 0
        self.end = len(text)

    def fail(self, expected: str) -> JSONPathError:
        found = repr(self.text[self.at]) if self.at < self.end else "the end"
        shown = self.text if len(self.text) <= 120 else self.text[:120] + "…"
        return JSONPathError(
            f"JSONPath {shown!r}: expected {expected} at position {self.at}, found {found}",
            path=self.text,
            position=self.at,
            expected=expected,
        )

    def peek(self, literal: str) -> bool:
        return self.text.startswith(literal, self.at, self.end)

    def take(self, literal: str) -> bool:
        if self.peek(literal):
            self.at += len(literal)
            return True
        return False

    def need(self, literal: str) -> None:
        if not self.take(literal):
            raise self.fail(repr(literal))

    def skip(self) -> None:
        while self.at < self.end and self.text[self.at].isspace():
            self.at += 1

    def parse(self) -> JSONPath:
        self.skip()
        self.end = len(self.text.rstrip())
        if self.take("{"):
            if self.text[self.end - 1] != "}":
                self.at = self.end
                raise self.fail("'}'")
            self.end -= 1
            self.skip()
        self.take("$") or self.take("@")
        steps, names, is_definite = self.steps(start=True)
        if self.at < self.end:
            raise self.fail("'.' or '['")
        plain: list[str] = []
        for name in names:
            if name is None:
                break
            plain.append(name)
        prefix = tuple(plain)
        fields = prefix if len(prefix) == len(steps) else None
        return JSONPath(self.text, steps, fields, prefix, is_definite)

    def steps(
        self, *, start: bool = False, in_filter: bool = False
    ) -> tuple[list[Step], list[str | None], bool]:
        steps: list[Step] = []
        names: list[str | None] = []
        is_definite = True
        while self.at < self.end:
            if self.take(".."):
                is_definite = False
                steps.append(_descend)
                names.append(None)
                if self.peek("["):
                    continue
                step, name = self.name_or_star()
            elif self.take("."):
                if self.at == self.end and not steps and not in_filter:
                    break  # "." alone: the object itself
                if self.peek("["):
                    continue
                step, name = self.name_or_star()
            elif self.peek("["):
                step, name, one = self.bracket()
                is_definite = is_definite and one
            elif start and not steps and _NAME.match(self.text, self.at, self.end):
                step, name = self.name_or_star()  # "spec.image": the dot may be left out
            else:
                break
            if name is None and step is _every:
                is_definite = False
            steps.append(step)
            names.append(name)
        return steps, names, is_definite

    def name_or_star(self) -> tuple[Step, str | None]:
        if self.take("*"):
            return _every, None
        match = _NAME.match(self.text, self.at, self.end)
        if match is None:
            raise self.fail("a field name")
        self.at = match.end()
        name = re.sub(r"\\(.)", r"\1", match.group())
        return _field(name), name

    def bracket(self) -> tuple[Step, str | None, bool]:
        self.need("[")
        self.skip()
        if self.take("*"):
            self.skip()
            self.need("]")
            return _every, None, False
        if self.take("?"):
            self.skip()
            self.need("(")
            step = self.filter()
            self.need(")")
            self.skip()
            self.need("]")
            return step, None, False
        parts: list[Step] = []
        names: list[str | None] = []
        one = True
        while True:
            self.skip()
            step, name, single = self.subscript()
            parts.append(step)
            names.append(name)
            one = one and single
            self.skip()
            if not self.take(","):
                break
        self.need("]")
        if len(parts) == 1:
            return parts[0], names[0], one
        return _union(parts), None, False

    def subscript(self) -> tuple[Step, str | None, bool]:
        if self.peek("'") or self.peek('"'):
            name = self.quoted()
            return _field(name), name, True
        numbers: list[int | None] = []
        while True:
            self.skip()
            match = _INTEGER.match(self.text, self.at, self.end)
            if match is not None and len(match.group()) > 18:
                raise self.fail("a smaller index")
            numbers.append(int(match.group()) if match else None)
            self.at = match.end() if match else self.at
            self.skip()
            if len(numbers) == 3 or not self.take(":"):
                break
        if len(numbers) == 1:
            if numbers[0] is None:
                raise self.fail("an index, a quoted name, '*' or '?('")
            return _index(numbers[0]), None, True
        step = numbers[2] if len(numbers) == 3 else None
        if step is not None and step <= 0:
            raise self.fail("a step of 1 or more before here")
        return _slice(slice(numbers[0], numbers[1], step)), None, False

    def quoted(self) -> str:
        quote = self.text[self.at]
        self.at += 1
        out: list[str] = []
        while self.at < self.end:
            char = self.text[self.at]
            self.at += 1
            if char == quote:
                return "".join(out)
            if char == "\\" and self.at < self.end:
                char = self.text[self.at]
                self.at += 1
            out.append(char)
        raise self.fail(f"the closing {quote}")

    def filter(self) -> Step:
        left = self.operand()
        self.skip()
        match = _OPERATOR.match(self.text, self.at, self.end)
        if match is None:
            return lambda found: [x for item in found for x in _items(item) if left(x)]
        self.at = match.end()
        operator = match.group()
        right = self.operand()
        self.skip()

        def keep(item: Any) -> bool:
            a, b = left(item), right(item)
            return bool(a) and bool(b) and _compare(operator, a[0], b[0])

        return lambda found: [x for item in found for x in _items(item) if keep(x)]

    def operand(self) -> Callable[[Any], list[Any]]:
        self.skip()
        if self.take("@") or self.take("$"):
            steps, _, _ = self.steps(in_filter=True)

            def walk(item: Any) -> list[Any]:
                found = [item]
                for step in steps:
                    found = step(found)
                return found

            return walk
        if self.peek("'") or self.peek('"'):
            text = self.quoted()
            return lambda item: [text]
        match = re.compile(r"-?\d+(\.\d+)?|true|false|null").match(self.text, self.at, self.end)
        if match is None:
            raise self.fail("@.field, a quoted string, a number or a boolean")
        self.at = match.end()
        word = match.group()
        words: dict[str, Any] = {"true": True, "false": False, "null": None}
        value = words[word] if word in words else (float(word) if "." in word else int(word[:300]))
        return lambda item: [value]


def _field(name: str) -> Step:
    def step(found: list[Any]) -> list[Any]:
        return [x[name] for x in found if isinstance(x, Mapping) and name in x]

    return step


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if _is_list(value) else ()


def _every(found: list[Any]) -> list[Any]:
    return [x for item in found for x in _items(item)]


def _descend(found: list[Any]) -> list[Any]:
    def walk(root: Any) -> Iterator[Any]:
        stack = [root]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(_items(node)))

    return [x for item in found for x in walk(item)]


def _index(place: int) -> Step:
    def step(found: list[Any]) -> list[Any]:
        return [x[place] for x in found if _is_list(x) and -len(x) <= place < len(x)]

    return step


def _slice(part: slice) -> Step:
    def step(found: list[Any]) -> list[Any]:
        return [y for x in found if _is_list(x) for y in list(x)[part]]

    return step


def _union(parts: Sequence[Step]) -> Step:
    return lambda found: [x for item in found for part in parts for x in part([item])]


def _compare(operator: str, a: Any, b: Any) -> bool:
    if operator == "==":
        return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
    if operator == "!=":
        return not _compare("==", a, b)
    if isinstance(a, bool) or isinstance(b, bool):
        return False
    numeric = isinstance(a, int | float) and isinstance(b, int | float)
    if not numeric and not (isinstance(a, str) and isinstance(b, str)):
        return False
    return bool(
        {"<": lambda: a < b, "<=": lambda: a <= b, ">": lambda: a > b, ">=": lambda: a >= b}[
            operator
        ]()
    )
