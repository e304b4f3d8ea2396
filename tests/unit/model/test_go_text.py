"""Values as Go prints them."""

from __future__ import annotations

import pytest

from crlab.model.go_text import go_float, go_json, go_value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (100, "100"),
        (1.5, "1.5"),
        (-0.25, "-0.25"),
        (999999, "999999"),
        (1000000, "1e+06"),
        (123456789, "1.23456789e+08"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (float("inf"), "+Inf"),
    ],
)
def test_floats_print_as_percent_v(value: float, text: str) -> None:
    """Shortest digits; an exponent from a million on."""
    assert go_float(value) == text


def test_values_print_as_percent_v() -> None:
    """Maps sorted, lists in brackets."""
    assert go_value({"b": [1, None], "a": True}) == "map[a:true b:[1 <nil>]]"


def test_json_escapes_html() -> None:
    """As encoding/json does."""
    assert go_json({"a": "<&>"}) == '{"a":"\\u003c\\u0026\\u003e"}'
