"""Strings from a cluster are shown, never obeyed."""

from html.parser import HTMLParser

import pytest

from crlab.model.escape import H, Markup, esc, joined, plain, trusted


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("web-1", "web-1"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("evil\u202etxt", "evil\\u202etxt"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\ud800", "\\ud800"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\u2028", "\\u2028"),
        ("fill\u3164er", "fill\\u3164er"),
        ("naïve 名前 שלום é", "naïve 名前 שלום é"),
        (None, "None"),
        (12, "12"),
    ],
)
def test_deceiving_characters_show_as_escapes(given: object, shown: str) -> None:
    """Control, bidirectional, zero-width and lone surrogates are spelled out."""
    assert plain(given) == shown


def test_lines_are_kept_on_request() -> None:
    """A traceback keeps its lines, and still loses its ESC."""
    assert plain("a\n\tb\x1b", multiline=True) == "a\n\tb\\x1b"


def test_combining_marks_are_bounded() -> None:
    """A tower of accents is spelled out after the fourth."""
    shown = plain("e" + "\u0301" * 50)
    assert shown.startswith("e" + "\u0301" * 4 + "\\u0301")


def test_long_text_is_cut_and_counted() -> None:
    """Ten megabytes cost what is shown."""
    assert plain("x" * 10_000_000, limit=3) == "xxx… +9999997 more"


def test_an_integer_of_too_many_digits_is_named() -> None:
    """10^5000 does not raise."""
    assert plain(10**5000) == "<int too long to show>"


def test_esc_covers_text_and_quoted_attributes() -> None:
    """The five characters, and no double escaping of what was escaped."""
    assert esc("<a b='c' d=\"e\">&") == "&lt;a b=&#x27;c&#x27; d=&quot;e&quot;&gt;&amp;"
    assert esc(esc("<")) == "&lt;"


def test_builder_escapes_what_it_did_not_build() -> None:
    """Children and attribute values are escaped, nested elements are not."""
    built = H.p("<x>", H.b("&"), [None, "a", ("b",)], cls="k", title='"><i>', aria_label="l")
    assert built == (
        '<p class="k" title="&quot;&gt;&lt;i&gt;" aria-label="l">&lt;x&gt;<b>&amp;</b>ab</p>'
    )
    assert isinstance(built, Markup)


def test_plain_concatenation_loses_the_mark() -> None:
    """`Markup + str` is an ordinary string and is escaped again."""
    assert H.p(trusted("<b>") + "<i>") == "<p>&lt;b&gt;&lt;i&gt;</p>"
    assert joined([trusted("<hr>"), "<hr>"]) == "<hr>&lt;hr&gt;"


@pytest.mark.parametrize(
    "bad",
    [
        lambda: H.script("x"),
        lambda: H.iframe(),
    ],
)
def test_unknown_elements_are_refused(bad) -> None:  # type: ignore[no-untyped-def]
    """There is no way to a script element."""
    with pytest.raises(AttributeError):
        bad()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("onclick", "x"),
        ("cls", '"x'),
        ("id", "a<b"),
        ("style", "background:url(x)"),
        ("style", "x:y}</style>"),
        ("href", "javascript:alert(1)"),
        ("href", "data:text/html,x"),
        ("href", "//host"),
        ("srcdoc", "x"),
        ("style", "x:expression\\(1)"),
    ],
)
def test_attributes_that_could_act_are_refused(name: str, value: str) -> None:
    """Handlers, scriptable URLs, and strings where only crlab's own words belong."""
    with pytest.raises(ValueError, match=r"attribute|takes only"):
        H.p("x", **{name: value})


def test_every_character_stays_inside_its_element() -> None:
    """No character of the first 65,536 opens an element."""

    class Parser(HTMLParser):
        seen: list[str]

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.seen.append(tag)

    parser = Parser()
    parser.seen = []
    for start in range(0, 65536, 512):
        text = "".join(map(chr, range(start, start + 512)))
        parser.feed(H.p(text, title=text))
    assert set(parser.seen) == {"p"}
