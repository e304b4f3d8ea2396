"""Values and errors of evaluation; the CEL library is the judge where it knows the function."""

# ruff: noqa: E501 - the sentences are the server's

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlab.cel.compile import compile_expression
from crlab.cel.eval import compile_tree
from crlab.cel.evaluation import evaluate
from crlab.cel.parser import parse
from crlab.cel.token import CelSyntaxError
from crlab.cel.type import DYN
from crlab.cel.value import CelError, Optional, converter


def value(text: str, **variables: Any) -> Any:
    types = dict.fromkeys(variables, DYN)
    return evaluate(compile_tree(compile_expression(text, types)), variables)


TRUE = """
1 + 2 * 3 == 7 && 7 / -2 == -3 && -7 % 3 == -1
dyn(1) == 1.0 && dyn(1u) == 1 && dyn([1]) == [1.0] && dyn({'a': 1}) == {'a': 1u} && 1 < 1.5
dyn(true) != dyn(1) && dyn('1') != dyn(1) && null == null
true || 1 / 0 == 1
!(1 / 0 == 1 && false)
'a' in ['a', 'b'] && 'k' in {'k': 1} && !(2 in [1])
[1, 2, 3].all(x, x > 0) && [1, 2].exists(x, x == 2) && ![1, 1].exists_one(x, x == 1)
[0, 1].exists(x, 1 / x == 1)
[1, 2, 3].filter(x, x > 1).map(x, x * 2) == [4, 6] && [1, 2].map(x, x > 1, x) == [2]
[1, 2].all(i, v, v == i + 1) && {'a': 1}.exists(k, v, k == 'a' && v == 1)
[3, 4].transformList(i, v, i > 0, v) == [4] && {'a': 1}.transformMap(k, v, v + 1) == {'a': 2}
{'a': 'b'}.transformMapEntry(k, v, {v: k}) == {'b': 'a'}
'hello'.substring(1, 3) == 'el' && 'hello'.indexOf('l') == 2 && 'hello'.lastIndexOf('l') == 3
'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c']
['a', 'b'].join('-') == 'a-b' && 'aXa'.replace('a', 'b', 1) == 'bXa' && ' x '.trim() == 'x'
'ÀB'.lowerAscii() == 'Àb' && 'abc'.charAt(3) == '' && strings.quote('a"b') == '"a\\\\"b"'
'%s %d %.2f %x %e'.format(['a', 3, 1.5, 255, 3.14]) == 'a 3 1.50 ff 3.140000×10⁰⁰'
'abc123'.find('[0-9]+') == '123' && 'a1b2'.findAll('[0-9]') == ['1', '2'] && 'ab'.matches('^a')
[1, 2, 2].distinct() == [1, 2] && [[1], [2]].flatten() == [1, 2] && [3, 1].sort() == [1, 3]
[1, 2, 3].slice(1, 2) == [2] && [1, 2].reverse() == [2, 1] && lists.range(2) == [0, 1]
[{'a': 2}, {'a': 1}].sortBy(x, x.a)[0].a == 1
[1, 2].isSorted() && [1, 3].sum() == 4 && [1, 3].max() == 3 && ['b', 'a'].min() == 'a'
sets.contains([1, 2], [1]) && sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects([1], [1])
timestamp('2024-02-29T10:20:30.5Z').getHours('+01:00') == 11
timestamp('2024-02-29T10:20:30.5Z').getMilliseconds() == 500
timestamp('2024-02-29T10:20:30Z').getDayOfYear() == 59
timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z') == duration('24h')
string(timestamp('2024-01-02T00:00:00.120Z')) == '2024-01-02T00:00:00.12Z'
duration('90m').getHours() == 1 && string(duration('1m30s')) == '90s' && duration('-1.5s') < duration('0s')
int('42') == 42 && double('1.5') == 1.5 && string(1.0) == '1' && bool('true') && int(-1.9) == -1
type(1) == int && type([]) == list && type(null) == null_type && type('a') != type(1)
type(timestamp('2024-01-01T00:00:00Z')) == google.protobuf.Timestamp
type(ip('::1')) == net.IP && type(quantity('1')) == kubernetes.Quantity
optional.of(1).hasValue() && !optional.none().hasValue() && optional.none().orValue(3) == 3
optional.of(2).optMap(x, x + 1).value() == 3 && !optional.ofNonZeroValue(duration('0s')).hasValue()
optional.of({'a': 1}).optFlatMap(m, m[?'a']).value() == 1 && {'a': {'b': 1}}.?a.b.value() == 1
[1, ?optional.none(), ?optional.of(2)] == [1, 2] && {?'a': optional.none()} == {}
b'abc'.size() == 3 && string(b'abc') == 'abc' && bytes('ü').size() == 2
url('https://u@x.dev:81/p%20q?a=1&a=2').getHost() == 'x.dev:81'
url('https://[::1]:80/').getHostname() == '::1' && url('/a').getScheme() == ''
url('https://x/p?a=1&a=2').getQuery() == {'a': ['1', '2']} && !isURL('../x')
quantity('1Ki') == quantity('1024') && quantity('50k').add(quantity('20k')) == quantity('70k')
quantity('1.5').isInteger() == false && quantity('2').asInteger() == 2 && quantity('-1').sign() == -1
!isQuantity('10Mb') && quantity('200M').compareTo(quantity('0.2G')) == 0
ip('127.0.0.1').isLoopback() && ip('::1').family() == 6 && !isIP('1.2.3') && ip.isCanonical('::1')
!ip.isCanonical('::0001') && ip('10.0.0.1').isGlobalUnicast() && ip('169.254.1.1').isLinkLocalUnicast()
cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')
cidr('10.0.0.0/8').prefixLength() == 8 && string(cidr('10.0.0.0/8').ip()) == '10.0.0.0'
!cidr('::/0').containsCIDR(cidr('10.0.0.0/8')) && isCIDR('::1/128') && !isCIDR('10.0.0.0')
semver('1.2.3').major() == 1 && semver('1.0.0-alpha.1').isLessThan(semver('1.0.0-alpha.beta'))
semver('1.0.0-rc').compareTo(semver('1.0.0')) == -1 && isSemver('v1.2', true) && !isSemver('v1.2.3')
format.dns1123Label().validate('A').hasValue() && !format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()
format.named('labelValue').value().validate('a b').value().size() == 1 && !format.named('x').hasValue()
""".strip().splitlines()


