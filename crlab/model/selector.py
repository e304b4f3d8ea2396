"""Label (and, re-exported, field) selectors: parsed, matched and written as the API server does.

Both sides use this: the client checks a selector before it is sent, the embedded server
answers with the same error texts. The parser is a hand-written scanner, linear in the
text; no part of a selector ever becomes a regular expression.

Thread: pure functions and immutable values.
Source: kubernetes/apimachinery:pkg/labels/selector.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crlab.errors import SelectorError
from crlab.model.field_selector import FieldSelector, FieldTerm, parse_field_selector
from crlab.model.name import label_key, label_value

__all__ = [
    "FieldSelector",
    "FieldTerm",
    "LabelRequirement",
    "LabelSelector",
    "format_labels",
    "label_selector_from_object",
    "parse_field_selector",
    "parse_label_selector",
    "requirement",
]

_SPACES = " \t\r\n"
_SYMBOLS = "=!(),<>"
_OPERATORS = {"=", "==", "!=", "in", "notin", ">", "<"}
_WORDS = {*_OPERATORS, "!", "(", ")", ","}
_EXPECTED_OPERATORS = "in, notin, =, ==, !=, gt, lt"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class LabelRequirement:
    """One term of a label selector.

    Attributes:
        operator: "=", "==", "!=", "in", "notin", "exists", "!", ">" or "<".
        values: sorted, without repeats.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels satisfies the term."""
        present = self.key in labels
        match self.operator:
            case "exists":
                return present
            case "!":
                return not present
            case "=" | "==" | "in":
                return present and labels[self.key] in self.values
            case "!=" | "notin":
                return not present or labels[self.key] not in self.values
        number = _int64(labels[self.key]) if present else None
        if number is None:
            return False
        bound = int(self.values[0])
        return number > bound if self.operator == ">" else number < bound

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        if self.operator in ("in", "notin"):
            return f"{self.key} {self.operator} ({','.join(self.values)})"
        return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Terms that must all hold; without terms it matches everything."""

    requirements: tuple[LabelRequirement, ...] = ()

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        present = labels if isinstance(labels, Mapping) else {}
        return all(term.matches(present) for term in self.requirements)

    @property
    def is_everything(self) -> bool:
        """Whether every object is selected."""
        return not self.requirements

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def _int64(text: str) -> int | None:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19:
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _words(text: str) -> list[str]:
    """Cut a label selector into symbols and identifiers; "" marks its end."""
    words = []
    at, size = 0, len(text)
    while at < size:
        char = text[at]
        if char in _SPACES:
            at += 1
        elif char in _SYMBOLS:
            two = text[at : at + 2]
            word = two if two in ("==", "!=") else char
            words.append(word)
            at += len(word)
        else:
            start = at
            while at < size and text[at] not in _SPACES and text[at] not in _SYMBOLS:
                at += 1
            words.append(text[start:at])
    words.append("")
    return words


