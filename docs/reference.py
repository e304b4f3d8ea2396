"""The API reference, read from the docstrings (without importing the package).

One page per part; what a package's ``__all__`` names is public, and so are its members
without a leading underscore, those of its bases included.
"""

from __future__ import annotations

import ast
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import griffe

PARTS = (  # page, title, modules: their __all__, else all public definitions, or the one named
    ("crlab", "crlab", ("crlab",)),
    ("controller", "Controllers", ("crlab.lab.lab_controller", "crlab.controller",
                                   "crlab.controller.predicate")),
    ("testing", "crlab.testing", ("crlab.testing", "crlab.testing.fixture")),
    ("frame", "Frames", ("crlab.frame",)),
    (
        "view",
        "Views",
        (
            "crlab.widgets.view:View",
            "crlab.widgets.table:TableView",
            "crlab.widgets.event:EventsView",
            "crlab.widgets.rate:RateView",
            "crlab.widgets.pipeline:PipelineView",
            "crlab.widgets.stepper:StepperView",
            "crlab.widgets.time_slider:TimeSliderView",
            "crlab.widgets.fault:FaultView",
        ),
    ),
    ("report", "Reports", ("crlab.report",)),
    ("fault", "Faults", ("crlab.lab.fault",)),
    ("cache", "The informer", ("crlab.cache",)),
    ("workqueue", "The workqueue", ("crlab.workqueue",)),
    ("client", "The client", ("crlab.client",)),
    ("apiserver", "The API server", ("crlab.apiserver",)),
    ("model", "Objects", ("crlab.model.object", "crlab.model.resource", "crlab.model.redaction")),
    ("trace", "Trace and recordings", ("crlab.trace",)),
    ("error", "Errors", ("crlab.errors",)),
)  # fmt: skip
_HELP = """
import json
from crlab.__main__ import parser
top = parser()
commands = top._subparsers._group_actions[0].choices
print(json.dumps({p.prog: p.format_help() for p in [top, *commands.values()]}))
"""
Markdown = Callable[[str], str]


def version(root: Path) -> str:
    """Return the version the package says it has."""
    found = re.search(r'^__version__ = "(.+)"$', (root / "crlab/__init__.py").read_text(), re.M)
    assert found is not None
    return found[1]


def pages(root: Path, markdown: Markdown) -> Iterator[tuple[str, str, str]]:
    """Yield (page, title, HTML)."""
    loader = griffe.GriffeLoader(
        search_paths=[str(root)],
        docstring_parser=griffe.Parser.google,
        docstring_options={"warnings": False, "returns_named_value": False,
                           "returns_multiple_items": False},
    )  # fmt: skip
    package = loader.load("crlab")
    loader.resolve_aliases(implicit=True, external=False)
    for name, title, modules in PARTS:
        body = [f"<h1>{html.escape(title)}</h1>"]
        for path, _, only in (module.partition(":") for module in modules):
            module = package if path == "crlab" else package[path.removeprefix("crlab.")]
            body.append(_Writer(markdown).module(path, module, only))
        yield name, title, "\n".join(body)
    yield "command-line", "Command line", _command_line(root)


