"""HTML is made by `H` alone: no template, no f-string, no mark-up from data."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import crlab

ROOT = Path(crlab.__file__).parent
FILES = sorted([*(ROOT / "views").glob("*.py"), *(ROOT / "widgets").glob("*.py")])
TAG = re.compile(r"</?[a-zA-Z!]")


def name_of(node: ast.AST) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


def docstrings(tree: ast.AST) -> set[int]:
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_markup_outside_of_h(path: Path) -> None:
    """A tag in a string is allowed only in `trusted(...)`, and that only at module level
    or around the style sheet: a literal of our own."""
    tree = ast.parse(path.read_text())
    allowed = docstrings(tree)
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        if name_of(call.func) == "trusted":
            allowed |= {id(n) for n in ast.walk(call)}
            names = {name_of(n) for n in ast.walk(call) if isinstance(n, ast.Name | ast.Attribute)}
            assert names <= {"trusted", "CSS", "join", "name", "place", "zip", "STAGES", "PLACES"}
    tags = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and TAG.search(node.value)
        and id(node) not in allowed
    ]
    assert not tags, f"a tag in a string: lines {tags}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_markup_is_never_made_from_data(path: Path) -> None:
    """`Markup(...)` outside of the escape helper is the empty one; ipywidgets' HTML is `pane`."""
    for call in (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)):
        if name_of(call.func) == "Markup":
            assert [ast.dump(a) for a in call.args] == ["Constant(value='')"], call.lineno
        if name_of(call.func) in ("HTML", "HTMLMath", "Markdown", "Javascript", "Output"):
            assert (path.name, name_of(call.func)) == ("control.py", "HTML"), call.lineno
        assert name_of(call.func) not in ("print", "clear_output"), call.lineno
