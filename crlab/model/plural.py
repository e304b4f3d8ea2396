"""A number with its unit, as it is said.

Thread: pure functions.
"""

from __future__ import annotations


def counted(number: int, unit: str) -> str:
    """Return a number with a unit that is given in the plural: "1 object", "2 objects"."""
    return f"{number} {unit_of(number, unit)}"


def unit_of(number: int, unit: str) -> str:
    """Return a unit given in the plural as it is said after `number`."""
    if number != 1:
        return unit
    for plural, singular in (("tries", "try"), ("ches", "ch")):
        if unit.endswith(plural):
            return unit.removesuffix(plural) + singular
    return unit.removesuffix("s")
