"""Comparing resourceVersions that may be anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crlab.cache.revision import is_comparable, is_older, newest, newest_of

VERSIONS = st.one_of(st.integers(0, 2**80).map(str), st.text(max_size=6))


def test_numbers_are_compared_as_numbers():
    """Text order would put 100 before 99."""
    assert is_older("99", "100")
    assert newest("100", "99") == "100"


@given(VERSIONS, VERSIONS)
def test_whatever_comes_nothing_raises_and_order_is_strict(one, two):
    """Opaque versions are neither older nor newer."""
    assert not (is_older(one, two) and is_older(two, one))
    assert newest(one, two) in (one, two)
    assert is_comparable(one, two) == is_comparable(two, one)


@given(VERSIONS, st.lists(VERSIONS, max_size=5))
def test_the_newest_of_many_is_that_of_one_after_the_other(first, others):
    """`newest_of` takes a shorter way for numbers."""
    expected = first
    for other in others:
        expected = newest(expected, other)
    assert newest_of(first, others) == expected


def test_digits_that_are_not_ascii_or_too_many_are_no_number():
    """`int` would take the first and refuse the second."""
    assert not is_older("١", "5")
    assert not is_older("1" * 5000, "2" * 6000)
