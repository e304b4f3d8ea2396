"""Truth to code, masks to eyes: what of an object may be shown or saved."""

import base64
import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.secret_place import CANARY, ENCODED, JWT, harmless_objects, secret_objects

from crlab.controller.draft import Draft
from crlab.errors import DecodeError
from crlab.model.diff import diff
from crlab.model.object import KubeObject, thawed
from crlab.model.redaction import (
    LAST_APPLIED,
    Revealed,
    holds_secrets,
    mask_status,
    mask_text,
    mask_values,
    redact_body,
    redact_kube_object,
    redact_object,
    shown,
)
from crlab.model.resource import ApiResource, GroupVersionResource

SECRETS = ApiResource(GroupVersionResource("", "v1", "secrets"), "Secret", True)
PODS = ApiResource(GroupVersionResource("", "v1", "pods"), "Pod", True)


def kube(body):
    body.setdefault("metadata", {})["name"] = "x"
    return KubeObject(json.dumps(body).encode())


def test_a_secret_keeps_its_keys_and_lengths_only():
    """`kubectl describe` shows no more either."""
    secret = {"kind": "Secret", "data": {"password": ENCODED}, "stringData": {"t": CANARY}}
    assert redact_object(secret)["data"] == {"password": f"<redacted: {len(CANARY)} bytes>"}
    assert redact_object(secret)["stringData"] == {"t": f"<redacted: {len(CANARY)} bytes>"}
    assert secret["stringData"] == {"t": CANARY}  # the input is not changed


def test_a_list_item_without_kind_is_known_by_its_resource():
    """Typed lists leave the kind out of their items."""
    found = redact_kube_object(kube({"data": {"p": CANARY}}), SECRETS)
    assert CANARY.encode() not in found.raw
    assert found.key == "x"


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"annotations": {LAST_APPLIED: CANARY}}},
        {"spec": {"template": {"metadata": {"annotations": {LAST_APPLIED: CANARY}}}}},
        {"spec": {"containers": [{"env": [{"name": "DB_PASSWORD", "value": CANARY}]}]}},
        {"spec": {"containers": [{"env": [{"value": CANARY, "name": "apiKey"}]}]}},
        {"spec": {"params": [{"key": "password", "value": CANARY}]}},
        {"spec": {"password": {"value": CANARY}}},
        {"spec": {"args": ["--header", f"Authorization: Bearer {CANARY}"]}},
        {"spec": {"args": ["--db-password", CANARY, "--verbose"]}},
        {"spec": {"args": [f"--password={CANARY}"]}},
        {"spec": {"password": CANARY}},
        {"spec": {"apiKey": CANARY, "env": {"DB_PASSWORD": CANARY}}},
        {"spec": {"tokens": [CANARY, CANARY]}},
        {"spec": {"auths": {"r.io": {"auth": CANARY, "email": CANARY}}}},
        {"metadata": {"annotations": {"password": CANARY}, "labels": {"x/token": CANARY}}},
        {"spec": {"map": {f"ghp_{CANARY}{CANARY}": 1}}},
        {"kind": "ConfigMap", "data": {"db-password": CANARY}},
        {"kind": "ConfigMap", "data": {"config": f'{{"auths":{{"r":{{"auth":"{CANARY}"}}}}}}'}},
        {"kind": "ConfigMap", "data": {"s.yaml": f"kind: Secret\nstringData:\n  a: {CANARY}"}},
        {"kind": "Secret", "data": CANARY},
        {"kind": "Secret", "data": {"a": {"nested": CANARY}}},
        {"type": "Opaque", "metadata": {}, "data": {"a": CANARY}},
        {"kind": "TokenRequest", "status": {"token": CANARY}},
        {"kind": "TokenReview", "spec": {"token": CANARY}},
        {"kind": "SecretList", "items": [{"data": {"a": CANARY}}]},
        {"kind": "List", "items": [{"kind": "Secret", "data": {"a": CANARY}}]},
        {"kind": "Table", "rows": [{"object": {"kind": "Secret", "data": {"a": CANARY}}}]},
    ],
)
def test_known_carriers_are_masked(body):
    """Twelve places and more where secrets hide (S5-S7)."""
    assert CANARY not in json.dumps(redact_object(body))
    obj = kube(copy.deepcopy(body))
    assert CANARY.encode() not in redact_kube_object(obj, None).raw
    parts = [*obj.values(), *Draft(obj).values()]  # a text that code takes out is the truth
    parts = [part for part in parts if not isinstance(part, str)]
    assert CANARY not in repr([Draft(obj), *parts])
    assert CANARY not in repr(diff(obj, kube({})) + diff(kube({}), obj) + diff(None, obj))
    assert obj.to_dict() == body | {"metadata": obj.to_dict()["metadata"]}  # code has the truth


