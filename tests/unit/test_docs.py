"""The site builds, holds every notebook and every public name, and its claims are true."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

import crlab
import crlab.testing
from crlab.apiserver import ApiServer
from crlab.apiserver.request import HttpRequest, HttpResponse

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NOT_FOUND = "the server could not find the requested resource"
NO_PAGE = "404 page not found\n"
POD = "/api/v1/namespaces/default/pods/web"
CORE = "/api/v1/namespaces/default"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once, as ``make docs`` builds it."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(DOCS / "build.py"), "--target", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return target


class Page(HTMLParser):
    """Ids, links and addresses of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if "id" in found:
            self.ids.add(found["id"] or "")
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        elif tag in ("link", "img", "script", "iframe"):
            self.loaded.append(found.get("href") or found.get("src") or "")


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {str(path.relative_to(site)): Page(path) for path in site.rglob("*.html")}


def public_names() -> Iterator[str]:
    """Yield every name that stands in an ``__all__`` or on a class of the front door."""
    for module in (crlab, crlab.testing, importlib.import_module("crlab.controller")):
        yield from (f"{module.__name__}.{name}" for name in module.__all__)
    controller = importlib.import_module("crlab.lab.lab_controller").LabController
    for path, owner in (
        ("crlab.Lab", crlab.Lab),
        ("crlab.Sandbox", crlab.Sandbox),
        ("crlab.Informer", crlab.Informer),
        ("crlab.lab.lab_controller.LabController", controller),
        ("crlab.controller.Context", importlib.import_module("crlab.controller").Context),
        ("crlab.lab.fault.LabFaults", importlib.import_module("crlab.lab.fault").LabFaults),
    ):
        for name, value in inspect.getmembers(owner):
            if not name.startswith("_") and (callable(value) or isinstance(value, property)):
                yield f"{path}.{name}"


def test_every_public_name_is_described(pages: dict[str, Page]) -> None:
    """A name without a description might as well not be there."""
    described = set().union(*(page.ids for page in pages.values()))

    assert [name for name in public_names() if name not in described] == []


