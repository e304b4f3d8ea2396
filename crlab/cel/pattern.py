"""Go's regular expressions (RE2) for Python's `re`.

Guarantees:
  1. What Go refuses is refused: lookaround, back-references, unknown classes.
  2. Classes are ASCII, ``$`` without (?m) matches only at the very end, flags in the middle
     hold to the end of their group, in every alternative.

Thread: pure functions.
Source: Go regexp/syntax.
"""

from __future__ import annotations

import re

_POSIX_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\t\n\v\f\r ",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
    "punct": r"!-/:-@\[-`{-~",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "print": " -~",
    "graph": "!-~",
    "ascii": r"\x00-\x7f",
}
_LETTERS = {"L": r"[^\W\d_]", "N": r"\d", "Nd": r"\d", "Lu": "[A-Z]", "Ll": "[a-z]"}
_PERL = ("(?=", "(?!", "(?<=", "(?<!", "(?>", "(?#")
_FLAGS = re.compile(r"\(\?([imsU]*(?:-[imsU]+)?)([):])")


class PatternError(ValueError):
    """A regular expression that Go does not accept; str() is Go's sentence."""


def _refuse(problem: str, shown: str) -> PatternError:
    return PatternError(f"error parsing regexp: {problem}: `{shown}`")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a Go pattern.

    Raises:
        PatternError: Go would refuse it too.
    """
    try:
        return re.compile(_Translation(pattern).text(), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise _refuse(str(error), pattern) from error


class _Translation:
    """One pattern on its way; `_groups` holds the flags opened in each open group."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._out: list[str] = []
        self._groups: list[list[str]] = [[]]

    def text(self) -> str:
        """Return the pattern for `re`."""
        while self._at < len(self._pattern):
            char = self._pattern[self._at]
            if char == "\\":
                self._escape()
            elif char == "[":
                self._class()
            elif char == "(":
                self._open()
            elif char in ")|":
                self._close(char)
            else:
                self._put(r"\Z" if char == "$" and not self._is_multiline else char)
        self._put(")" * len(self._groups[0]), 0)
        return "".join(self._out)

    @property
    def _is_multiline(self) -> bool:
        return any("m" in flags.partition("-")[0] for group in self._groups for flags in group)

    def _put(self, text: str, consumed: int = 1) -> None:
        self._out.append(text)
        self._at += consumed

    def _open(self) -> None:
        rest = self._pattern[self._at :]
        for opening in _PERL:
            if rest.startswith(opening):
                raise _refuse("invalid or unsupported Perl syntax", opening)
        flags = _FLAGS.match(rest)
        if flags is None:
            self._groups.append([])
            named = rest.startswith("(?<")
            self._put("(?P<" if named else "(", 3 if named else 1)
            return
        if "U" in flags[1]:
            raise _refuse("invalid or unsupported Perl syntax", "(?U")
        opened = f"(?{flags[1]}:"
        if flags[2] == ":":
            self._groups.append([])
        else:
            self._groups[-1].append(flags[1])
        self._put(opened, len(flags[0]))

    def _close(self, char: str) -> None:
        opened = self._groups[-1]
        ends = ")" * len(opened)
        if char == "|":
            self._put(ends + "|" + "".join(f"(?{flags}:" for flags in opened))
            return
        if len(self._groups) == 1:
            raise _refuse("unexpected )", self._pattern)
        self._groups.pop()
        self._put(ends + ")")

    def _class(self) -> None:
        pattern, at = self._pattern, self._at + 1
        out = ["["]
        if pattern[at : at + 1] == "^":
            out.append("^")
            at += 1
        is_first = True
        while at < len(pattern) and (pattern[at] != "]" or is_first):
            char = pattern[at]
            if pattern.startswith("[:", at) and ":]" in pattern[at:]:
                end = pattern.index(":]", at) + 2
                out.append(self._posix(pattern[at:end]))
                at = end
            elif char == "\\":
                out.append(pattern[at : at + 2])
                at += 2
            else:
                out.append(f"\\{char}" if char in "[]" else char)
                at += 1
            is_first = False
        if at >= len(pattern):
            raise _refuse("missing closing ]", pattern[self._at :])
        self._put("".join(out) + "]", at + 1 - self._at)

    def _posix(self, shown: str) -> str:
        found = _POSIX_CLASSES.get(shown[2:-2])
        if found is None:
            raise _refuse("invalid character class range", shown)
        return found

    def _escape(self) -> None:
        pattern, at = self._pattern, self._at
        following = pattern[at + 1 : at + 2]
        if not following:
            raise _refuse("trailing backslash at end of expression", "")
        if following == "z":
            self._put(r"\Z", 2)
        elif following == "Q":
            end = pattern.find("\\E", at)
            end = len(pattern) if end < 0 else end
            self._put(re.escape(pattern[at + 2 : end]), end + 2 - at)
        elif following in "pP":
            self._unicode()
        elif pattern.startswith("\\x{", at):
            end = pattern.find("}", at)
            try:
                char = chr(int(pattern[at + 3 : end], 16))
            except (ValueError, OverflowError):
                raise _refuse("invalid escape sequence", pattern[at : end + 1]) from None
            self._put(re.escape(char), end + 1 - at)
        elif (following.isdigit() and following != "0") or following in "ZEe":
            raise _refuse("invalid escape sequence", f"\\{following}")
        else:
            self._put(pattern[at : at + 2], 2)

    def _unicode(self) -> None:
        pattern, at = self._pattern, self._at
        if pattern[at + 2 : at + 3] == "{":
            end = pattern.find("}", at)
            name, size = pattern[at + 3 : end], end + 1 - at
        else:
            name, size = pattern[at + 2 : at + 3], 3
        found = _LETTERS.get(name)
        if found is None:
            raise _refuse("invalid character class range", pattern[at : at + size])
        is_negative = pattern[at + 1] == "P"
        self._put(f"(?u:(?!{found})[\\s\\S])" if is_negative else f"(?u:{found})", size)
