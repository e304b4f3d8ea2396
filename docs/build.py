"""Render docs/, the notebooks and the API reference to site/: ``python docs/build.py``.

Pages are Markdown, notebooks are shown with the outputs that are stored in them (nothing is
executed), the reference is read from the docstrings without importing the package. No page
loads anything from elsewhere. A link that leads nowhere ends the build.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import markdown2html_mistune
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).parent))

import reference  # noqa: E402

PAGES = (  # in this order; further files of docs/ follow by name
    ("README.md", "Start"),
    ("docs/architecture.md", "Architecture"),
    ("docs/coming-from.md", "Coming from…"),
    ("docs/views.md", "Views"),
    ("docs/rules.md", "The rules of the machine"),
    ("docs/glossary.md", "Glossary"),
    ("docs/apiserver.md", "The embedded API server"),
    ("docs/reliability.md", "Reliability"),
    ("docs/performance.md", "Performance"),
    ("docs/security.md", "Security"),
    ("CONTRIBUTING.md", "Contributing"),
    ("CHANGELOG.md", "Changelog"),
)
TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }} · crlab</title>
<link rel="stylesheet" href="{{ up }}style.css">
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<nav aria-label="Pages">
<p class="name"><a href="{{ up }}index.html">crlab</a> {{ version }}</p>
{% for heading, pages in groups %}
<h2>{{ heading }}</h2>
<ul>
{% for page in pages %}
<li><a href="{{ up }}{{ page.url }}"
{%- if page.url == url %} aria-current="page"{% endif %}>{{ page.title }}</a></li>
{% endfor %}
</ul>
{% endfor %}
</nav>
<main id="content" class="{{ kind }}">
{{ body | safe }}
</main>
</body>
</html>
"""


class BrokenLink(Exception):
    """A page links to what is not there."""


@dataclass(frozen=True)
class Page:
    """One page: where it comes from, where it goes, and its HTML before links are mended."""

    source: str
    url: str
    title: str
    kind: str
    body: str


def build(target: Path) -> list[Page]:
    """Write the whole site into `target`, which is emptied first; return its pages."""
    groups = [
        ("Documentation", markdown_pages()),
        ("Notebooks", notebook_pages()),
        ("Reference", reference_pages()),
    ]
    pages = [page for _, group in groups for page in group]
    known = {page.source: page for page in pages if page.source}
    names = reference.anchors({page.url: page.body for page in pages if page.kind == "reference"})
    bodies = {page.url: linked(page, known, names) for page in pages}

    shutil.rmtree(target, ignore_errors=True)
    for folder in ("notebooks", "reference"):
        (target / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "docs" / "images", target / "images")
    (target / "style.css").write_text(style())
    template = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE)
    for page in pages:
        text = template.render(
            title=page.title,
            url=page.url,
            up="../" * page.url.count("/"),
            version=reference.version(ROOT),
            groups=groups,
            kind=page.kind,
            body=bodies[page.url],
        )
        (target / page.url).write_text(text)
    return pages


# -- the three kinds of pages --------------------------------------------------------------


def markdown_pages() -> list[Page]:
    """Return the pages of docs/ and the Markdown files at the top."""
    titles = dict(PAGES)
    for path in sorted((ROOT / "docs").glob("*.md")):
        titles.setdefault(f"docs/{path.name}", first_heading(path))
    return [
        Page(name, url_of(name), title, "markdown", markdown((ROOT / name).read_text()))
        for name, title in titles.items()
        if (ROOT / name).is_file()
    ]


def notebook_pages() -> list[Page]:
    """Return every notebook, with its stored outputs."""
    exporter = HTMLExporter(template_name="basic")
    pages = [Page("notebooks", "notebooks/index.html", "The course", "markdown", course())]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        name = f"notebooks/{path.name}"
        body, _ = exporter.from_filename(str(path))
        pages.append(Page(name, url_of(name), title_of(path), "notebook", plain_ids(body)))
    return pages


def course() -> str:
    """Return the list of the notebooks."""
    rows = [
        f'<li><a href="{path.name}">{html.escape(title_of(path))}</a></li>'
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    ]
    return f"<h1>The course</h1>\n<ol>{''.join(rows)}</ol>"


def reference_pages() -> list[Page]:
    """Return the API reference."""
    return [
        Page("", f"reference/{name}.html", title, "reference", body)
        for name, title, body in reference.pages(ROOT, markdown)
    ]


