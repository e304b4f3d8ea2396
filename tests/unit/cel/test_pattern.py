"""Patterns mean what they mean to Go."""

from __future__ import annotations

import pytest

from crlab.cel.pattern import PatternError, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^[[:alpha:]]+$", "ab", "a1"),
        (r"^\d+\z", "12", "١٢"),
        ("a$", "ba", "a\n"),
        (r"^\Q.*\E$", ".*", "x"),
        (r"^[\w.-]+$", "a.b-c", "a b"),
        (r"^\x{41}$", "A", "B"),
        ("^[]a]$", "]", "b"),
        (r"(?i)^AB$", "ab", "ac"),
        (r"^\p{Lu}", "A", "a"),
        (r"^\PL$", "1", "ä"),
        ("^(?i)[a-z]+$", "AB", "1"),
        ("^(a(?i)b|c)d$", "aBd", "aBD"),
        ("^(a(?i)b|c)d$", "Cd", "Ab"),
        ("(?m)^a$", "b\na\nc", "b"),
        ("(?s:a.b)", "a\nb", "ab"),
        ("^(?<n>a)$", "a", "b"),
        ("^(?:a|(?i)b)$", "B", "A"),
    ],
)
def test_patterns_mean_what_they_mean_to_go(pattern: str, good: str, bad: str) -> None:
    """RE2's dialect, translated."""
    compiled = compile_pattern(pattern)

    assert compiled.search(good)
    assert not compiled.search(bad)


@pytest.mark.parametrize(
    "pattern",
    ["(?=a)", r"(a)\1", "a(", "a)", "[[:nope:]]", "(?<!a)b", "a\\", "[a", "(?U)a", r"\p{Nope}"],
)
def test_patterns_that_go_refuses_are_refused(pattern: str) -> None:
    """Lookaround and back-references do not exist in RE2."""
    with pytest.raises(PatternError, match="error parsing regexp"):
        compile_pattern(pattern)