def test_every_notebook_is_shown_with_its_outputs(site: Path) -> None:
    """Whoever only reads sees what the cells gave."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        text = (site / "notebooks" / f"{path.stem}.html").read_text()
        cells = [c for c in msgspec.json.decode(path.read_bytes())["cells"] if c.get("outputs")]
        assert text.count('class="output_wrapper"') == len(cells), path.name
        assert "jupyter.widget-view" not in text


def test_every_page_is_in_every_navigation(pages: dict[str, Page]) -> None:
    """One navigation for all."""
    for name in pages:
        to_top = "../" * name.count("/")
        links = set(pages[name].links)
        assert {f"{to_top}{other}" for other in pages} <= links, name


def test_no_link_of_the_site_is_dead(pages: dict[str, Page], site: Path) -> None:
    """Pages and headings that are linked to exist."""
    dead = []
    for name, page in pages.items():
        for link in page.links:
            path, _, fragment = link.partition("#")
            if "://" in path or path.startswith("mailto:"):
                continue
            goal = (site / name).parent / path if path else site / name
            key = str(goal.resolve().relative_to(site.resolve()))
            if key not in pages or (fragment and fragment not in pages[key].ids):
                dead.append(f"{name}: {link}")

    assert dead == []


def test_no_page_loads_anything_from_elsewhere(pages: dict[str, Page], site: Path) -> None:
    """It works offline, and nobody is told who reads it. (Badges are pictures of theirs.)"""
    for name, page in pages.items():
        for address in page.loaded:
            if address.startswith(("data:", "https://mybinder.org/badge")):
                continue
            assert ((site / name).parent / address).is_file(), (name, address)


def test_names_in_the_tables_of_coming_from_exist() -> None:
    """What a newcomer is told to type is there."""
    lines = (DOCS / "coming-from.md").read_text().splitlines()
    text = "\n".join(line for line in lines if line.startswith("|"))  # the examples are executed
    homes = {
        "lab": crlab.Sandbox,
        "informer": crlab.Informer,
        "ctx": importlib.import_module("crlab.controller").Context,
        "controller": importlib.import_module("crlab.lab.lab_controller").LabController,
        "crlab": crlab,
    }
    client = importlib.import_module("crlab.client").DynamicClient
    missing = [
        f"{owner}.{name}"
        for owner, name in re.findall(r"\b(lab|informer|ctx|controller|crlab)\.([a-z]\w*)", text)
        if not hasattr(homes[owner], name)
        and (owner, name) not in {("lab", "client"), ("informer", "shared")}
        and not (owner == "crlab" and (ROOT / "crlab" / name).exists())
    ]
    missing += [n for n in re.findall(r"lab\.client\.(\w+)", text) if not hasattr(client, n)]

    assert missing == []


@pytest.mark.parametrize(
    "page", ["CHANGELOG.md", "docs/apiserver.md", "docs/security.md", "docs/views.md"]
)
def test_names_in_other_pages_exist(page: str) -> None:
    """A renamed method is renamed here too."""
    controller = importlib.import_module("crlab.lab.lab_controller").LabController
    context = importlib.import_module("crlab.controller").Context
    homes = {
        "crlab": crlab,
        "Lab": crlab.Lab,
        "Sandbox": crlab.Sandbox,
        "lab": crlab.Sandbox,
        "Informer": crlab.Informer,
        "informer": crlab.Informer,
        "LabController": controller,
        "Context": context,
    }
    found = re.findall(r"`@?(\w+)\.([a-z]\w*)(?![\w/])", (ROOT / page).read_text())
    known = [(owner, name) for owner, name in found if owner in homes and name != "client"]

    assert len(known) > 2
    assert [pair for pair in known if not hasattr(homes[pair[0]], pair[1])] == []


def test_the_faults_that_are_listed_exist() -> None:
    """Every call in the table of docs/apiserver.md."""
    text = (DOCS / "apiserver.md").read_text()
    table = text[text.index("| call | what happens |") : text.index("Common keywords say")]
    faults = importlib.import_module("crlab.lab.fault").LabFaults
    calls = re.findall(r"`([a-z_]+)(?:\([^`]*)?`", table)

    assert len(calls) > 15
    assert [name for name in calls if name != "is_legal" and not hasattr(faults, name)] == []


LEFT_OUT = [
    *(
        (verb, f"{POD}/{name}", 404, NOT_FOUND)
        for verb in ("GET", "POST")
        for name in ("exec", "attach", "portforward", "proxy", "ephemeralcontainers", "resize")
    ),
    ("GET", "/api/v1/nodes/one/proxy/stats", 404, NOT_FOUND),
    ("GET", f"{CORE}/services/web/proxy/x", 404, NOT_FOUND),
    ("POST", f"{CORE}/serviceaccounts/default/token", 404, NOT_FOUND),
    ("GET", "/api/v1/componentstatuses", 404, NOT_FOUND),
    ("GET", f"{POD}/log", 204, ""),
    ("GET", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", 404, NO_PAGE),
    ("GET", "/apis/apiregistration.k8s.io/v1/apiservices", 404, NO_PAGE),
    ("GET", "/apis/certificates.k8s.io/v1/certificatesigningrequests", 404, NO_PAGE),
    ("GET", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", 404, NO_PAGE),
    ("GET", "/apis/metrics.k8s.io/v1beta1/pods", 404, NO_PAGE),
    ("GET", "/apis/autoscaling/v1/horizontalpodautoscalers", 404, NO_PAGE),
    ("GET", "/apis/batch/v1beta1/cronjobs", 404, NO_PAGE),
    ("GET", "/metrics", 404, NO_PAGE),
    ("GET", "/logs", 404, NO_PAGE),
    ("GET", "/.well-known/openid-configuration", 404, NO_PAGE),
    ("PUT", f"{CORE}/pods", 405, "MethodNotAllowed"),
    ("DELETE", "/api/v1/namespaces", 405, "MethodNotAllowed"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer() as made:
        pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
        assert made.request("POST", f"{CORE}/pods", pod)[0] == 201
        yield made


def asked(server: ApiServer, method: str, path: str, **headers: str) -> tuple[int, str]:
    head = {"accept": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    answer = server.handle(HttpRequest(method, path, (), head, b"{}" if method != "GET" else None))
    assert isinstance(answer, HttpResponse)
    return answer.status, answer.body.decode(errors="replace")


@pytest.mark.parametrize(("method", "path", "code", "text"), LEFT_OUT)
def test_what_is_left_out_answers_as_documented(
    server: ApiServer, method: str, path: str, code: int, text: str
) -> None:
    """The table in docs/apiserver.md is what a client meets."""
    status, body = asked(server, method, path)

    assert (status, text in body) == (code, True), body


def test_other_media_types_are_refused_as_documented(server: ApiServer) -> None:
    """406 for what cannot be answered, 415 for what cannot be read."""
    protobuf = "application/vnd.kubernetes.protobuf"

    assert asked(server, "GET", POD, accept=protobuf)[0] == 406
    assert asked(server, "GET", POD, accept="text/html")[0] == 406
    assert asked(server, "POST", f"{CORE}/pods", content_type="text/plain")[0] == 415


def test_what_does_less_does_as_documented(server: ApiServer) -> None:
    """Stored, not enforced: quotas, disruption budgets, most rules of built-in kinds."""
    plain = {"metadata": {"name": "plain"}, "spec": {"ports": [{"port": 80}]}}
    assert server.request("POST", f"{CORE}/services", plain)[0] == 201
    assert server.request("GET", f"{CORE}/endpoints")[1]["items"] == []
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"configmaps": "0"}}}
    assert server.request("POST", f"{CORE}/resourcequotas", quota)[0] == 201
    assert server.request("POST", f"{CORE}/configmaps", {"metadata": {"name": "one"}})[0] == 201
    assert server.request("GET", f"{CORE}/serviceaccounts")[1]["items"] == []
    assert server.request("GET", "/api/v1/nodes")[1]["items"] == []


def test_limits_are_those_of_the_documentation(server: ApiServer) -> None:
    """The table of docs/apiserver.md, where a request can tell."""
    loud = [{"name": "LOUD", "value": "x" * 1_572_864}]
    spec = {"containers": [{"name": "a", "image": "b", "env": loud}]}
    big = {"metadata": {"name": "big"}, "template": {"spec": spec}}
    code, status = server.request("POST", f"{CORE}/podtemplates", big)
    assert (code, status["message"]) == (500, "etcdserver: request is too large")
    full = {"metadata": {"name": "full"}, "data": {"a": "x" * 1_048_577}}
    assert server.request("POST", f"{CORE}/configmaps", full)[0] == 422
    assert server.request("POST", f"{CORE}/configmaps", b" " * 3_145_729)[0] == 413
    noted = {"metadata": {"name": "noted", "annotations": {"a": "x" * 262_145}}}
    assert server.request("POST", f"{CORE}/configmaps", noted)[0] == 422
    many = [{"op": "test", "path": "/kind", "value": "Pod"}] * 10_001
    kind = "application/json-patch+json"
    assert server.request("PATCH", POD, many, content_type=kind)[0] == 413
