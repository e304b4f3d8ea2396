"""Resource quantities ("100m", "1.5Gi", "2e3") as exact numbers, and back.

Thread: pure functions.
Source: k8s.io/apimachinery/pkg/api/resource/quantity.go, suffix.go.
"""

from __future__ import annotations

import re
from decimal import Decimal

from crlab.errors import CrlabError

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([KMGTPE]i|[numkMGTPE]))?")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_MAX_LENGTH = 256


class QuantityError(CrlabError, ValueError):
    """Text that is not a quantity."""


def parse_quantity(value: object) -> Decimal:
    """Return a quantity as an exact number ("100m" → 0.1; numbers pass through).

    Raises:
        QuantityError: not a quantity.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise QuantityError(f"{value!r} is not a quantity; expected text such as 100m or 1Gi")
    if isinstance(value, float | int | Decimal):
        return Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    match = _FORM.fullmatch(value) if len(value) <= _MAX_LENGTH else None
    if match is None:
        shown = value if len(value) <= 40 else value[:40] + "…"
        raise QuantityError(
            f"{shown!r} is not a quantity; expected a number with an optional suffix "
            "(n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent)"
        )
    number, exponent, suffix = match.groups()
    result = Decimal(number + (exponent or ""))
    if suffix in _BINARY:
        return result * (1 << (10 * _BINARY[suffix]))
    return result.scaleb(_DECIMAL[suffix]) if suffix else result


def is_quantity(value: object) -> bool:
    """Whether `parse_quantity` accepts it."""
    try:
        parse_quantity(value)
    except QuantityError:
        return False
    return True


def quantity_number(value: object) -> float | None:
    """Return a quantity as a float; None for None and for what is not a quantity."""
    try:
        return None if value is None else float(parse_quantity(value))
    except (QuantityError, OverflowError):
        return None


def format_quantity(value: Decimal | int | float, *, binary: bool = False) -> str:
    """Return the canonical text of a number ("0.1" → "100m", binary 1073741824 → "1Gi")."""
    number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if binary and number == number.to_integral_value() and abs(number) >= 1024:
        whole = int(number)
        for suffix in reversed(_BINARY):
            unit = 1 << (10 * _BINARY[suffix])
            if whole % unit == 0:
                return f"{whole // unit}{suffix}"
        return str(whole)
    if number == 0:
        return "0"
    for suffix, power in sorted({**_DECIMAL, "": 0}.items(), key=lambda item: -item[1]):
        scaled = number.scaleb(-power)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    rounded = number.scaleb(9).to_integral_value(rounding="ROUND_CEILING")
    return f"{int(rounded)}n"
