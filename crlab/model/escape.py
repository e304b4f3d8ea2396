"""The one escape helper: what a cluster's string looks like when it is shown.

Whoever can label a pod writes strings into the notebook of whoever looks at it, and that
page can run code. So every renderer goes through here: `plain` for text, `esc` for HTML,
`H` to build elements, which escapes all that was not itself built by `H`.

Guarantees:
  1. `plain` returns one line (or, if asked, lines) without control, bidirectional,
     zero-width or unpaired surrogate characters; they are shown as escapes.
  2. `esc` is `plain` plus HTML's five characters; safe in text and in quoted attributes.
  3. `H` makes only elements and attributes of its lists, no handler attribute, no
     scriptable URL; ``class``, ``id`` and ``style`` take only simple characters, so that
     a cluster's string put there by mistake raises instead of acting.

Thread: pure functions.
Source: Unicode TR36 and TR39 (what may deceive), OWASP's output encoding rules.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable

# Letters that draw nothing: Hangul fillers, the blank Braille pattern, Khmer inherent vowels.
_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0\u17b4\u17b5")
_DECEIVING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MAX_TEXT = 4000  # characters of one child that H shows; `esc` it first to show more
_MAX_VALUE = 1000  # and of one attribute
_MAX_MARKS = 4  # combining marks in a row; no script needs more, a "Zalgo" text has dozens


def plain(text: object, *, limit: int | None = None, multiline: bool = False) -> str:
    r"""Return `text` as it may be shown in a terminal, a log line or a text output.

    Args:
        limit: characters kept; the rest is counted ("… +7 more"). None: all.
        multiline: keep line feeds and tabs, which else show as ``\n`` and ``\t``.
    """
    value = text if type(text) is str else _as_text(text)
    hidden = 0
    if limit is not None and len(value) > limit:
        hidden = len(value) - limit
        value = value[:limit]
    if not (value.isascii() and value.isprintable()):
        value = _visible(value, "\n\t" if multiline else "")
    return f"{value}… +{hidden} more" if hidden else value


def _as_text(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # an integer over the interpreter's limit of digits
        return f"<{type(value).__name__} too long to show>"


def _visible(text: str, kept: str) -> str:
    out: list[str] = []
    marks = 0
    for char in text:
        if char in kept:
            marks = 0
            out.append(char)
            continue
        category = unicodedata.category(char)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category in _DECEIVING or char in _INVISIBLE or marks > _MAX_MARKS:
            out.append(_escape(char))
        else:
            out.append(char)
    return "".join(out)


def _escape(char: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    code = ord(char)
    if named:
        return named
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def esc(text: object, *, limit: int | None = None, multiline: bool = False) -> Markup:
    """Return `text` for HTML, in an element or in a quoted attribute."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(plain(text, limit=limit, multiline=multiline), quote=True))


class Markup(str):
    """HTML that `esc`, `H` or `trusted` made; it is not escaped again."""

    __slots__ = ()


def trusted(literal: str) -> Markup:
    """Mark a literal of crlab's own source (a style sheet, a fixed icon) as HTML.

    Never give it a string that was built from data; a test looks for that.
    """
    return Markup(literal)


_TAG_WORDS = (
    "a article b bdi br button caption circle code col colgroup dd defs desc details div dl dt "
    "em figcaption figure footer g h3 h4 header hr i ins del kbd li line main marker nav ol p "
    "path polygon polyline pre rect section small span strong summary svg table tbody td "
    "text tfoot th thead time title tr tspan ul"
)
_TAGS = frozenset(_TAG_WORDS.split())
_VOID = frozenset({"br", "col", "hr"})
_SHAPES = frozenset({"circle", "line", "path", "polygon", "polyline", "rect"})
_ATTRIBUTE_WORDS = (
    "class colspan cx cy d datetime dir dominant-baseline fill font-size font-weight height href "
    "id lang marker-end open orient points preserveAspectRatio r refX refY rel role rowspan rx ry "
    "scope start stroke stroke-dasharray stroke-width style tabindex target text-anchor title "
    "transform viewBox markerWidth markerHeight width x x1 x2 y y1 y2 xmlns"
)
_ATTRIBUTES = frozenset(_ATTRIBUTE_WORDS.split())
_SIMPLE = re.compile(r"[A-Za-z0-9_\- .:;%(),#]*\Z")
_GUARDED = frozenset({"class", "id", "style", "fill", "stroke", "d", "points", "transform"})
_URL = re.compile(r"https?://[^\s\"'<>\\]+\Z", re.IGNORECASE)


def _attribute(name: str, value: object) -> str:
    name = name.rstrip("_").replace("_", "-")
    if name == "cls":
        name = "class"
    if not (name in _ATTRIBUTES or name.startswith(("aria-", "data-"))):
        raise ValueError(f"attribute {name!r} is not one that H makes")
    if value is True:
        return f" {name}"
    text = str(value)
    if name in _GUARDED and not (_SIMPLE.match(text) and "url(" not in text.lower()):
        raise ValueError(f"{name} takes only simple characters, not {plain(text, limit=40)!r}")
    if name == "href" and not _URL.match(text):
        raise ValueError(f"href takes only http(s) addresses, not {plain(text, limit=40)!r}")
    return f' {name}="{esc(text, limit=None if name in _GUARDED else _MAX_VALUE)}"'


def _flatten(children: Iterable[object], out: list[str]) -> None:
    for child in children:
        if child is None or child is False:
            continue
        if isinstance(child, str):
            out.append(esc(child, limit=_MAX_TEXT))
        elif isinstance(child, list | tuple) or hasattr(child, "__next__"):
            _flatten(child, out)  # type: ignore[arg-type]
        else:
            out.append(esc(child, limit=_MAX_TEXT))


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """Return ``<tag ...>children</tag>``; children that are not `Markup` are escaped.

    ``class`` is spelled ``cls``; underscores become hyphens (``aria_label``); an attribute
    that is None or False is left out. Lists and generators of children are flattened.
    """
    if tag not in _TAGS:
        raise ValueError(f"element {tag!r} is not one that H makes")
    head = "".join(
        _attribute(name, value)
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID:
        return Markup(f"<{tag}{head}>")
    out: list[str] = []
    _flatten(children, out)
    if tag in _SHAPES and not out:
        return Markup(f"<{tag}{head}/>")
    return Markup(f"<{tag}{head}>{''.join(out)}</{tag}>")


def joined(children: Iterable[object]) -> Markup:
    """Return the children one after the other, escaped where they are not `Markup`."""
    out: list[str] = []
    _flatten(children, out)
    return Markup("".join(out))


class _Builder:
    """``H.div("text", H.b(name), cls="box")``: elements by attribute access."""

    def __getattr__(self, tag: str) -> Callable[..., Markup]:
        if tag not in _TAGS:
            raise AttributeError(f"H makes no <{tag}>")

        def make(*children: object, **attributes: object) -> Markup:
            return element(tag, *children, **attributes)

        return make


H = _Builder()
