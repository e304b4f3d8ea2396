"""Resource quantities."""

from decimal import Decimal

import pytest

from crlab.model.quantity import (
    QuantityError,
    format_quantity,
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


@pytest.mark.parametrize("text", ["", "x", "1kk", "1 k", "1ki", "e3", None, True, [], "9" * 300])
def test_what_is_no_quantity_is_a_typed_error(text):
    """And a missing number in a column."""
    assert not is_quantity(text)
    assert quantity_number(text) is None
    with pytest.raises(QuantityError):
        parse_quantity(text)


def test_numbers_are_written_canonically():
    """The largest suffix without a fraction."""
    assert format_quantity(Decimal("0.1")) == "100m"
    assert format_quantity(2000) == "2k"
    assert format_quantity(1024**3, binary=True) == "1Gi"
    assert format_quantity(0) == "0"
