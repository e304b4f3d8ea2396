"""Names mean resources, whatever form of discovery the server speaks."""

import json

import pytest
from support.server import make_server

from crlab.client.discovery import Discovery
from crlab.client.transport import Response
from crlab.errors import DecodeError, ServerFailure, UnknownResource
from crlab.lab.in_process import InProcessTransport
from crlab.model.resource import GroupVersionKind, GroupVersionResource
from crlab.runtime.clock import FakeClock


class Canned:
    """A transport that answers from a table and counts."""

    def __init__(self, answers):
        self.answers = answers
        self.paths = []

    def request(self, method, path, **options):
        self.paths.append(path)
        status, body = self.answers.get(path, (404, {"kind": "Status", "code": 404}))
        return Response(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def entry(name, kind, **extra):
    return {"name": name, "kind": kind, "namespaced": True, "verbs": ["get"], **extra}


PLAIN = {
    "/api": (200, {"kind": "APIVersions", "versions": ["v1"]}),
    "/api/v1": (
        200,
        {
            "resources": [
                entry("pods", "Pod", singularName="pod", shortNames=["po"]),
                entry("pods/status", "Pod"),
                entry("events", "Event"),
            ]
        },
    ),
    "/apis": (
        200,
        {
            "groups": [
                {
                    "name": "apps",
                    "versions": [{"version": "v1"}, {"version": "v1beta1"}],
                    "preferredVersion": {"version": "v1"},
                },
                {"name": "broken.io", "versions": [{"version": "v1"}]},
                {"name": "events.k8s.io", "versions": [{"version": "v1"}]},
            ]
        },
    ),
    "/apis/apps/v1": (
        200,
        {"resources": [entry("deployments", "Deployment", shortNames=["deploy"])]},
    ),
    "/apis/apps/v1beta1": (200, {"resources": [entry("deployments", "Deployment")]}),
    "/apis/broken.io/v1": (503, {}),
    "/apis/events.k8s.io/v1": (200, {"resources": [entry("events", "Event")]}),
}

NAMES = {
    "pods": "pods.v1",
    "pod": "pods.v1",
    "po": "pods.v1",
    "Pod": "pods.v1",
    "POD": "pods.v1",
    "deployments": "deployments.v1.apps",
    "Deployment": "deployments.v1.apps",
    "deployments.apps": "deployments.v1.apps",
    "deployments.v1beta1.apps": "deployments.v1beta1.apps",
    "events": "events.v1",
    "events.events.k8s.io": "events.v1.events.k8s.io",
    "Event.v1.events.k8s.io": "events.v1.events.k8s.io",
}


@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_a_name_is_understood(name):
    """Plural, singular, short, kind; with group; with version and group; the core group first."""
    found = Discovery(Canned(PLAIN), FakeClock()).resolve(name)
    assert str(found.gvr) == NAMES[name]


def test_a_group_that_does_not_answer_hides_no_other():
    """It is named where something is not found."""
    discovery = Discovery(Canned(PLAIN), FakeClock())
    with pytest.raises(UnknownResource, match=r"no answer for broken\.io/v1"):
        discovery.resolve("widgets")
    assert discovery.resolve("pods").subresources == ("status",)


def test_it_is_read_once_and_again_on_a_miss():
    """Two requests where the server aggregates; a new kind is found without being told."""
    server = make_server()
    transport = InProcessTransport(server)
    discovery = Discovery(transport, FakeClock())
    sent = []
    original = transport.request
    transport.request = lambda *args, **options: sent.append(args[1]) or original(*args, **options)
    for _ in range(3):
        discovery.resolve("pods")
    assert sent == ["/api", "/apis"]
    with pytest.raises(UnknownResource):
        discovery.resolve("widgets")
    assert len(sent) == 4


def test_both_forms_of_discovery_say_the_same():
    """Aggregated and plain, from the embedded server."""
    server = make_server()
    aggregated = Discovery(InProcessTransport(server), FakeClock()).refresh()

    class Plain(InProcessTransport):
        def request(self, method, path, **options):
            options["headers"] = {"Accept": "application/json"}
            return super().request(method, path, **options)

    def facts(rows):
        return {
            (str(r.gvr), r.kind, r.is_namespaced, r.short_names, frozenset(r.subresources))
            for r in rows
        }

    plain = Discovery(Plain(server), FakeClock()).refresh()
    assert facts(aggregated) == facts(plain)
    assert [r.preferred for r in aggregated] == [r.preferred for r in plain]


def test_an_unknown_name_is_answered_with_the_nearest():
    """By plural, kind or short form of what was meant."""
    discovery = Discovery(InProcessTransport(make_server()), FakeClock())
    for name, meant in (
        ("pdos", "pods"),
        ("Deploymnt", "deployments.apps"),
        ("configmap s", "configmaps"),
    ):
        with pytest.raises(UnknownResource) as caught:
            discovery.resolve(name)
        assert meant in caught.value.nearest


def test_kinds_and_triples_are_resolved():
    """A kind names its versions when only the version is wrong."""
    discovery = Discovery(Canned(PLAIN), FakeClock())
    assert discovery.resolve_kind(GroupVersionKind("apps", "v1", "Deployment")).gvr.group == "apps"
    assert discovery.resolve(GroupVersionResource("", "v1", "pods")).kind == "Pod"
    with pytest.raises(UnknownResource) as caught:
        discovery.resolve_kind(GroupVersionKind("apps", "v9", "Deployment"))
    assert caught.value.nearest == ("apps/v1 Deployment", "apps/v1beta1 Deployment")


@pytest.mark.parametrize(
    ("answer", "error"), [((200, b"<html>"), DecodeError), ((500, {}), ServerFailure)]
)
def test_what_is_no_api_server_is_an_error(answer, error):
    """Fault 39: a captive portal serves no resources, and is not an empty cluster."""
    with pytest.raises(error, match="discovery at /api"):
        Discovery(Canned({"/api": answer}), FakeClock()).resources()


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"kind": "APIGroupDiscoveryList"},
        {"kind": "APIGroupDiscoveryList", "items": [5, {}]},
        {"groups": 5},
    ],
)
def test_odd_documents_serve_nothing(tree):
    """Corpus: wrong types inside are passed over, not crashed on."""
    canned = Canned({"/api": (200, {"versions": 5}), "/apis": (200, tree)})
    with pytest.raises(UnknownResource):
        Discovery(canned, FakeClock()).resolve("pods")
