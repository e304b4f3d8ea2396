"""Which other versions a resource is served in."""

from __future__ import annotations

import json

import pytest
from support.wire_server import wire_server

from crlab.client.endpoint import parse_endpoint
from crlab.client.http import HttpTransport
from crlab.client.served import MAX_VERSIONS, other_versions
from crlab.model.resource import GroupVersionResource

WIDGETS = GroupVersionResource("example.com", "v1", "widgets")


def asked(documents, gvr=WIDGETS):
    """Return what is found on a server of these documents, and the paths it was asked for."""

    def answer(peer, request, server):
        found = documents.get(request.target)
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        peer.answer(404 if found is None else 200, body)

    with wire_server(answer) as server:
        http = HttpTransport(parse_endpoint(server.url, env={}))
        try:
            return other_versions(http, gvr), [r.target for r in server.requests]
        finally:
            http.close()


def group(*versions):
    return {"kind": "APIGroup", "versions": [{"version": name} for name in versions]}


def resources(*names):
    return {"kind": "APIResourceList", "resources": [{"name": name} for name in names]}


def test_the_versions_that_have_it_are_named_as_they_can_be_asked_for():
    """Fault 38: in the server's order, without its own and without those that lack it."""
    found, paths = asked(
        {
            "/apis/example.com": group("v3", "v2", "v1", "v1beta1"),
            "/apis/example.com/v3": resources("widgets", "widgets/status"),
            "/apis/example.com/v2": resources("gadgets", "widgets/status"),
            "/apis/example.com/v1beta1": resources("widgets"),
        }
    )
    assert found == ("widgets.v3.example.com", "widgets.v1beta1.example.com")
    assert "/apis/example.com/v1" not in paths


def test_a_group_that_is_gone_costs_one_request():
    """Fault 36: the whole definition was deleted."""
    assert asked({}) == ((), ["/apis/example.com"])


def test_the_core_group_costs_none():
    """It has one version."""
    assert asked({}, GroupVersionResource("", "v1", "pods")) == ((), [])


@pytest.mark.parametrize(
    "odd", [b"<html>", b"[]", {"versions": None}, {"versions": ["v2", {}, {"version": None}]}]
)
def test_what_is_no_discovery_document_names_no_version(odd):
    """A captive portal, or a server of another kind."""
    assert asked({"/apis/example.com": odd})[0] == ()


def test_a_server_cannot_send_it_round_for_long():
    """A group of a thousand versions is no group."""
    _, paths = asked({"/apis/example.com": group(*[f"v{n}" for n in range(2, 1000)])})
    assert len(paths) == MAX_VERSIONS + 1
