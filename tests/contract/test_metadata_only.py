"""Metadata-only informers over real HTTP: what is asked, cached, framed and told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import crlab
from crlab.examples import myservice

PARTIAL = "meta.k8s.io/v1 PartialObjectMetadata"
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: default, labels: {app: web}}
spec: {containers: [{name: a, image: "a:1"}], nodeName: n1}
"""


@pytest.fixture
def lab() -> Iterator[crlab.Lab]:
    """A sandbox in threads, on a socket."""
    with crlab.sandbox(controllers=False) as opened:
        opened.apply(myservice.CRD)
        opened.apply(myservice.EXAMPLE)
        opened.apply(POD)
        yield opened


def asked(informer):
    """Return what its reflector asked for: verbs and the parts that matter."""
    log = informer.reflector_log
    return [what.split(" ")[0] for what in log[log["kind"] == "request"]["what"]]


@pytest.mark.parametrize("resource", ["pods", "myservices"])
@pytest.mark.parametrize(("mode", "verbs"), [("list", ["list", "watch"]), ("watchlist", ["watch"])])
def test_only_metadata_comes_by_pages_and_by_watch_list(lab, resource, mode, verbs):
    """PartialObjectMetadata in the first list, in initial events and in what follows."""
    found = lab.informer(resource, metadata_only=True, list_mode=mode).wait_for_sync()
    first = found.objects()[0]

    lab.client.patch(
        resource, first.name, {"metadata": {"labels": {"tier": "1"}}}, namespace="default"
    )
    lab.settle()

    second = found[first.key]
    for obj in (first, second):
        assert f"{obj['apiVersion']} {obj['kind']}" == PARTIAL
        assert {"spec", "status"}.isdisjoint(obj.to_dict())
    assert second.metadata.labels["tier"] == "1"
    assert asked(found) == verbs
    assert found.status.violations == 0


def test_its_frame_has_what_every_object_has(lab):
    """No column is made up of a spec that was never asked for: "0/0" containers are ready."""
    pods = lab.informer("pods", metadata_only=True, columns={"app": ".metadata.labels.app"})
    pods.wait_for_sync()

    assert list(pods.df.columns) == ["namespace", "name", "created", "app"]
    assert pods.df.loc["default/web-1", "app"] == "web"
    assert str(pods.df.dtypes["created"]) == "datetime64[us, UTC]"
    services = lab.informer("myservices", metadata_only=True).wait_for_sync()
    assert list(services.df.columns) == ["namespace", "name", "created"]
    assert services.df.attrs["resource"] == "myservices.example.com"
    assert list(services.at(services.last_sync_resource_version).df.columns) == list(services.df)


def test_handlers_hear_of_changes_that_only_the_spec_shows(lab):
    """The version moved; a deletion carries the last metadata."""
    told = []
    services = lab.informer("myservices", metadata_only=True)
    services.add_event_handler(
        on_update=lambda old, new: told.append((old.metadata.generation, new.metadata.generation)),
        on_delete=lambda obj: told.append(obj.name),
    )
    services.wait_for_sync()

    lab.client.patch("myservices", "web", {"spec": {"replicas": 5}}, namespace="default")
    lab.client.delete("myservices", "web", namespace="default")
    lab.settle()

    assert told == [(1, 2), "web"]
    assert len(services.df) == 0


def test_it_is_another_informer_with_a_lighter_cache_and_a_clean_audit(lab):
    """The same question with another answer; both follow the server."""
    whole = lab.informer("pods").wait_for_sync()
    light = lab.informer("pods", metadata_only=True).wait_for_sync()

    assert light is not whole
    assert light.memory().attrs["json_bytes"] < whole.memory().attrs["json_bytes"]
    assert len(light.audit()) == 0
    assert light.shared.is_metadata_only
    assert not whole.shared.is_metadata_only
