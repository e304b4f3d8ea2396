"""The object everybody above the wire shares: read-only, a mapping, unknown to the collector."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable, Mapping

import pytest

from crlab.errors import DecodeError, KeyFuncError
from crlab.model.object import KubeObject

RAW = b'{"kind":"Pod","metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"7"}}'


def made(raw: bytes = RAW) -> KubeObject:
    return KubeObject(raw)


def test_it_reads_its_header():
    """The four fields the pipeline needs, and the key."""
    obj = made()
    found = (obj.key, obj.name, obj.namespace, obj.uid, obj.resource_version)
    assert found == ("n/a", "a", "n", "u", "7")
    assert made(b'{"metadata":{"name":"b"}}').key == "b"


def test_it_is_a_mapping_of_its_body():
    """Everything a dict can be asked, lazily decoded, in the order of the bytes."""
    obj = made()
    assert isinstance(obj, Mapping)
    assert list(obj) == list(obj.keys()) == ["kind", "metadata"]
    assert dict(obj.items())["kind"] == obj["kind"] == obj.get("kind") == obj.kind == "Pod"
    assert obj.get("spec", 3) == 3
    assert len(obj) == len(obj.values()) == 2
    assert "metadata" in obj
    assert obj == obj.to_dict() == made()
    assert not obj != made()  # noqa: SIM202 - `!=` is asked on purpose
    assert obj != made(RAW.replace(b"Pod", b"Job"))
    assert obj != 5
    match obj:
        case {"kind": kind}:
            assert kind == "Pod"


@pytest.mark.parametrize(
    "change",
    [
        lambda obj: setattr(obj, "raw", b"{}"),
        lambda obj: setattr(obj, "spec", {}),
        lambda obj: delattr(obj, "raw"),
        lambda obj: obj.__setitem__("spec", {}),
        lambda obj: obj.__delitem__("spec"),
        lambda obj: obj.update(spec={}),
        lambda obj: obj["metadata"].update(name="b"),
        lambda obj: obj.metadata.__setattr__("name", "b"),
        hash,
    ],
)
def test_nothing_changes_it(change: Callable[[KubeObject], object]):
    """Handlers share it with the cache."""
    obj = made()
    with pytest.raises(TypeError):
        change(obj)
    assert obj.raw == RAW
    assert obj.name == "a"


def test_the_collector_does_not_know_it():
    """100,000 cached objects cost a full collection nothing, decoded or not."""
    obj = made()
    assert not gc.is_tracked(obj)
    assert not KubeObject.__flags__ & (1 << 14)  # Py_TPFLAGS_HAVE_GC


def test_it_survives_copies_and_pickles():
    """A copy is itself; a pickle is the bytes."""
    obj = made()
    assert copy.copy(obj) is obj
    assert copy.deepcopy([obj])[0] is obj
    again = pickle.loads(pickle.dumps(obj))
    assert (again, again.key, type(again)) == (obj, "n/a", KubeObject)


def test_objects_of_one_namespace_share_its_name():
    """One string per namespace, not per object."""
    assert made().namespace is made().namespace


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"<html>", DecodeError),
        (b"{}", DecodeError),
        (b'{"metadata":{"name":5}}', DecodeError),
        (b'{"metadata":{"name":""}}', KeyFuncError),
        (b'{"metadata":{}}', KeyFuncError),
    ],
)
def test_what_is_no_object_is_refused(raw: bytes, error: type[Exception]):
    """At once, with a typed error."""
    with pytest.raises(error):
        KubeObject(raw)


def test_its_attributes_are_found_and_missed_by_name():
    """Completion lists the fields; a missing one names those there are."""
    obj = made()
    assert {"kind", "metadata", "key", "raw"} <= set(dir(obj))
    with pytest.raises(AttributeError, match="no field 'spec'; fields: kind, metadata"):
        _ = obj.spec
