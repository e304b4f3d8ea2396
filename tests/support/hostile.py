"""The hostile corpus: strings that anybody who may label a pod can write.

Families, each a rule rather than a list: markup, attribute break-outs, URLs, mark-down and
maths, style sheets, script in JSON, terminal escapes, bidirectional and invisible
characters, towers of accents, very long values, formula prefixes, dunder names, format
specifications. `PAYLOAD` sets `window.__crlab_x` if any of them ever runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

PAYLOAD = "window.__crlab_x=(window.__crlab_x||0)+1"


def _markup() -> Iterator[str]:
    tags = (
        "img",
        "svg",
        "video",
        "audio",
        "iframe",
        "object",
        "embed",
        "details",
        "math",
        "body",
        "marquee",
        "select",
        "style",
        "table",
    )
    events = ("onerror", "onload", "ontoggle", "onfocus", "onmouseover")
    for tag, event in itertools.product(tags, events):
        yield f"<{tag} src=x href=x open autofocus tabindex=1 {event}='{PAYLOAD}'>"
    yield f"<script>{PAYLOAD}</script>"
    yield f"<svg><script>{PAYLOAD}</script></svg>"
    yield f"<math><mtext><img src=x onerror={PAYLOAD}></mtext></math>"
    yield f"<svg><animate onbegin='{PAYLOAD}' attributeName=x dur=1s>"
    yield f"<svg><foreignObject><img src=x onerror='{PAYLOAD}'></foreignObject></svg>"
    yield f'<iframe srcdoc="<script>parent.{PAYLOAD}</script>"></iframe>'
    yield f"<template><img src=x onerror='{PAYLOAD}'></template>"
    yield f"<noscript><p title='</noscript><img src=x onerror={PAYLOAD}>'>"
    yield f"<form><button formaction='javascript:{PAYLOAD}'>x</button></form>"
    yield "<base href='//evil.example/'>"
    yield "<meta http-equiv=refresh content='0;url=//evil.example'>"
    yield "<link rel=stylesheet href='//evil.example/x.css'>"
    yield "<input autofocus onfocus=alert(1)>"
    for closer in (
        "</td>",
        "</table>",
        "</section>",
        "</div>",
        "</svg>",
        "</style>",
        "</title>",
        "</textarea>",
        "</script>",
        "</pre>",
        "-->",
        "]]>",
        "</text>",
        "</dd></dl>",
    ):
        yield f"{closer}<img src=x onerror='{PAYLOAD}'>"


def _attributes() -> Iterator[str]:
    for quote, event in itertools.product(("'", '"', "`", ""), ("onmouseover", "onfocus", "style")):
        yield f"x{quote} {event}={PAYLOAD} y={quote}"
        yield f"{quote}><img src=x onerror='{PAYLOAD}'>"
    yield "&quot; onmouseover=&quot;alert(1)"
    yield "&#x22;&#x3e;&#x3c;img src=x onerror=alert(1)&#x3e;"
    yield "&lt;img src=x onerror=alert(1)&gt;"
    yield "\\x3cimg src=x onerror=alert(1)\\x3e"
    yield "\\u003cimg src=x onerror=alert(1)\\u003e"


def _urls() -> Iterator[str]:
    schemes = (
        "javascript:",
        "JaVaScRiPt:",
        "java\tscript:",
        " javascript:",
        "\x01javascript:",
        "vbscript:",
        "data:text/html,",
        "data:image/svg+xml,",
        "blob:",
        "file:///",
    )
    for scheme in schemes:
        yield f"{scheme}{PAYLOAD}"
        yield f'<a href="{scheme}{PAYLOAD}">click</a>'


def _markdown() -> Iterator[str]:
    yield f"[x](javascript:{PAYLOAD})"
    yield f'![x](x"onerror="{PAYLOAD})'
    yield f"<{PAYLOAD}>"
    yield "$\\href{javascript:alert(1)}{x}$"
    yield "$$\\unicode{x3c}img$$"
    yield "\\(\\require{html}\\style{color:red}{x}\\)"
    yield "$\\undefinedmacro$"
    yield "`x` **y** | z | # h"
    yield "---\ntitle: x\n---"


def _styles() -> Iterator[str]:
    yield "</style><style>*{display:none}</style>"
    yield "x:expression(alert(1))"
    yield "background:url(javascript:alert(1))"
    yield "@import '//evil.example/x.css';"
    yield "}*{visibility:hidden}{"
    yield "red;position:fixed;inset:0;z-index:9999"


def _json() -> Iterator[str]:
    yield f'{{"a":"</script><script>{PAYLOAD}</script>"}}'
    yield "\u2028\u2029"
    yield '"},"metadata":{"name":"other"}}'
    yield "__proto__"
    yield "constructor.prototype"
    yield "<!--<script>"


def _terminal() -> Iterator[str]:
    for code in (*range(0x00, 0x20), 0x7F, *range(0x80, 0xA0)):
        yield f"a{chr(code)}b"
    yield "\x1b[2J\x1b[H"
    yield "\x1b]0;title\x07"
    yield "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\"
    yield "\x1b]52;c;ZXZpbA==\x07"
    yield "\x9b31m"
    yield "line\r\nINFO forged log line"


def _unicode() -> Iterator[str]:
    for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C):
        yield f"safe{chr(code)}gnp.exe"
    for code in (
        0x200B,
        0x200C,
        0x200D,
        0x2060,
        0xFEFF,
        0x00AD,
        0x180E,
        0x115F,
        0x3164,
        0xFFA0,
        0x2800,
        0xE0041,
        0xE0001,
        0xFFF9,
        0xFFFE,
    ):
        yield f"ad{chr(code)}min"
    for mark in (0x0300, 0x0336, 0x0489, 0x20DD, 0x1AB0, 0xFE20):
        yield "Z" + chr(mark) * 200
    yield "שלום-עולם"
    yield "مرحبا"
    yield "\ud800"
    yield "\udfff tail"
    yield "𝓪𝓭𝓶𝓲𝓷"
    yield "аdmin"  # a Cyrillic first letter
    yield "👩‍👩‍👧‍👦"
    yield "ﷺ" * 50


def _shapes() -> Iterator[str]:
    yield "x" * 1_000_000
    yield "<" * 100_000
    yield "&" * 100_000
    yield " " * 10_000
    yield "\n" * 10_000
    yield ""
    yield " "
    for prefix in ("=", "+", "-", "@", "\t=", "|"):
        yield f"{prefix}cmd|'/c calc'!A0"
    yield from (
        "__class__",
        "__init__",
        "__dict__",
        "{0.__class__}",
        "{self}",
        "%s%n%x",
        "{{7*7}}",
        "${7*7}",
        "#{7*7}",
        "<%= 7*7 %>",
        "%(x)s",
        "{!r:>{width}}",
        "{:1000000000}",
    )
    yield from (
        "None",
        "null",
        "NaN",
        "true",
        "0",
        "-1",
        "1e999",
        "../../etc/passwd",
        "a/b/c",
        "CON",
        "' OR 1=1 --",
        "; rm -rf /",
        "$(reboot)",
        "`reboot`",
        "|reboot",
    )


def corpus() -> list[str]:
    """Return the whole corpus, without duplicates, in a fixed order."""
    families = (
        _markup,
        _attributes,
        _urls,
        _markdown,
        _styles,
        _json,
        _terminal,
        _unicode,
        _shapes,
    )
    return list(dict.fromkeys(text for family in families for text in family()))
