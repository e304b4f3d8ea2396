"""Field selectors: parsed, matched and written as the API server does.

Thread: pure functions and immutable values.
Source: kubernetes/apimachinery:pkg/fields/selector.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crlab.errors import SelectorError


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term of a field selector; `operator` is "=" or "!="."""

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
        return f"{self.field}{self.operator}{escaped}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Terms that must all hold; without terms it matches everything."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with these field values is selected; an absent field is ""."""
        return all(
            (fields.get(term.field, "") == term.value) == (term.operator == "=")
            for term in self.terms
        )

    @property
    def is_everything(self) -> bool:
        """Whether every object is selected."""
        return not self.terms

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields it asks about, in its order."""
        return tuple(term.field for term in self.terms)

    def exact(self, field: str) -> str | None:
        """Return the value that `field` must have, None if it is not pinned."""
        for term in self.terms:
            if term.field == field and term.operator == "=":
                return term.value
        return None

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


def _field_parts(text: str) -> list[str]:
    """Split at commas that no backslash escapes."""
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == ",":
            parts.append(text[start:at])
            start = at + 1
        at += 1
    parts.append(text[start:])
    return parts


def _field_value(text: str) -> str:
    out, at = [], 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
            escaped = text[at : at + 1]
            if escaped not in ("\\", ",", "="):
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{escaped}")
            out.append(escaped)
        elif char in ",=":
            raise SelectorError(
                f"invalid field selector: unescaped character in value: {ord(char)}"
            )
        else:
            out.append(char)
        at += 1
    return "".join(out)


def parse_field_selector(text: str) -> FieldSelector:
    """Parse ``metadata.name=a,spec.color!=red``; "" selects everything.

    Which fields a resource has is the server's to say.

    Raises:
        SelectorError: with the API server's sentence.
    """
    terms = []
    for part in sorted(_field_parts(text)):
        if not part:
            continue
        at = part.find("=")
        if at < 0:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        if at and part[at - 1] == "!":
            terms.append(FieldTerm(part[: at - 1], "!=", _field_value(part[at + 1 :])))
        else:
            after = at + 2 if part[at : at + 2] == "==" else at + 1
            terms.append(FieldTerm(part[:at], "=", _field_value(part[after:])))
    return FieldSelector(tuple(terms))
