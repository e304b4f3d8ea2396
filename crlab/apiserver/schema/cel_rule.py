"""Stub until the rules are compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def compile_rules(openapi: Mapping[str, Any], *, is_root: bool) -> Any:
    """Return None."""
    return None