class _LabelParser:
    """Recursive descent over the words, with the server's messages."""

    def __init__(self, text: str) -> None:
        self._words = _words(text)
        self._at = 0

    def _look(self) -> str:
        return self._words[self._at]

    def _take(self) -> str:
        word = self._words[self._at]
        if word:
            self._at += 1
        return word

    @staticmethod
    def _is_identifier(word: str) -> bool:
        return (word not in _WORDS and word != "") or word in ("in", "notin")

    def parse(self) -> list[LabelRequirement]:
        terms: list[LabelRequirement] = []
        while word := self._look():
            if word != "!" and not self._is_identifier(word):
                break
            try:
                terms.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            word = self._take()
            if not word:
                return terms
            if word != ",":
                raise SelectorError(f"found '{word}', expected: ',' or 'end of string'")
            after = self._look()
            if after != "!" and not self._is_identifier(after):
                raise SelectorError(f"found '{after}', expected: identifier after ','")
        if word:
            raise SelectorError(f"found '{word}', expected: !, identifier, or 'end of string'")
        return terms

    def _requirement(self) -> LabelRequirement:
        operator = ""
        key = self._take()
        if key == "!":
            operator = "!"
            key = self._take()
        if not self._is_identifier(key):
            raise SelectorError(f"found '{key}', expected: identifier")
        if faults := label_key(key):
            raise SelectorError(f"<nil>: Invalid value: {_quoted(key)}: {'; '.join(faults)}")
        if self._look() in ("", ","):
            return LabelRequirement(key, operator or "exists")
        if operator:
            return LabelRequirement(key, operator)
        operator = self._take()
        if operator not in _OPERATORS:
            raise SelectorError(f"found '{operator}', expected: {_EXPECTED_OPERATORS}")
        values = self._values() if operator in ("in", "notin") else {self._value()}
        return requirement(key, operator, values)

    def _value(self) -> str:
        if self._look() in ("", ","):
            return ""
        word = self._take()
        if not self._is_identifier(word):
            raise SelectorError(f"found '{word}', expected: identifier")
        return word

    def _values(self) -> set[str]:
        word = self._take()
        if word != "(":
            raise SelectorError(f"found '{word}' expected: '('")
        word = self._look()
        if word == ")":
            self._take()
            return {""}
        if word != "," and not self._is_identifier(word):
            raise SelectorError(f"found '{word}', expected: ',', ')' or identifier")
        values = self._identifiers()
        self._take()
        return values

    def _identifiers(self) -> set[str]:
        values: set[str] = set()
        while True:
            word = self._take()
            if word == ",":
                if not values:
                    values.add("")
                after = self._look()
                if after == ")":
                    values.add("")
                    return values
                if after == ",":
                    self._take()
                    values.add("")
            elif self._is_identifier(word):
                values.add(word)
                after = self._look()
                if after == ")":
                    return values
                if after != ",":
                    raise SelectorError(f"found '{after}', expected: ',' or ')'")
            else:
                raise SelectorError(f"found '{word}', expected: ',', or identifier")


def requirement(key: str, operator: str, values: Iterable[str] = ()) -> LabelRequirement:
    """Make a checked term.

    Raises:
        SelectorError: the key, a value, or their number does not fit the operator.
    """
    ordered = tuple(sorted(set(values)))
    faults = [f"key: Invalid value: {_quoted(key)}: {fault}" for fault in label_key(key)]
    if operator in (">", "<") and _int64(ordered[0] if ordered else "") is None:
        shown = _quoted(ordered[0] if ordered else "")
        faults.append(
            f"values[0]: Invalid value: {shown}: for 'Gt', 'Lt' operators, the value must be "
            "an integer"
        )
    elif operator in ("in", "notin") and not ordered:
        faults.append(
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
        )
    for place, value in enumerate(ordered):
        if wrong := label_value(value):
            faults.append(
                f"values[{place}][{key}]: Invalid value: {_quoted(value)}: {'; '.join(wrong)}"
            )
    if faults:
        raise SelectorError(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    return LabelRequirement(key, operator, ordered)


def parse_label_selector(text: str) -> LabelSelector:
    """Parse ``a=b,c in (d,e),!f``; "" selects everything.

    Raises:
        SelectorError: with the API server's sentence.
    """
    return LabelSelector(tuple(sorted(_LabelParser(text).parse(), key=lambda term: term.key)))


_EXPRESSION_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def label_selector_from_object(selector: Mapping[str, Any] | None) -> LabelSelector | None:
    """Read a meta/v1 LabelSelector (``matchLabels``, ``matchExpressions``).

    Returns:
        None for None: an absent selector selects nothing, an empty one everything.

    Raises:
        SelectorError: an operator, key or value is not allowed.
    """
    if selector is None:
        return None
    terms = [requirement(k, "=", [v]) for k, v in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _EXPRESSION_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(
                f"{_quoted(str(expression.get('operator')))} is not a valid label selector operator"
            )
        terms.append(requirement(expression["key"], operator, expression.get("values") or ()))
    return LabelSelector(tuple(sorted(terms, key=lambda term: term.key)))


def format_labels(labels: Mapping[str, str]) -> str:
    """Return the selector text that asks for exactly these labels."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
