"""What a secret looks like, and what is shown in its place: ``<redacted: N bytes>``.

From: redaction of objects, texts of errors, columns of frames. Knows texts and names only.

Guarantees:
  1. One table of shapes, here, and one of names (`secret_name.py`); `may_hold_secret` is made of
     the same tables, so it never says no where `mask_value` or `mask_text` would mask.
  2. Every masked value matches `VALUE_MASK`; what is masked already stays as it is.
  3. Time grows with the length of a text, whatever is in it.

Not found (say so where it matters): secrets under innocent names and of no known shape.

Thread: pure functions.
Source: RFC 3986 (userinfo), RFC 7468 (PEM), the token formats that their issuers publish.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from crlab.model.secret_name import NAMES, SETTINGS, is_secret, is_secret_name

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
VALUE_MASK = re.compile(r"<redacted: \d+ bytes>")  # what stands where a value was
MASK = "<redacted>"  # the same in free text, which nobody can take for the value
_MARK = "<redacted: "

_encode = msgspec.json.Encoder(enc_hook=str).encode


def mask(value: Any, *, encoded: bool = False) -> str:
    """Return what stands in for a secret value: its length in bytes (of its JSON, if no text)."""
    if not isinstance(value, str):
        return f"{_MARK}{len(_encode(value))} bytes>"
    if VALUE_MASK.fullmatch(value):
        return value
    size = len(value.encode("utf-8", "surrogatepass"))
    if encoded:
        try:
            size = len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            pass  # not base64: the length as it stands
    return f"{_MARK}{size} bytes>"


# --- shapes ----------------------------------------------------------------------------


class _Shape(NamedTuple):
    """One kind of secret text.

    Attributes:
        hints: one of these is in each such text, in lower case.
        pattern: may take in more than the secret, so that no text is scanned twice.
        start: where the secret begins in what was found; -1 if it is none.
    """

    hints: tuple[str, ...]
    pattern: str
    start: Callable[[str], int] = lambda found: 0


def _after_scheme(found: str) -> int:
    """Where the credentials of an Authorization header begin."""
    scheme, _, _ = found.partition(found[6] if found[:6].lower() == "bearer" else found[5])
    return len(found) - len(found[len(scheme) :].lstrip())


def _of_basic(found: str) -> int:
    start = _after_scheme(found)
    return -1 if found[start:].isalpha() and found[start:].islower() else start  # a word


def _of_base64(found: str) -> int:
    """A certificate is no secret; a private key is, also behind a certificate."""
    text = re.sub(r"\s", "", found)
    try:
        decoded = base64.b64decode(text[: len(text) // 4 * 4])
    except (binascii.Error, ValueError):
        return 0
    return 0 if b"PRIVATE KEY" in decoded else -1


_SHAPES = (
    # a run of letters without its dots is no token, nor is a part of the run
    _Shape(
        ("eyj",),
        r"eyJ[A-Za-z0-9_-]{5,}+(?:\.[A-Za-z0-9_-]{5,}+(?:\.[A-Za-z0-9_-]*+)*+)?+",
        lambda found: 0 if "." in found else -1,
    ),
    _Shape(
        ("private key",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    _Shape(("ls0tls1crudjti",), r"LS0tLS1CRUdJTi[A-Za-z0-9+/=\s]*+", _of_base64),
    _Shape(("akia", "asia"), r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    _Shape(("aiza",), r"AIza[A-Za-z0-9_-]{35}"),
    _Shape(("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{20,}+"),
    _Shape(("github_pat_",), r"github_pat_[A-Za-z0-9_]{20,}+"),
    _Shape(("glpat-",), r"glpat-[A-Za-z0-9_.-]{16,}+"),
    _Shape(("xox",), r"xox[abeprs]-[A-Za-z0-9-]{8,}+"),
    _Shape(("k_live_", "k_test_"), r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,}+"),
    _Shape(
        ("hooks.slack.com/",),
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{8,}+",
        lambda found: found.index("/", 16) + 1,
    ),
    _Shape(
        ("bearer",),
        r"(?<![A-Za-z0-9])(?ai:bearer)\s{1,8}"
        r"(?!(?ai:tokens?|auth[a-z]*|realm|scheme|format|header|credentials?)(?![A-Za-z0-9._~+/=-]))"
        r"[A-Za-z0-9._~+/=-]{6,}+",
        _after_scheme,
    ),
    _Shape(("basic",), r"(?<![A-Za-z0-9])(?ai:basic)\s{1,8}[A-Za-z0-9._~+/=-]{6,}+", _of_basic),
)
_HINTS = tuple(hint for shape in _SHAPES for hint in shape.hints)
_SHAPE = re.compile(
    "|".join(f"(?P<s{place}>{shape.pattern})" for place, shape in enumerate(_SHAPES)),
    re.DOTALL,
)

# A text that is, or holds, an object of secrets: nothing of it is shown.
_DOCUMENT = re.compile(
    r"-key-data|" + re.escape(LAST_APPLIED) + r"|\bauths\\{0,3}[\"']?\s{0,8}:"
    r"|\bkind\\{0,3}[\"']?\s{0,8}:\s{0,8}\\{0,3}[\"']?Secret(?:List)?\b"
)
_STEMS = ("last-applied", *(stem for stem, _ in NAMES))
_HINT, _STEM = (re.compile("|".join(map(re.escape, words))) for words in (_HINTS, _STEMS))
_URL_END = re.compile(r"://|\s|[\"'`](?=[\s,;:)\]}>\\]|$)")
_PORT = re.compile(r"\d{1,5}[/?#]")


def may_hold_secret(text: str) -> bool:
    """Whether `mask_value` or `mask_text` could mask something in `text`; cheap, may say yes."""
    return _may_have_shape(text, lowered := text.lower()) or _may_have_field(text, lowered)


def may_have_shape(text: str) -> bool:
    """The same of shapes alone, without names."""
    return _may_have_shape(text, text.lower())


def _may_have_shape(text: str, lowered: str) -> bool:
    return _has_any(_HINTS, _HINT, lowered) or ("://" in text and "@" in text)


def _may_have_field(text: str, lowered: str) -> bool:
    return ("=" in text or ":" in text) and _has_any(_STEMS, _STEM, lowered)


def _has_any(words: tuple[str, ...], pattern: re.Pattern[str], text: str) -> bool:
    """Whether a text has one of the words: a search for each is faster in a long one."""
    if len(text) < 200:
        return pattern.search(text) is not None
    return any(word in text for word in words)


def mask_value(text: str, name: str = "") -> str:
    """Return a text of an object, with what is secret in it masked.

    Args:
        name: of the field that holds it.
    """
    if len(text) < 4:
        return mask(text) if name and is_secret(name, text) else text
    if name and is_secret(name, text):
        return mask(text)
    lowered = text.lower()
    if _may_have_field(text, lowered):
        if _DOCUMENT.search(text):
            return mask(text)
        text = _mask_fields(text, free=False)
    return _mask_shapes(text) if _may_have_shape(text, lowered) else text


def mask_text(text: str) -> str:
    """Mask tokens, keys, passwords and Secret payloads in free text (errors, messages).

    Each is replaced by `MASK`, which is no masked value: a controller may write such a text
    (into a condition, say), and loses nothing by it.
    """
    masked = text
    if "\n" in masked:  # a file may be part of it
        masked = mask_value(masked)
    lowered = masked.lower()
    if "data" in lowered:
        masked = _DATA_MAP.sub(lambda found: found[1] + mask(found[2]), masked)
    if "value" in lowered:
        masked = _PAIR.sub(_masked_pair, masked)
    if _may_have_shape(masked, lowered):
        masked = _mask_shapes(masked)
    if _may_have_field(masked, lowered):
        masked = _mask_fields(masked, free=True)
    return VALUE_MASK.sub(MASK, masked) if _MARK in masked else masked


def _mask_shapes(text: str) -> str:
    return _mask_userinfo(_SHAPE.sub(_masked_shape, text))


def _masked_shape(found: re.Match[str]) -> str:
    whole = found[0]
    start = _SHAPES[int((found.lastgroup or "s0")[1:])].start(whole)
    return whole if start < 0 else whole[:start] + mask(whole[start:])


def _mask_userinfo(text: str) -> str:
    """Mask ``user:password`` of URLs, up to the last @ that may end it."""
    if "://" not in text or "@" not in text:
        return text
    parts, done = [], 0
    place = text.find("://")
    while place >= 0:
        start = place + 3
        end = _URL_END.search(text, start)
        stop = len(text) if end is None else end.start()
        at = text.rfind("@", start, stop)
        user, colon, password = text[start:at].partition(":") if at > 0 else ("", "", "")
        is_path = set(user) & {"/", "?", "#"} or _PORT.match(password)
        if colon and password and not is_path:
            parts += [text[done:start], mask(text[start:at])]
            done = at
        place = text.find("://", stop)
    return "".join([*parts, text[done:]]) if parts else text


# --- names and values within a text ----------------------------------------------------

_FIELD = re.compile(
    r"(?<![\w.-])-{0,2}(?P<name>[A-Za-z_][\w.-]*+)(?P<quote>\\{0,3}[\"'])?"
    r"(?P<between>\s{0,8})(?P<sep>[=:])"
)
_QUOTE = re.compile(r"\\{0,3}[\"']")
_BARE = re.compile(r"(?:<redacted: \d+ bytes>|[^\s\"])*+")
_BARE_FREE = re.compile(
    r"(?:(?ai:bearer|basic|token|digest|negotiate)[ \t]+)?"
    r"(?:<redacted: \d+ bytes>|[^\s\"',;&}{\[\]<>])*+"
)
_PEM = re.compile(r"-----BEGIN [^-\n]{0,60}-----.*?(?:-----END [^-\n]{0,60}-----|\Z)", re.DOTALL)
_BLOCK = re.compile(r"(?:![^\s]*[ \t]+)?[|>][-+0-9]{0,3}[ \t]*(?:#.*)?$", re.MULTILINE)
_LOOK_BACK = 256  # characters of a line that are looked at before a name in it
_DATA_MAP = re.compile(r"(\\{0,3}\"(?:data|stringData)\\{0,3}\"\s{0,8}:\s{0,8})(\{[^{}]*\}?)")
_PAIR = re.compile(
    r"(?ai:(\bname\\{0,3}\"?\s{0,8}[:=]\s{0,8}\\{0,3}\")([\w.-]{1,253}+)"
    r"(\\{0,3}\",\s{0,8}\\{0,3}\"?value\\{0,3}\"?\s{0,8}[:=]\s{0,8}\\{0,3}\"))"
    r"((?:[^\"\\]|\\[^\"])*+)"
)


def _masked_pair(found: re.Match[str]) -> str:
    is_secret_pair = is_secret(found[2], found[4])
    return found[1] + found[2] + found[3] + (mask(found[4]) if is_secret_pair else found[4])


def _mask_fields(text: str, *, free: bool) -> str:
    """Mask the values of ``name=value``, ``name: value`` and ``"name": value`` in a text.

    Args:
        free: it is prose, not a value: a colon may stand anywhere, a value is one word.
    """
    parts, done = [], 0
    found = _FIELD.search(text)
    while found is not None:
        after = found.end()
        if is_secret_name(found["name"]) and _is_field(text, found, free):
            start, stop = _value_of(text, found, free)
            value = text[start:stop]
            if value.strip(" \t\r\n).,;`").lower() not in SETTINGS:
                parts += [text[done:start], mask(value)]
                done = after = stop
        found = _FIELD.search(text, after)
    return "".join([*parts, text[done:]]) if parts else text


def _is_field(text: str, found: re.Match[str], free: bool) -> bool:
    """Whether a name and a colon are a field: quoted, or where a line of YAML begins."""
    if text[found.start() - 1 : found.start()] == "/" and free:
        return False  # the name of an object: "get configmaps default/password: 404"
    if free or found["quote"] or found["sep"] == "=":
        return found["sep"] == ":" or text[found.end() : found.end() + 1] != "="
    line = _line_before(text, found)
    return not line or ("{" in line and line[-1] in "{,")


def _line_before(text: str, found: re.Match[str]) -> str:
    least = max(0, found.start() - _LOOK_BACK)
    start = text.rfind("\n", least, found.start()) + 1 or least
    return text[start : found.start()].strip(" \t-?\r\"'")


def _value_of(text: str, found: re.Match[str], free: bool) -> tuple[int, int]:
    """Return where the value of a field begins and ends."""
    start = found.end()
    while text[start : start + 1] in (" ", "\t"):
        start += 1
    is_plain = not free and not found["quote"]
    is_line = is_plain and (found["sep"] == ":" or not _line_before(text, found))
    quoted = _QUOTE.match(text, start)
    if quoted is not None and not (is_line and found["sep"] == "="):
        return quoted.end(), _closed(text, quoted[0], quoted.end())
    if not is_line:
        value = (_BARE if is_plain else _BARE_FREE).match(text, start)
        return start, start if value is None else value.end()
    if found["sep"] == ":":
        if text[start : start + 1] in ("{", "["):
            return start, start  # what is in it has names of its own
        if _BLOCK.match(text, start):
            return start, _block_end(text, found.start(), text.find("\n", start))
    return start, _line_end(text, start, quoted)  # an argument or a line of a file: all of it


def _line_end(text: str, start: int, quoted: re.Match[str] | None) -> int:
    """Where a line ends, with what in it goes on behind it: a quoted text, a key."""
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    if quoted is not None:
        end = max(end, _closed(text, quoted[0], quoted.end()))
    place = text.find("-----BEGIN", start, end)
    key = _PEM.match(text, place) if place >= 0 else None
    return end if key is None else max(end, key.end())


def _closed(text: str, quote: str, start: int) -> int:
    """Where a quoted text ends; all of it if it does not."""
    place = text.find(quote, start)
    while place > 0 and text[place - 1] == "\\":
        place = text.find(quote, place + 1)
    return len(text) if place < 0 else place


def _block_end(text: str, name: int, place: int) -> int:
    """Where the lines end that are indented more than the name they belong to.

    Args:
        place: of the line feed before the first of them; -1 if there are none.
    """
    indent = name - (text.rfind("\n", 0, name) + 1)
    while 0 <= place < len(text):
        end = text.find("\n", place + 1)
        line = text[place + 1 : end if end >= 0 else len(text)]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return place
        place = end
    return len(text)
