"""The house itself: modules have signs, exports are complete, imports are light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import crlab

PACKAGE = Path(crlab.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
HEAVY = {"pandas", "numpy", "matplotlib", "ipywidgets", "IPython", "aiohttp", "kubernetes"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    """A room without a sign is not entered."""
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_importing_crlab_loads_nothing_heavy() -> None:
    """A first cell must not wait for libraries it may never need."""
    code = f"import sys, crlab; print(sorted({HEAVY!r} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_every_exported_name_resolves() -> None:
    """What `__all__` promises is there."""
    missing = [name for name in crlab.__all__ if not hasattr(crlab, name)]

    assert missing == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_threads_are_made_in_one_place_only(path: Path) -> None:
    """Every thread has a name, a context and somebody who hears how it ended."""
    if path.name in {"thread.py", "clock.py"} and path.parent.name == "runtime":
        return
    calls = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in {"Thread", "Timer", "sleep"}
        and isinstance(node.value, ast.Name)
        and node.value.id in {"threading", "time"}
    ]

    assert calls == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_is_unpickled_or_evaluated(path: Path) -> None:
    """S27: recordings and manifests are data; nothing in the package can run them."""
    tree = ast.parse(path.read_text())
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }

    assert not imported & {"pickle", "marshal", "shelve", "dill", "joblib"}
    assert not called & {"eval", "exec", "__import__"}
