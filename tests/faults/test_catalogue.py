"""The catalogue is whole, and every row is proved by a test that says so."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from support.fault_catalogue import CATALOGUE, NOTEBOOK_ONLY, as_markdown

TESTS = Path(__file__).parents[1]
NUMBERS = re.compile(r"[Ff]aults?((?:[\s,]|and|-|\d|\([a-z]\))+)")


def numbers_in(text):
    """Return the fault numbers a docstring names; "69-72" is a range."""
    found = set()
    for part in NUMBERS.findall(text or ""):
        for low, high in re.findall(r"(\d+)(?:-(\d+))?", part):
            found.update(range(int(low), int(high or low) + 1))
    return found


@cache
def promises_of(file):
    """Return {function: numbers its docstring names} of a file."""
    tree = ast.parse((TESTS / file).read_text())
    return {
        node.name: numbers_in(ast.get_docstring(node))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: str(row.number))
def test_a_row_is_proved_by_tests_that_name_it(row):
    """ "file::" alone means that some test of the file does, or its module as a whole."""
    assert row.tests
    for place in row.tests:
        file, _, name = place.partition("::")
        tests = promises_of(file)
        if name:
            assert row.number in tests[name], place
            continue
        module = numbers_in(ast.get_docstring(ast.parse((TESTS / file).read_text())))
        assert row.number in module.union(*tests.values()), place


def test_no_number_is_missing():
    """1 to 92, each once."""
    numbers = [row.number for row in CATALOGUE] + list(NOTEBOOK_ONLY)
    assert sorted(numbers) == list(range(1, 93))


def test_the_page_holds_this_table():
    """docs/reliability.md, word for word."""
    page = (TESTS.parent / "docs" / "reliability.md").read_text()
    assert as_markdown() in page
