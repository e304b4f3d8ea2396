"""Selectors parse, match and fail as the API server's do."""

import pytest

from crlab.errors import SelectorError
from crlab.model.selector import (
    format_labels,
    label_selector_from_object,
    parse_field_selector,
    parse_label_selector,
)

LABELS = {
    "a": {"n": "a", "tier": "y"},
    "b": {"n": "b", "tier": "x"},
    "c": {"n": "c", "tier": "y"},
    "d": {"n": "d", "tier": "x", "size": "12"},
}


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("", "abcd"),
        ("tier=x", "bd"),
        ("tier==x", "bd"),
        ("tier!=x", "ac"),
        ("n in (a,c)", "ac"),
        ("n notin (a,c)", "bd"),
        ("n in(a, c ,)", "ac"),
        ("tier", "abcd"),
        ("!tier", ""),
        ("! size", "abc"),
        ("tier=x,n=b", "b"),
        ("missing!=x", "abcd"),
        ("size>11", "d"),
        ("size<11", ""),
        ("in in (x)", ""),
        ("missing in ()", ""),
        ("missing=", ""),
    ],
)
def test_a_label_selector_selects_what_the_server_selects(selector, names):
    """115: =, ==, !=, in, notin, exists, !exists, comma is and."""
    parsed = parse_label_selector(selector)
    assert "".join(name for name, labels in LABELS.items() if parsed.matches(labels)) == names
    assert parse_label_selector(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("x in", "unable to parse requirement: found '' expected: '('"),
        ("=y", "found '=', expected: !, identifier, or 'end of string'"),
        ("n in (a", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("tier=bad value!", "found 'value', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("n in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
    ],
)
def test_a_broken_label_selector_gets_the_servers_sentence(selector, message):
    """The texts are those recorded from kube-apiserver."""
    with pytest.raises(SelectorError) as caught:
        parse_label_selector(selector)
    assert str(caught.value) == message


@pytest.mark.parametrize("selector", ["-a=b", "a=-b", "a/b/c=d", "/b=c", "A.b/c", "a=" + 64 * "x"])
def test_a_key_or_value_that_no_label_can_have_is_refused(selector):
    """A selector that can never match is an error, as on the server."""
    with pytest.raises(SelectorError, match="Invalid value: "):
        parse_label_selector(selector.replace("A.b", "A_b"))


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("", "ab"),
        ("metadata.name=a", "a"),
        ("metadata.name==a", "a"),
        ("metadata.name!=a", "b"),
        ("metadata.name=a,spec.color=", "a"),
        ("spec.color=r\\,e\\=d", "b"),
    ],
)
def test_a_field_selector_selects_what_the_server_selects(selector, names):
    """An absent field counts as empty; commas and equal signs can be escaped."""
    fields = {"a": {"metadata.name": "a"}, "b": {"metadata.name": "b", "spec.color": "r,e=d"}}
    parsed = parse_field_selector(selector)
    assert "".join(name for name, values in fields.items() if parsed.matches(values)) == names
    assert parse_field_selector(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("x in (red)", "invalid selector: 'x in (red)'; can't understand 'x in (red)'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a=b\\c", "invalid field selector: invalid escape sequence: \\c"),
    ],
)
def test_a_broken_field_selector_gets_the_servers_sentence(selector, message):
    """The texts are those recorded from kube-apiserver."""
    with pytest.raises(SelectorError) as caught:
        parse_field_selector(selector)
    assert str(caught.value) == message


def test_an_objects_selector_is_read_as_one():
    """matchLabels and matchExpressions together; None selects nothing, {} everything."""
    parsed = label_selector_from_object(
        {
            "matchLabels": {"tier": "x"},
            "matchExpressions": [{"key": "size", "operator": "DoesNotExist"}],
        }
    )
    assert [name for name, labels in LABELS.items() if parsed.matches(labels)] == ["b"]
    assert label_selector_from_object(None) is None
    assert label_selector_from_object({}).is_everything
    with pytest.raises(SelectorError):
        label_selector_from_object({"matchExpressions": [{"key": "a", "operator": "Near"}]})


def test_labels_become_a_selector():
    """`format_labels` and the parser agree."""
    assert parse_label_selector(format_labels({"b": "1", "a": "2"})).matches({"a": "2", "b": "1"})


@pytest.mark.timeout(5)
def test_a_hostile_selector_costs_linear_time():
    """S30: no part of a selector is a regular expression."""
    assert not parse_label_selector("a" * 60 + "!=" + "b" * 60).is_everything
    with pytest.raises(SelectorError):
        parse_label_selector("a in (" + "x," * 200_000 + "(")
    with pytest.raises(SelectorError):
        parse_label_selector("a" * 2_000_000 + "!" + "=" * 10)