def test_the_last_applied_annotation_is_masked_where_it_stands():
    """So that writing a masked object back is refused, and does not lose it."""
    found = redact_kube_object(kube({"metadata": {"annotations": {LAST_APPLIED: "{}"}}}))
    assert found.metadata.annotations[LAST_APPLIED] == "<redacted: 2 bytes>"


@pytest.mark.parametrize("obj", harmless_objects(), ids=lambda obj: obj["kind"])
def test_nothing_of_an_ordinary_object_is_masked(obj):
    """References, settings, rules and schemas have names that look secret, and are none."""
    assert redact_object(obj) == obj
    kept = kube(copy.deepcopy(obj))
    assert redact_kube_object(kept) is kept


@given(secret_objects())
def test_a_secret_anywhere_in_any_kind_is_never_shown(planted):
    """Any known shape or name, at any place, in a repr, a body, a difference or a column."""
    obj, secret = planted
    kept = KubeObject(json.dumps(obj).encode())
    assert kept.to_dict() == obj
    assert thawed(kept) == obj
    assert pickle.loads(pickle.dumps(kept)).to_dict() == obj
    bare = kube({})
    texts = [
        redact_object(obj), redact_body(json.dumps(obj).encode()), redact_kube_object(kept).raw,
        kept, dict(kept), Draft(obj), diff(bare, kept), diff(kept, bare), diff(kept, None),
    ]  # fmt: skip
    texts += [repr(part) for part in walked(kept)] + [repr(part) for part in walked(Draft(obj))]
    texts += [mask_values([value], field) for field, value in obj["spec"].items()]
    assert secret not in "".join(map(repr, texts))


def walked(node):
    """Every view of a part of an object that has a repr of its own."""
    if isinstance(node, str | int | float | None):
        return
    yield node
    for part in node.values() if hasattr(node, "values") else node:
        yield from walked(part)


def test_what_cannot_be_decoded_cannot_be_masked():
    """It fails closed."""
    raw = b'{"metadata":{"name":"x"},"spec":' + b"[" * 5000 + b"]" * 5000 + b"}"
    with pytest.raises(DecodeError):
        redact_kube_object(KubeObject.trusted(raw, "x", "", "", ""), SECRETS)


def test_only_kinds_made_for_secrets_are_masked_when_taken_in():
    """A ConfigMap or a Deployment is given to code as the server sent it."""
    names = ("Secret", "SecretList", "TokenRequest", "TokenReview", "ConfigMap", "Pod")
    found = [n for n in names if holds_secrets(ApiResource(SECRETS.gvr, n, True))]
    assert found == ["Secret", "SecretList", "TokenRequest", "TokenReview"]


def test_the_repr_of_an_object_shows_control_characters_as_escapes():
    """Only a lying server can send such names."""
    obj = KubeObject.trusted(b'{"kind":"Pod"}', "a\nb\x1b[2J", "n\r", "", "1")
    assert repr(obj) == r"<Pod n\r/a\nb\x1b[2J rv=1>"


def test_a_changed_password_is_shown_as_a_change():
    """By its lengths; where they are alike, the row is there all the same."""

    def config(password):
        return {"kind": "ConfigMap", "data": {"password": password, "a": "b"}}

    (change,) = diff(config("hunter2"), config("hunter2!!"))
    assert str(change) == "~ .data.password: '<redacted: 7 bytes>' → '<redacted: 9 bytes>'"
    (alike,) = diff(config("hunter2"), config("hunter3"))
    assert str(alike).endswith("(changed)")
    assert "hunter" not in repr(alike)


