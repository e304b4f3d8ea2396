"""The house itself: modules have signs, exports are complete, imports are light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import crlab
from crlab.controller import Context
from crlab.examples import myservice

PACKAGE = Path(crlab.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
HEAVY = {"pandas", "numpy", "matplotlib", "ipywidgets", "IPython", "aiohttp", "kubernetes"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    """A room without a sign is not entered."""
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_every_module_says_which_thread_may_use_it() -> None:
    """Of a package the modules say it; a subcommand has the main thread, an example none."""
    silent = {
        module_of(path)
        for path in MODULES
        if "Thread" not in path.read_text()
        and not path.name.startswith("__")
        and path.parent.name not in ("command", "examples")
    }

    assert silent == set()


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


# -- the plan of the house ---------------------------------------------------------------------

LARGEST_CIRCLE = 7
NAMED_AFTER = {"views", "widgets", "command"}  # after what they draw; after the subcommand
GERUNDS = {"polling", "listing", "opening", "recording"}  # things, in the field's own words


def module_of(path: Path) -> str:
    """Return a file's dotted name."""
    parts = ["crlab", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, known: set[str]) -> set[str]:
    """Return the modules of crlab that a file imports anywhere, for types as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= {node.module} & known
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
    return found - {module_of(path)}


def test_no_circle_of_imports_is_large() -> None:
    """What imports each other, for types too, cannot be read or tested alone."""
    known = {module_of(path) for path in MODULES if path.name != "__init__.py"}
    graph = {module_of(path): imports_of(path, known) for path in MODULES}
    reached = {name: _reach(graph, name) for name in graph}
    circles = {
        frozenset({name, *(other for other in reached[name] if name in reached[other])})
        for name in graph
    }

    assert sorted(max(circles, key=len)) == sorted(max(circles, key=len))[:LARGEST_CIRCLE]


def _reach(graph: dict[str, set[str]], name: str) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        for other in graph.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


def test_every_class_has_a_name_of_its_own() -> None:
    """A name means one thing in the whole house."""
    homes: dict[str, set[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, set()).add(module_of(path))

    assert {name: sorted(where) for name, where in homes.items() if len(where) > 1} == {}


def test_every_file_has_a_name_of_its_own() -> None:
    """But what draws a thing is named after it, and a command after what is typed."""
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        if path.name not in ("__init__.py", "__main__.py") and path.parent.name not in NAMED_AFTER:
            homes.setdefault(path.name, []).append(module_of(path))

    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_modules_are_nouns() -> None:
    """ "asking", "acting" and "judging" tell nobody what is inside."""
    gerunds = {path.stem for path in MODULES if path.stem.endswith("ing") and path.stem != "string"}

    assert gerunds - GERUNDS == set()


def test_parameters_say_what_is_wanted_and_answers_whether_it_is() -> None:
    """`dry_run=True`, `insecure=True`; but ``controller.is_running``."""
    found = [
        f"{module_of(path)}.{node.name}({argument.arg})"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        for argument in (*node.args.args, *node.args.kwonlyargs)
        if argument.arg.startswith(("is_", "has_"))
        and argument.annotation is not None
        and ast.unparse(argument.annotation).startswith("bool")
        and argument.arg != "is_in_initial_list"  # client-go's name of what handlers are given
    ]

    assert found == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    """A plan that names a room which is gone leads nowhere."""
    root = PACKAGE.parent
    named = set(
        re.findall(
            r"`((?:crlab|tests|docs|notebooks|binder)/[\w./*<>-]*)`", (root / page).read_text()
        )
    )
    missing = [name for name in named if "<" not in name and not list(root.glob(name.rstrip("/")))]

    assert len(named) > 3
    assert missing == []


def test_every_package_has_a_row_in_contributing() -> None:
    """Whoever adds a room says what goes there."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    packages = [path.parent for path in MODULES if path.name == "__init__.py"]
    rooms = {str(path.relative_to(PACKAGE.parent)) for path in packages} - {"crlab"}

    assert {room for room in rooms if f"`{room}/" not in text} == set()


RARE_THREADS = {"crlab-resolve", "crlab-credential", "crlab-timer", "crlab-render", "crlab-cmd"}


def test_the_register_of_threads_is_true(tmp_path: Path) -> None:
    """Every thread that lives is in docs/architecture.md, under the name it has."""
    text = (PACKAGE.parent / "docs/architecture.md").read_text()
    table = text[text.index("| name | owner |") : text.index("All are daemons")]
    rows = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    documented = {name for row in rows for name in re.findall(r"`(crlab-[^`]+)`", row)}
    with crlab.sandbox(seed=0) as lab:
        lab.apply(myservice.CRD)
        services = lab.informer("myservices", audit_seconds=60).wait_for_sync()
        services.add_event_handler(on_add=lambda obj, is_in_initial_list: None)

        @lab.controller(services, name="ctl", timeout_seconds=60)
        def reconcile(request: crlab.Request, ctx: Context) -> None:
            ctx.event("Seen", "it is there")

        reconcile.start()
        recorder = lab.record(tmp_path / "it.jsonl.gz")
        lab.apply(myservice.EXAMPLE)
        lab.wait_until(lambda: len(lab.list("events", "default")) > 0)
        alive = {thread.name for thread in threading.enumerate()} - {"MainThread"}
        recorder.close()

    patterns = {name: re.sub(r"<\w+>", r"[\\w.-]+", name) for name in documented}
    seen = {n for n, pattern in patterns.items() if any(re.fullmatch(pattern, a) for a in alive)}
    strangers = {a for a in alive if not any(re.fullmatch(p, a) for p in patterns.values())}
    assert {name for name in strangers if name.startswith("crlab")} == set()
    assert documented - seen <= RARE_THREADS
