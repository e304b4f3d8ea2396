"""Cuts CEL text into tokens and reads its string and bytes literals.

Thread: pure functions.
Source: the CEL language definition (google/cel-spec:doc/langdef.md).
"""

from __future__ import annotations

import re

#: Words that CEL keeps for itself; no identifier may be one.
RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f]+|//[^\n]*)
  | (?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
  | (?P<int>0x[0-9a-fA-F]+[uU]?|\d+[uU]?)
  | (?P<text>(?:[bB][rR]?|[rR][bB]?)?(?:\"\"\"[\s\S]*?(?<!\\)\"\"\"|'''[\s\S]*?(?<!\\)'''
      |"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*'))
  | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*|`[a-zA-Z0-9_.\-/ ]+`)
  | (?P<op>==|!=|<=|>=|&&|\|\||[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE,
)


_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip


class CelSyntaxError(ValueError):
    """The text is not CEL.

    Attributes:
        offset: where.
    """

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


def tokens(text: str) -> list[tuple[str, str, int]]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            shown = text[at]
            raise CelSyntaxError(at, f"Syntax error: token recognition error at: '{shown}'")
        if match.lastgroup != "space":
            found.append((str(match.lastgroup), match[0], at))
        at = match.end()
    found.append(("end", "", len(text)))
    return found


def literal(text: str, offset: int) -> str | bytes:
    prefix = re.match(r"[bBrR]*", text)
    flags = prefix[0].lower() if prefix else ""
    body = text[len(flags) :]
    width = 3 if body[:3] in ('"""', "'''") else 1
    body = body[width:-width]
    if "r" in flags:
        return body.encode() if "b" in flags else body
    return _unescape(body, offset, as_bytes="b" in flags)


def _unescape(body: str, offset: int, *, as_bytes: bool) -> str | bytes:
    out = bytearray()
    at = 0
    while at < len(body):
        char = body[at]
        if char != "\\":
            out += char.encode()
            at += 1
            continue
        code = body[at + 1 : at + 2]
        digits = {"x": 2, "X": 2, "u": 4, "U": 8}.get(code, 0)
        if code in _ESCAPES:
            out += _ESCAPES[code].encode()
            at += 2
        elif digits or code in "01234567":
            size, base, start = (digits, 16, at + 2) if digits else (3, 8, at + 1)
            try:
                value = int(body[start : start + size], base)
                is_byte = as_bytes and code not in "uU"
                out += bytes([value]) if is_byte else chr(value).encode()
            except (ValueError, OverflowError):
                raise CelSyntaxError(offset, "invalid escape sequence") from None
            at = start + size
        else:
            raise CelSyntaxError(offset, f"Syntax error: unable to unescape string: \\{code}")
    return bytes(out) if as_bytes else out.decode(errors="replace")