def test_a_masked_and_a_plain_form_of_one_secret_are_no_change():
    """The cache holds a Secret masked, the answer to a write does not."""
    plain = {"kind": "Secret", "data": {"a": ENCODED}}
    longer = {"kind": "Secret", "data": {"a": base64.b64encode(b"x").decode()}}
    assert diff(redact_object(plain), plain) == []
    assert len(diff(redact_object(plain), longer)) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"Authorization: Token {CANARY}",
        f"https://user:{CANARY}@host/path",
        f'{{"password":"{CANARY}"}}',
        f"token={CANARY} was refused",
        JWT,
        f'Secret in version "v1" cannot be handled: {{"data":{{"a":"{CANARY}"}}}}',
        f"client-key-data: {CANARY}",
        f'{{"name":"DB_PASSWORD","value":"{CANARY}"}} is immutable',
        f'{{Name: "DB_PASSWORD", Value: "{CANARY}"}} is immutable',
    ],
)
def test_free_text_is_masked(text):
    """Error texts and messages (S37)."""
    assert CANARY not in mask_text(text)


def test_the_name_of_an_object_is_no_field():
    """An error says what was asked for, and what came of it."""
    text = "get configmaps default/db-password: 404 NotFound"
    assert mask_text(text) == text


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_a_refused_secret_does_not_echo_its_values(kind):
    """A 422 repeats what it refused, in the message and in every cause."""
    text = f'data.password: Invalid value: "{CANARY}": must be base64'
    status = {"message": text, "details": {"kind": kind, "causes": [{"message": text}]}}
    masked = mask_status(status)
    assert CANARY not in json.dumps(masked)
    assert "must be base64" in masked["message"]


def test_a_patch_of_a_secret_is_masked_without_a_kind_in_it():
    """Merge and JSON patches say what they patch in the URL only."""
    assert CANARY not in str(redact_body({"data": {"a": CANARY}}, kind="Secret"))
    operation = [{"op": "add", "path": "/data/a", "value": CANARY}]
    assert CANARY not in str(redact_body(operation, kind="Secret"))
    assert CANARY not in str(redact_body(json.dumps(operation).encode(), kind="Secret"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/spec/password", CANARY),
        ("/spec/containers/0/env/0/value", CANARY),
        ("/spec/containers/0/args/1", CANARY),
        ("/spec/containers/0/env/-", {"name": "PASSWORD", "value": CANARY}),
        ("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration", CANARY),
        ("", {"kind": "Secret", "data": {"a": CANARY}}),
    ],
)
def test_an_operation_is_masked_by_its_path(path, value):
    """What it names is masked as it would be in the object."""
    body = [{"op": "replace", "path": path, "value": value}, {"op": "remove", "path": "/a"}]
    assert CANARY not in str(redact_body(body))


@given(st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=8)), max_size=5))
def test_a_column_without_secrets_is_the_same_column(values):
    """The usual case costs one look and no copy."""
    assert mask_values(values, "phase") == values


def test_what_was_revealed_does_not_print():
    """A revealed value is usable, and masked in a repr."""
    revealed = Revealed(CANARY)
    assert revealed == CANARY
    assert CANARY not in repr(revealed)
    assert shown(revealed, "note") == CANARY  # as any text that a user takes out of an object


@pytest.mark.parametrize("part", [slice(1, None), slice(1, 2), slice(None, None, -1)])
def test_a_slice_of_arguments_shows_no_more_than_the_whole(part):
    """The flag that names an argument may be outside of the slice, or behind it."""
    spec = {"args": ["--password", "hunter2-real", "--v=4"]}
    obj = KubeObject.of({"metadata": {"name": "x"}, "spec": spec})
    args = obj.spec.args[part]
    assert "hunter2-real" in list(args)
    assert "hunter2" not in repr(args) + repr(args[:]) + f"{args[0:1]}"