@pytest.mark.parametrize("text", TRUE)
def test_it_holds(text: str) -> None:
    """A line of rules that must all be true."""
    assert value(text) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x.b", "no such key: b"),
        ("x['b']", "no such key: b"),
        ("[1][1]", "index out of bounds: 1"),
        ("1 / 0", "division by zero"),
        ("1 % 0", "modulus by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("-(-9223372036854775807 - 1)", "integer overflow"),
        ("x < 1", "no such overload"),
        ("'abc'.substring(5)", "index out of range: 5"),
        ("optional.none().value()", "optional.none() dereference"),
        ("int('x')", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("duration('' + 'x')", 'time: invalid duration "x"'),
        ("timestamp(-62135596800 - 1)", "timestamp overflow"),
        ("quantity('x')", "quantities must match the regular expression"),
        ("[].max()", "max called on empty list"),
        ("[0].all(v, 1 / v > 0)", "division by zero"),
        ("{'a': 1, 'a': 2}", "insert failed: key a already exists"),
        ("lists.range(100000).all(i, lists.range(100000).all(j, true))", "operation cancelled"),
    ],
)
def test_it_fails_with_cel_gos_sentence(text: str, message: str) -> None:
    """Runtime errors reach the user's terminal."""
    with pytest.raises(CelError) as found:
        value(text, x={"a": 1})

    assert str(found.value).startswith(message)


def test_loop_variables_hide_and_give_back() -> None:
    """An inner x is not the outer x."""
    assert value("[1, 2].map(x, [10].map(x, x)[0] + x) == [11, 12]") is True
    assert value("[1].exists(self, self == 1) && self == 5", self=5) is True