def _command_line(root: Path) -> str:
    """Return what ``--help`` prints."""
    done = subprocess.run(
        [sys.executable, "-c", _HELP],
        cwd=root,
        env={**os.environ, "COLUMNS": "88", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    body = ["<h1>Command line</h1>"]
    for name, text in json.loads(done.stdout).items():
        body.append(f'<h2 id="{name.replace(" ", "-")}">{name}</h2>')
        body.append(f"<pre>{html.escape(text)}</pre>")
    return "\n".join(body)


class _Writer:
    def __init__(self, markdown: Markdown) -> None:
        self._markdown = markdown

    def module(self, path: str, module: Any, only: str = "") -> str:
        """Render a module: its docstring, then its public names (or only one)."""
        head = f'<h2 id="{path}"><code>{path}</code></h2>'
        names = [only] if only else _exports(module)
        if names is None:
            names = [
                name
                for name, member in module.members.items()
                if not name.startswith("_") and not member.is_alias and _text(member)
            ]
        members = [self.member(f"{path}.{name}", _target(module[name]), 3) for name in names]
        return "\n".join([head, self.docstring(module), *members])

    def member(self, path: str, member: Any, level: int) -> str:
        """Render a class, a function or an attribute."""
        name = path.rpartition(".")[2]
        what = "class" if member.is_class else "" if member.is_function else "attribute"
        if "property" in member.labels:
            what = "property"
        parts = [f'<h{level} id="{path}"><code>{name}</code> <span class="what">{what}</span>']
        parts[0] += f"</h{level}>"
        if member.is_function or member.is_class:
            parts.append(f"<pre>{html.escape(_signature(name, member))}</pre>")
        elif getattr(member, "annotation", None) is not None:
            parts.append(f"<pre>{html.escape(f'{name}: {member.annotation}')}</pre>")
        parts.append(self.docstring(member))
        if member.is_class:
            parts += [
                self.member(f"{path}.{child}", _target(value), min(level + 1, 6))
                for child, value in _public(member)
            ]
        return f'<div class="member">{"".join(parts)}</div>'

    def docstring(self, member: Any) -> str:
        """Render a docstring's sections."""
        if member.docstring is None:
            return ""
        return "".join(self.section(section) for section in member.docstring.parsed)

    def section(self, section: Any) -> str:
        kind = section.kind.value
        if kind == "text":
            return self.text(section.value)
        if kind == "admonition":
            return self.fields(section.title, [("", section.value.contents)])
        if kind == "examples":
            return self.fields("Example", [("", value) for _, value in section.value])
        rows = []
        for item in section.value:
            name = getattr(item, "name", "") or ""
            if kind in ("raises", "returns", "yields"):
                name = str(item.annotation or "") if kind == "raises" else ""
            rows.append((name, item.description))
        titles = {"parameters": "Args"}
        return self.fields(titles.get(kind, kind.capitalize()), rows)

    def fields(self, title: str, rows: list[tuple[str, str]]) -> str:
        inner = "".join(
            f"<dd>{f'<code>{html.escape(name)}</code> ' if name else ''}{self.text(text)}</dd>"
            for name, text in rows
        )
        return f'<dl class="fields"><dt>{html.escape(title)}</dt>{inner}</dl>'

    def text(self, text: str) -> str:
        return self._markdown(re.sub(r"::$", ":", text, flags=re.MULTILINE))


def _exports(module: Any) -> list[str] | None:
    for node in ast.parse(module.filepath.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return None


def _target(member: Any) -> Any:
    return member.final_target if member.is_alias else member


def _text(member: Any) -> str:
    return member.docstring.value if member.docstring is not None else ""


def _public(owner: Any) -> list[tuple[str, Any]]:
    """Return the members of a class that are documented, own and inherited."""
    found = []
    for name, member in {**owner.inherited_members, **owner.members}.items():
        target = _target(member)
        if not name.startswith("_") and (_text(target) or target.is_function):
            found.append((name, member))
    return found


def _signature(name: str, member: Any) -> str:
    if member.is_class:
        bases = ", ".join(str(base) for base in member.bases)
        return f"class {name}({bases})" if bases else f"class {name}"
    if "property" in member.labels:
        return f"{name}: {member.returns}"
    parts, is_keyword_only = [], False
    for parameter in member.parameters:
        if parameter.name in ("self", "cls"):
            continue
        kind = parameter.kind.value
        if kind == "keyword-only" and not is_keyword_only:
            parts.append("*")
        is_keyword_only = is_keyword_only or kind in ("keyword-only", "variadic positional")
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        text = stars + parameter.name
        if parameter.annotation is not None:
            text += f": {parameter.annotation}"
        if parameter.default is not None and not stars:
            text += f" = {parameter.default}"
        parts.append(text)
    result = f" -> {member.returns}" if member.returns is not None else ""
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) <= 88:
        return line
    return f"{name}(\n    " + ",\n    ".join(parts) + f",\n){result}"


# -- links between names -------------------------------------------------------------------


def anchors(bodies: dict[str, str]) -> dict[str, str]:
    """Return name → address: full names, "Lab.apply" and "Lab" where they are unambiguous."""
    found: dict[str, set[str]] = {}
    for url, body in bodies.items():
        for path in re.findall(r'id="(crlab\.[\w.]+)"', body):
            pieces = path.split(".")
            first = next((i for i, piece in enumerate(pieces) if piece[:1].isupper()), None)
            short = ".".join(pieces[first:]) if first is not None else pieces[-1]
            for name in {path, short}:
                found.setdefault(name, set()).add(f"{url}#{path}")
    return {name: min(places, key=len) for name, places in found.items() if name != "crlab"}


def link_names(body: str, names: dict[str, str], url: str) -> str:
    """Turn ``<code>Lab.apply</code>`` within text into a link to its description."""

    def link(match: re.Match[str]) -> str:
        goal = names.get(match[1])
        if goal is None or (match[1][:1].islower() and "." not in match[1]):
            return match[0]
        page, _, anchor = goal.partition("#")
        address = f"#{anchor}" if page == url else f"{os.path.basename(page)}#{anchor}"
        return f'<a href="{address}">{match[0]}</a>'

    return re.sub(r"(?<!\">)<code>([\w.]+)</code>", link, body)
