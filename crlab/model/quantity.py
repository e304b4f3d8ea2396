"""Resource quantities ("100m", "1.5Gi", "2e3") as exact numbers: the one place that reads them.

From: whoever holds a quantity as text: frames, printers, CEL rules, string formats of schemas.
To: a `Decimal` that can be compared at once; what adds such numbers calls `add_quantities`.

Guarantees:
  1. What Go's resource.ParseQuantity takes is taken, and means the same number.
  2. The time is bounded by the length of the text, however large the exponent in it.

Thread: pure functions.
Source: k8s.io/apimachinery/pkg/api/resource/quantity.go (ParseQuantity), suffix.go (interpret).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, ROUND_UP, Context, Decimal

from crlab.errors import CrlabError

# Go's scanner in one expression. It takes ".", "+" and "m", too: a number without digits is 0.
_FORM = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)")
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_MAX_LENGTH = 256
_MAX_BINARY = Decimal(2**63 - 1)
_NANO = Decimal("1e-9")
# A sum of 1e2147483647 and 1 has two thousand million digits: keep the first thousand of any
# result. All quantities of up to 256 characters without such an exponent are exact in it.
_EXACT = Context(prec=1000, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])

FORMAT_WRONG = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
SUFFIX_WRONG = "unable to parse quantity's suffix"


class QuantityError(CrlabError, ValueError):
    """Text that is not a quantity; `reason` is Go's sentence for it."""

    def __init__(self, message: str, reason: str = FORMAT_WRONG) -> None:
        super().__init__(message)
        self.reason = reason


def parse_quantity(value: object) -> Decimal:
    """Return a quantity as an exact number ("100m" → 0.1; numbers pass through).

    A fraction finer than 1n is rounded away from zero; Ki to Ei end at 2⁶³-1.

    Raises:
        QuantityError: not a quantity, or longer than 256 characters.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise QuantityError(f"{value!r} is not a quantity; expected text such as 100m or 1Gi")
    if isinstance(value, float | int | Decimal):
        return Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    match = _FORM.fullmatch(value) if 0 < len(value) <= _MAX_LENGTH else None
    if match is None:
        raise _not_a_quantity(value, FORMAT_WRONG)
    sign, whole, fraction, suffix = match.groups()
    number = Decimal(f"{sign}{whole or 0}.{fraction or ''}")
    if suffix in _BINARY:
        scaled = _EXACT.multiply(number, Decimal(1 << _BINARY[suffix]))
        return max(-_MAX_BINARY, min(_MAX_BINARY, _rounded(scaled)))
    return _rounded(_EXACT.scaleb(number, _power(value, suffix)))


def _power(value: str, suffix: str) -> int:
    """Return the power of ten that a decimal suffix stands for."""
    if suffix in _DECIMAL:
        return _DECIMAL[suffix]
    found = _EXPONENT.fullmatch(suffix)
    if found is None or not -(2**63) <= int(found[1]) < 2**63:
        raise _not_a_quantity(value, SUFFIX_WRONG)
    # Go reads an int64 and keeps its low 32 bits.
    return (int(found[1]) + 2**31) % 2**32 - 2**31


def _rounded(number: Decimal) -> Decimal:
    if number.is_zero():
        return Decimal(0)
    if number.adjusted() < -9 - _EXACT.prec:  # too fine for quantize
        return _NANO.copy_sign(number)
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -9:
        return number.quantize(_NANO, ROUND_UP, _EXACT)
    return number


def _not_a_quantity(value: str, reason: str) -> QuantityError:
    shown = value if len(value) <= 40 else value[:40] + "…"
    return QuantityError(
        f"{shown!r} is not a quantity; expected a number with an optional suffix "
        "(n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent)",
        reason,
    )


def add_quantities(numbers: Iterable[Decimal]) -> Decimal:
    """Return the sum of quantities, exact to a thousand digits."""
    total = Decimal(0)
    for number in numbers:
        total = _EXACT.add(total, number)
    return total


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
