"""Resource quantities."""

from decimal import Decimal

import pytest

from crlab.model.quantity import (
    QuantityError,
    add_quantities,
    is_quantity,
    parse_quantity,
    quantity_number,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100m", "0.1"),
        ("1.5Gi", 1610612736),
        ("2e3", 2000),
        ("1Ki", 1024),
        ("0", 0),
        ("5n", "5e-9"),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("-1k", -1000),
        (".5", "0.5"),
        ("3.", 3),
        (7, 7),
    ],
)
def test_quantities_are_exact_numbers(text, number):
    """Suffixes of all three families."""
    assert parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    ["", "x", "1kk", "1 k", "1ki", "1e", "1e99999999999999999999", None, True, [], "9" * 300],
)
def test_what_is_no_quantity_is_a_typed_error(text):
    """And a missing number in a column."""
    assert not is_quantity(text)
    assert quantity_number(text) is None
    with pytest.raises(QuantityError):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e-99", "1e-9"),
        ("-0.0000000001", "-1e-9"),
        ("1.0000000001", "1.000000001"),
        ("9Ei", 2**63 - 1),
        ("-9Ei", -(2**63) + 1),
        ("9E", 9 * 10**18),
        ("1e9223372036854775807", "0.1"),
        (".", 0),
        ("m", 0),
        ("e3", 0),
    ],
)
def test_the_ends_of_the_range_are_gos(text, number):
    """Rounded up to nano, capped at an int64 for binary suffixes, an exponent of 32 bits."""
    assert parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["1e10000000", "1e2147483647", "-1e-2147483648", "1e1000"])
def test_an_exponent_costs_nothing(text):
    """Ten characters must not hold the server: parsing, comparing and adding are immediate."""
    size, limit = parse_quantity(text), parse_quantity("10Gi")

    assert (size < limit) == ("-" in text)
    assert add_quantities([size, limit, -limit]) == pytest.approx(size)
    assert quantity_number(text) is not None


def test_digits_of_other_scripts_are_refused():
    """Go reads ASCII only."""
    assert not is_quantity("\uff11")
    assert not is_quantity("1e\u0663")
