"""The front door with bad arguments: one typed sentence, and nothing half done."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import crlab
from crlab.errors import ConfigError, CrlabError, OutOfTrace, ResourceExpired, UnknownResource
from crlab.lab.informer import Informer

Call = Callable[[crlab.Lab, Informer], Any]

REFUSED: list[tuple[Call, str]] = [
    (lambda lab, maps: lab.get(5, "a"), "a resource is named like"),
    (lambda lab, maps: lab.resource(None), "a resource is named like"),
    (lambda lab, maps: lab.tree("configmaps", 5), "the key of a tree's root"),
    (lambda lab, maps: lab.client.list("configmaps", label_selector=5), "label_selector"),
    (lambda lab, maps: lab.client.list("configmaps", namespace=5), "a namespace"),
    (lambda lab, maps: lab.client.patch("configmaps", "a", {}, patch_type=[]), "patch_type"),
    (lambda lab, maps: lab.informer("pods", namespace=5), "namespace"),
    (lambda lab, maps: lab.informer("pods", namespace=[]), "names none; None is all"),
    (lambda lab, maps: lab.informer("pods", label_selector=5), "label_selector"),
    (lambda lab, maps: lab.informer("pods", columns=5), "columns maps names"),
    (lambda lab, maps: lab.informer("pods", indexers=5), "indexers maps names"),
    (lambda lab, maps: lab.informer("pods", indexers={"x": 5}), "index 'x' is a function"),
    (lambda lab, maps: lab.informer("pods", transform=5), "transform is a function"),
    (lambda lab, maps: lab.informer("pods", page_size="x"), "page_size"),
    (lambda lab, maps: lab.informer("pods", name=5), "name is a text"),
    (lambda lab, maps: lab.controller(lambda request, ctx: None), "@lab.controller takes"),
    (lambda lab, maps: lab.controller(maps, owns="pods"), "owns is a list"),
    (lambda lab, maps: lab.controller(maps, owns=[5]), "owns takes a resource's name"),
    (lambda lab, maps: lab.controller(maps, watches=["pods"]), "watches maps"),
    (lambda lab, maps: lab.controller(maps, watches={"pods": 5}), "what watches has"),
    (lambda lab, maps: lab.controller(maps, predicates=lambda e: True), "predicates is a list"),
    (lambda lab, maps: lab.pipeline("pods"), r"lab\.pipeline\(\) takes an informer"),
    (lambda lab, maps: lab.time_slider(5), r"lab\.time_slider\(\) takes an informer"),
    (lambda lab, maps: lab.explain(5), "the key to explain"),
    (lambda lab, maps: lab.timeline(5), "the key of a timeline"),
    (lambda lab, maps: lab.docs("configmaps", 5), "path is a text"),
    (lambda lab, maps: lab.rbac(maps, service_account=5), "service_account"),
    (lambda lab, maps: lab.stress(5), "stress\\(\\) takes a controller"),
    (lambda lab, maps: lab.live(lambda x: x), "without arguments"),
    (lambda lab, maps: lab.wait_until(lambda x: x), "without arguments"),
    (lambda lab, maps: lab.record(5), "is a path"),
    (lambda lab, maps: lab.serve("x"), "port"),
    (lambda lab, maps: lab.write_kubeconfig(5), "is a path"),
    (lambda lab, maps: lab.rewind("x"), "takes a resourceVersion"),
    (lambda lab, maps: lab.rewind(1.5), "takes a resourceVersion"),
    (lambda lab, maps: lab.rewind(10**9), "cannot rewind to 1000000000: the server is at"),
    (lambda lab, maps: lab.as_user(5), "user is a text"),
    (lambda lab, maps: lab.as_user("jane", groups="dev"), "groups is a list of texts"),
    (lambda lab, maps: lab.on_close(5), "on_close"),
    (lambda lab, maps: lab.settle("x"), "timeout_seconds"),
    (lambda lab, maps: lab.advance(float("inf")), "not for ever"),
    (lambda lab, maps: lab.faults.latency("x"), "latency: seconds"),
    (lambda lab, maps: lab.faults.status("x"), "code is a whole number"),
    (lambda lab, maps: maps.get(5), "a key of an informer"),
    (lambda lab, maps: maps.wait_for_sync("x"), "timeout_seconds"),
    (lambda lab, maps: maps.add_event_handler(on_add=5), "on_add is a function"),
    (lambda lab, maps: maps.add_event_handler(on_add=lambda obj: 1), "is_in_initial_list"),
    (lambda lab, maps: maps.add_event_handler(on_update=lambda obj: 1), "on_update is called"),
    (lambda lab, maps: maps.with_columns(labels=5), "labels"),
    (lambda lab, maps: maps.with_columns(5), "columns maps names"),
    (lambda lab, maps: maps.at([]), "a moment is"),
    (lambda lab, maps: maps.at(5.0), r"at\(seq=…\) is a record of the trace"),
    (lambda lab, maps: maps.at(seq="5"), "seq is a record"),
    (lambda lab, maps: maps.memory("x"), "top"),
    (lambda lab, maps: maps.watch(rows="x"), "rows"),
    (lambda lab, maps: crlab.sandbox(controllers=5), "controllers"),
    (lambda lab, maps: crlab.sandbox(port="x"), "port"),
    (lambda lab, maps: crlab.replay(5), "is a path"),
    (lambda lab, maps: crlab.connect(5), "kubeconfig is a path"),
    (lambda lab, maps: crlab.wait_for_cache_sync(5), "takes informers, not 5"),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_a_bad_argument_is_refused_in_one_sentence(
    lab: crlab.Lab, call: Call, sentence: str
) -> None:
    """It names the argument; no informer, controller or request comes of it."""
    maps = lab.informer("configmaps").wait_for_sync()
    before = len(lab.informers), len(lab.controllers), len(lab.client.requests)

    with pytest.raises(ConfigError) as caught:
        call(lab, maps)

    assert re.search(sentence, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert (len(lab.informers), len(lab.controllers), len(lab.client.requests)) == before


def test_what_was_compacted_cannot_be_rewound_to(lab: crlab.Lab) -> None:
    """The error is the one that lists and watches get."""
    lab.client.create("configmaps", {"metadata": {"name": "a"}})
    lab.compact()

    with pytest.raises(ResourceExpired, match="rewind to 1"):
        lab.rewind(1)


@pytest.mark.parametrize("moment", [1e30, float("nan")])
def test_a_time_that_is_none_is_out_of_the_trace(lab: crlab.Lab, moment: float) -> None:
    """As one that was not lived through is."""
    with pytest.raises(OutOfTrace, match="is no time"):
        lab.informer("configmaps").at(time=moment)


def test_a_token_that_the_server_does_not_know_goes_into_no_kubeconfig(tmp_path: Any) -> None:
    """kubectl would be told 401, much later."""
    with crlab.sandbox(driver="manual", tokens={"good": "jane"}) as lab:
        with pytest.raises(ConfigError, match="the token is none of") as caught:
            lab.write_kubeconfig(tmp_path / "config", token="s3cret-typo")
        assert "s3cret-typo" not in str(caught.value)
        assert not (tmp_path / "config").exists()
        assert lab.write_kubeconfig(tmp_path / "config", token="good").exists()


def test_a_resource_is_named_in_any_form_where_the_trace_is_read(lab: crlab.Lab) -> None:
    """Plural, kind or short name; one that there is not is said, not an empty frame."""
    lab.client.create("configmaps", {"metadata": {"name": "a"}})
    lab.informer("configmaps").wait_for_sync()
    lab.settle()
    whole = lab.timeline("default/a", resource="configmaps")
    assert len(whole) > 0
    for name in ("cm", "ConfigMap", "configmap"):
        assert lab.timeline("default/a", resource=name).equals(whole)
    for call in (lab.timeline, lab.explain):
        with pytest.raises(UnknownResource, match="configmapz"):
            call("default/a", resource="configmapz")


def test_an_error_shows_no_long_value(lab: crlab.Lab) -> None:
    """Nor an object: it may hold what nobody should read."""
    with pytest.raises(CrlabError) as caught:
        lab.explain({"data": {"password": "s3cret"}})  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value)