def markdown(text: str) -> str:
    """Render Markdown; headings get the anchors that GitHub gives them."""
    return plain_ids(markdown2html_mistune(text))


def plain_ids(body: str) -> str:
    """Lower the ids of headings and drop their pilcrows."""

    def heading(match: re.Match[str]) -> str:
        level, inner = match[1], re.sub(r'<a class="anchor-link".*?</a>', "", match[2])
        text = html.unescape(re.sub(r"<[^>]+>", "", inner))
        slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
        return f'<h{level} id="{html.escape(slug)}">{inner}</h{level}>'

    return re.sub(r"<h([1-6])[^>]*>(.*?)</h\1>", heading, body, flags=re.DOTALL)


def first_heading(path: Path) -> str:
    """Return a page's title."""
    found = re.search(r"^# (.+)$", path.read_text(), re.MULTILINE)
    return found[1].strip() if found else path.stem


def title_of(notebook: Path) -> str:
    """Return a notebook's title: its first heading."""
    for cell in json.loads(notebook.read_text())["cells"]:
        found = re.search(r"^# (.+)$", "".join(cell["source"]), re.MULTILINE)
        if cell["cell_type"] == "markdown" and found:
            return found[1].strip()
    return notebook.stem


# -- links ---------------------------------------------------------------------------------


def url_of(name: str) -> str:
    """Return where a source goes: README.md is the index, docs/ lies at the top."""
    if name == "README.md":
        return "index.html"
    stem = re.sub(r"\.(md|ipynb)$", "", name).removeprefix("docs/")
    return f"{stem.lower() if name.endswith('.md') else stem}.html"


def linked(page: Page, known: dict[str, Page], names: dict[str, str]) -> str:
    """Return a page's HTML with its links mended."""
    if page.kind == "reference":
        return reference.link_names(page.body, names, page.url)
    return mend_links(page, known)


def mend_links(page: Page, known: dict[str, Page]) -> str:
    """Point links between sources to their pages; what is not in the site loses its link.

    Raises:
        BrokenLink: the file or the heading does not exist.
    """
    folder = page.source if page.source == "notebooks" else os.path.dirname(page.source)

    def anchor(match: re.Match[str]) -> str:
        before, address, after, inner = match.groups()
        path, _, fragment = html.unescape(address).partition("#")
        if "://" in path or path.startswith(("mailto:", "data:")):
            return match[0]
        name = os.path.normpath(os.path.join(folder, path)) if path else page.source
        if not (ROOT / name).exists():
            raise BrokenLink(f"{page.source}: {address}")
        goal = known.get(name)
        if goal is None:
            return inner
        if fragment and f'id="{fragment}"' not in goal.body:
            raise BrokenLink(f"{page.source}: {address}: no such heading")
        url = os.path.relpath(goal.url, os.path.dirname(page.url) or ".")
        url = url if path else ""
        return f'<a {before}href="{url}{"#" + fragment if fragment else ""}"{after}>{inner}</a>'

    def image(match: re.Match[str]) -> str:
        if "://" in match[2] or match[2].startswith("data:"):
            return match[0]
        name = os.path.normpath(os.path.join(folder, match[2]))
        if not (ROOT / name).is_file():
            raise BrokenLink(f"{page.source}: {match[2]}")
        url = os.path.relpath(name.removeprefix("docs/"), os.path.dirname(page.url) or ".")
        return f'{match[1]}="{url}"'

    body = re.sub(r'<a ([^>]*?)href="([^"]*)"([^>]*)>(.*?)</a>', anchor, page.body, flags=re.DOTALL)
    return re.sub(r'(src|srcset)="([^"]*)"', image, body)


def style() -> str:
    """Return the style sheet: ours, and the colours of code."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="monokai").get_style_defs(".highlight")
    ours = (ROOT / "docs" / "style.css").read_text()
    return f"{ours}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def main(arguments: list[str] | None = None) -> int:
    """Build and say where; 1 if a link leads nowhere."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=Path, default=ROOT / "site")
    options: Any = parser.parse_args(arguments)
    try:
        pages = build(options.target)
    except BrokenLink as error:
        sys.stderr.write(f"broken link in {error}\n")
        return 1
    sys.stdout.write(f"{len(pages)} pages in {options.target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