def test_optionals_come_back_as_optionals() -> None:
    """For oldSelf."""
    assert value("o.hasValue() ? o.value() : 0", o=Optional(True, 4)) == 4


numbers = st.integers(-50, 50).map(str)
arithmetic = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        inner.map(lambda text: f"-({text})"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} < {p[1]} ? {p[1]} : {p[2]})"),
        st.lists(inner, max_size=3).map(lambda p: f"[{', '.join(p)}].map(x, x + 1).size()"),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(text=arithmetic)
def test_it_agrees_with_the_cel_library(text: str) -> None:
    """Random expressions; an error there is an error here."""
    cel = pytest.importorskip("cel_expr_python.cel", reason="needs the extra crlab[cel]")
    judged = cel.NewEnv().compile(text).eval()
    try:
        mine = value(text)
    except CelError:
        assert judged.type() == cel.Type.ERROR
    else:
        assert mine == judged.plain_value()


HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("quantity(self).isLessThan(quantity('10Gi'))", "1e10000000"),
        ("quantity(self).add(quantity('1')).isInteger()", "1e2147483647"),
        ("quantity(self).sub(1).compareTo(quantity('1')) == -1", "1e2147483647"),
        ("quantity(self) == quantity('1e2147483646')", "1e2147483647"),
    ],
)
def test_a_quantity_with_a_huge_exponent_is_compared_at_once(text: str, chosen: str) -> None:
    """Written out as an integer it would hold the store's lock for minutes."""
    assert value(text, self=chosen) is False


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("int(self) == 1", HUGE),
        ("uint(self) == 1u", HUGE),
        ("double(self) == 1.0", "1e" + HUGE + "x"),
        ("duration(self) == duration('1s')", HUGE + "h"),
        ("duration(self) == duration('1s')", "2562048h"),
        ("timestamp(self).getFullYear() == 1", "0000-01-01T00:00:00Z"),
        ("timestamp(self).getFullYear() == 1", "2024-01-01T00:00:00+99:99"),
        ("timestamp('9999-12-31T23:59:59Z').getHours(self) == 1", "+23:00"),
        ("timestamp('2024-01-01T00:00:00Z').getHours(self) == 1", "99:99"),
        ("timestamp('2024-01-01T00:00:00Z').getHours(self) == 1", "x" * 5000),
        ("timestamp('2024-01-01T00:00:00Z').getHours(self) == 1", "Europe"),
        ("semver(self).major() == 1", f"{HUGE}.0.0"),
        ("semver(self).isLessThan(semver('1.0.0'))", f"1.0.0-{HUGE}"),
        ("ip(self).family() == 4", f"1.2.3.{HUGE}"),
        ("cidr(self).prefixLength() == 4", f"1.2.3.4/{HUGE}"),
        ("url(self).getPort() == '1'", f"http://x:{HUGE}/"),
        ("self.format([1.0]) == ''", "%.1000000000f"),
        ("self.format([1.0]) == ''", f"%.{HUGE}e"),
        ("quantity(self).isInteger()", "1e" + HUGE),
    ],
)
def test_a_text_out_of_range_is_a_cel_error(text: str, chosen: str) -> None:
    """Users choose these texts: no exception of Python's, no gigabyte, no waiting."""
    with pytest.raises(CelError):
        value(text, self=chosen)


@pytest.mark.parametrize("literal", [HUGE, HUGE + "u", "1e999", "0x" + "f" * 5000])
def test_a_literal_out_of_range_is_a_syntax_error(literal: str) -> None:
    """Also one with more digits than Python reads."""
    with pytest.raises(CelSyntaxError, match=r"invalid .* literal"):
        parse(f"1 == {literal}")


@pytest.mark.parametrize(
    ("form", "chosen"), [("date-time", "0000-01-01T00:00:00Z"), ("duration", HUGE + "h")]
)
def test_a_field_out_of_range_is_a_cel_error(form: str, chosen: str) -> None:
    """Values of a schema's format are read before any rule runs."""
    convert = converter({"type": "string", "format": form})
    assert convert is not None
    with pytest.raises(CelError):
        convert(chosen)
