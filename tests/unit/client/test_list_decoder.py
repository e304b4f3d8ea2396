"""The body of a list becomes a page, or an error; never a list with a hole."""

import json

import pytest

from crlab.client import list_decoder
from crlab.client.list_decoder import WrongListKind, decode_page
from crlab.client.object_decoder import ObjectDecoder
from crlab.errors import DecodeError, ResourceExpired, ServerFailure
from crlab.model.resource import ApiResource, GroupVersionResource

PODS = ApiResource(GroupVersionResource("", "v1", "pods"), "Pod", True)
OBJECTS = ObjectDecoder(PODS)


def body(items="[]", *, kind="PodList", version="v1", rv="9", tail=""):
    text = (
        f'{{"kind":"{kind}","apiVersion":"{version}","metadata":{{"resourceVersion":"{rv}"{tail}}},'
        f'"items":{items}}}\n'
    )
    return text.encode()


def item(name, **extra):
    metadata = {"name": name, "namespace": "d", "uid": "u", "resourceVersion": "5"}
    return json.dumps({"metadata": metadata, **extra}, separators=(",", ":"))


def test_a_page_holds_its_items_and_how_to_go_on():
    """Items of a typed list say no kind; they get it."""
    page = decode_page(
        body(f"[{item('a')}]", tail=',"continue":"t","remainingItemCount":3'), OBJECTS
    )
    assert (page.resource_version, page.continue_token, page.remaining) == ("9", "t", 3)
    assert page.items[0].to_dict()["kind"] == "Pod"
    assert page.items[0]["apiVersion"] == "v1"


def test_null_items_are_empty_when_the_rest_is_sound():
    """Fault 45: Go writes an empty slice that way."""
    assert decode_page(body("null"), OBJECTS).items == []


NOT_LISTS = {
    "45 no items": b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"}}',
    "45 items an object": body("{}"),
    "45 another kind": body(kind="ConfigMapList"),
    "45 no kind": body(kind=""),
    "45 another version": body(version="v2"),
    "45 an object": body(kind="Pod"),
    "45 a Table": body(kind="Table", version="meta.k8s.io/v1"),
    "45 empty without RV": body(rv=""),
    "45 null without RV": body("null", rv=""),
    "45 no metadata": b'{"kind":"PodList","apiVersion":"v1","items":[]}',
    "51 numeric RV": body().replace(b'"9"', b"9"),
    "39 HTML": b"<!doctype html><title>Log in</title>",
    "39 nothing": b"",
    "39 a list": b"[]",
    "41 an item without a name": body(f"[{item('a')},{item('')}]"),
    "41 an item without metadata": body('[{"spec":{}}]'),
    "42 a null item": body("[null]"),
    "44 an item of another kind": body(f"[{item('a', kind='Secret', apiVersion='v1')}]"),
    "9 invalid UTF-8": body(f"[{item('a', x='Q')}]").replace(b"Q", b"\xff"),
    "S31 nesting": body(f"[{item('a', x=1)}]").replace(
        b'"x":1', b'"x":' + b"[" * 9**5 + b"]" * 9**5
    ),
    "S32 surrogate": body(f"[{item('a', x='Q')}]").replace(b"Q", b"\\ud800"),
    "S32 NaN": body(f"[{item('a', x=1)}]").replace(b'"x":1', b'"x":NaN'),
    "S32 two values": body() + body(),
    "cut": body(f"[{item('a')}]")[:-20],
}


@pytest.mark.parametrize("name", NOT_LISTS)
def test_what_is_not_a_list_is_never_an_empty_one(name):
    """Faults 9, 39, 41-45; S31, S32: the cache is not touched."""
    with pytest.raises(DecodeError):
        decode_page(NOT_LISTS[name], OBJECTS, tried="list pods")


def test_a_status_is_the_error_it_says_whatever_the_code():
    """Fault 45: a Status sent with 200 must not delete everything."""
    with pytest.raises(ResourceExpired):
        decode_page(b'{"kind":"Status","code":410,"reason":"Expired","message":"m"}', OBJECTS)
    with pytest.raises(ServerFailure):
        decode_page(b'{"kind":"Status","status":"Failure","metadata":{}}', OBJECTS)


def test_a_custom_list_kind_is_named_so_that_it_can_be_checked():
    """A CRD may name its list; the lister-watcher asks the CRD, and only then accepts it."""
    with pytest.raises(WrongListKind) as caught:
        decode_page(body(kind="Peas"), OBJECTS)
    assert caught.value.kind == "Peas"
    assert decode_page(body(kind="Peas"), OBJECTS, list_kinds=("Peas",)).items == []


NESTED = {"t": [{"metadata": {"name": "q"}}, {"metadata": {"name": "r"}}], "s": '},{"metadata":{'}


@pytest.mark.parametrize("slice_bytes", [1, 7, 100, 1000, 100_000])
def test_a_long_list_is_decoded_in_slices_with_the_same_result(slice_bytes, monkeypatch):
    """Cuts fall between items only, also where an item looks like a cut inside."""
    items = ",".join(item(f"n{i}", spec=NESTED, pad="x" * (i * 7 % 90)) for i in range(120))
    data = body(f"[{items}]")
    whole = decode_page(data, OBJECTS)
    monkeypatch.setattr(list_decoder, "SLICE_BYTES", slice_bytes)
    assert [o.raw for o in decode_page(data, OBJECTS).items] == [o.raw for o in whole.items]


def test_a_bad_item_fails_a_sliced_list_as_well(monkeypatch):
    """Also invalid UTF-8 in what is skipped over."""
    monkeypatch.setattr(list_decoder, "SLICE_BYTES", 50)
    good = ",".join(item(f"n{i}", note="Q") for i in range(50))
    for old, new in ((b'"n33"', b'""'), (b"Q", b"\xff"), (b'},{"metadata"', b'} {"metadata"')):
        with pytest.raises(DecodeError):
            decode_page(body(f"[{good}]").replace(old, new), OBJECTS)


def test_metadata_only_lists_are_of_their_own_kind():
    """PartialObjectMetadataList, and nothing else."""
    objects = ObjectDecoder(PODS, metadata_only=True)
    version = "meta.k8s.io/v1"
    data = body(
        f"[{item('a', kind='PartialObjectMetadata', apiVersion=version)}]",
        kind="PartialObjectMetadataList",
        version=version,
    )
    assert decode_page(data, objects).items[0].name == "a"
    with pytest.raises(DecodeError):
        decode_page(body(f"[{item('a')}]"), objects)
