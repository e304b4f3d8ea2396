"""Every rule of docs/rules.md names tests that exist, and every numbered test its rule."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
RULES = 73


def rules() -> dict[int, str]:
    """Return the text under each number of the page."""
    page = (ROOT / "docs" / "rules.md").read_text()
    parts = re.split(r"^\*\*Rule (\d+)\.\*\*", page, flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


def named_tests() -> set[str]:
    """Return the name of every test there is."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        found.update(re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    return found


def test_the_rules_are_numbered_without_a_gap():
    assert list(rules()) == list(range(1, RULES + 1))


def test_every_rule_names_tests_that_exist():
    existing = named_tests()
    for number, text in rules().items():
        named = set(re.findall(r"`(test_\w+)`", text))
        assert named, f"rule {number} names no test"
        assert named <= existing, f"rule {number}: {sorted(named - existing)}"


def test_every_numbered_test_stands_under_its_rule():
    page = rules()
    for name in named_tests():
        numbered = re.match(r"test_rule_(\d+)_", name)
        if numbered:
            assert f"`{name}`" in page.get(int(numbered[1]), ""), name


def test_every_file_a_rule_names_exists():
    for number, text in rules().items():
        here = re.search(r"; here (.*)", text)
        assert here, f"rule {number} names no file"
        for name in re.findall(r"`([^`]+)`", here[1]):
            assert (ROOT / "crlab" / name).exists(), f"rule {number}: {name}"
