"""Secrets are masked before anything keeps them."""

import base64
import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.errors import DecodeError
from crlab.model.object import KubeObject, mask_on_read, thawed
from crlab.model.redaction import (
    LAST_APPLIED,
    Redactor,
    Revealed,
    is_secret_name,
    mask_status,
    mask_text,
    needs_redaction,
    redact_body,
    redact_bytes,
    redact_kube_object,
    redact_object,
)
from crlab.model.resource import ApiResource, GroupVersionResource

CANARY = "c4n4ryc4n4ryc4n4ry"
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ{CANARY}.sig"
SECRETS = ApiResource(GroupVersionResource("", "v1", "secrets"), "Secret", True)
PODS = ApiResource(GroupVersionResource("", "v1", "pods"), "Pod", True)


def kube(body):
    body.setdefault("metadata", {})["name"] = "x"
    return KubeObject(json.dumps(body).encode())


def test_a_secret_keeps_its_keys_and_lengths_only():
    """`kubectl describe` shows no more either."""
    encoded = base64.b64encode(CANARY.encode()).decode()
    secret = {"kind": "Secret", "data": {"password": encoded}, "stringData": {"t": CANARY}}
    assert redact_object(secret)["data"] == {"password": f"<redacted: {len(CANARY)} bytes>"}
    assert redact_object(secret)["stringData"] == {"t": f"<redacted: {len(CANARY)} bytes>"}
    assert secret["stringData"] == {"t": CANARY}  # the input is not changed


MANAGED = [{"apiVersion": "v1", "fieldsV1": {"f:data": {}}, "manager": "m]", "time": "t"}]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize(
    "spec",
    [
        {"env": [{"name": "PASSWORD", "value": CANARY}]},
        {"env": [{"value": CANARY, "name": "a"}, {"value": "b", "name": "auth-token"}]},
        {"args": [JWT]},
        {"url": f"redis://u:{CANARY}@h"},
        {"managedFields": [{"apiVersion": "x"}, {"name": "PASSWORD", "value": CANARY}]},
    ],
)
def test_nothing_is_overlooked_around_managed_fields(spec, separators):
    """They are not searched; what stands before and after them is, however it is written."""
    for position in ("annotations", "name"):
        metadata = {"annotations": {"a": "b"}, "managedFields": MANAGED, "name": "x"}
        metadata = {position: metadata.pop(position), **metadata}
        raw = json.dumps({"spec": spec, "metadata": metadata}, separators=separators).encode()
        also = json.dumps({"metadata": metadata, "spec": spec}, separators=separators).encode()
        for text in (raw, also):
            for _ in range(2):  # what was harmless once is remembered
                needed = redact_kube_object(KubeObject(text), PODS)
                assert needed.raw != text


def test_what_needs_nothing_comes_back_as_it_is():
    """The usual case costs a look at the bytes, and no copy."""
    spec = {"env": [{"name": "COLOUR", "value": "red"}], "url": "http://a/b", "image": "a@sha256:0"}
    obj = kube({"metadata": {"managedFields": MANAGED}, "spec": spec})
    assert redact_kube_object(obj, PODS) is obj
    assert redact_kube_object(obj, PODS) is obj


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
        {"spec": {"args": ["--header", f"Authorization: Bearer {CANARY}"]}},
        {"spec": {"args": [JWT]}},
        {"spec": {"url": f"postgres://user:{CANARY}@db/x"}},
        {
            "spec": {
                "key": f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----"
            }
        },
        {"kind": "ConfigMap", "data": {"db-password": CANARY}},
        {"kind": "ConfigMap", "data": {"config": f'{{"auths":{{"r":{{"auth":"{CANARY}"}}}}}}'}},
        {"kind": "Secret", "data": CANARY},
        {"kind": "Secret", "data": {"a": {"nested": CANARY}}},
        {"kind": "TokenRequest", "status": {"token": CANARY}},
        {"kind": "SecretList", "items": [{"data": {"a": CANARY}}]},
        {"kind": "List", "items": [{"kind": "Secret", "data": {"a": CANARY}}]},
        {"kind": "Table", "rows": [{"object": {"kind": "Secret", "data": {"a": CANARY}}}]},
    ],
)
def test_known_carriers_are_masked(body):
    """Twelve places and more where secrets hide (S5-S7)."""
    assert CANARY not in json.dumps(redact_object(body))
    assert CANARY.encode() not in redact_kube_object(kube(dict(body)), None).raw


POD = {
    "kind": "Pod",
    "metadata": {"name": "x", "annotations": {LAST_APPLIED: CANARY}},
    "spec": {"args": [JWT], "env": [{"name": "PASSWORD", "value": CANARY}]},
}


@pytest.mark.parametrize("length", [1, 2000])
def test_a_password_in_a_url_is_found_however_long_it_is(length):
    """And an image's digest after another URL is none."""
    harmless = b'{"a":"http://h:80/x","image":"r@sha256:0"}'
    assert not needs_redaction(harmless, "Pod")
    assert needs_redaction(b'{"a":"http://h:80/x","b":"https://u:%s@h"}' % (b"p" * length), "Pod")


@pytest.mark.parametrize(
    "read",
    [
        lambda obj: obj.raw,
        lambda obj: obj.to_dict(),
        lambda obj: obj["spec"],
        lambda obj: obj.spec.env,
        lambda obj: dict(obj),
        lambda obj: list(obj.values()),
        lambda obj: pickle.dumps(obj),
        lambda obj: copy.deepcopy(obj).raw,
        lambda obj: KubeObject.of(obj).raw,
        lambda obj: thawed(obj),
    ],
)
def test_whoever_reads_an_object_reads_it_masked(read):
    """Kinds that rarely hold a secret wait for their first reader (`Redactor`)."""
    kept = Redactor(PODS)(kube(json.loads(json.dumps(POD))))
    assert CANARY not in repr(read(kept))
    assert CANARY.encode() not in kept._bytes  # and then it is gone from memory
    assert CANARY not in repr(kept)


def test_what_is_made_for_secrets_is_masked_before_it_is_kept():
    """Nobody has to read it first."""
    kept = Redactor(SECRETS)(kube({"kind": "Secret", "stringData": {"a": CANARY}}))
    assert CANARY.encode() not in kept._bytes


def test_an_object_that_cannot_be_masked_cannot_be_read():
    """It fails closed: no bytes, no field, not the second time either."""

    def fail(raw):
        raise DecodeError("nested too deeply")

    kept = kube({"spec": CANARY})
    mask_on_read(kept, fail)
    for read in (lambda: kept.raw, lambda: kept.spec, kept.to_dict, lambda: kept.raw):
        with pytest.raises(DecodeError):
            read()


def test_a_reference_to_a_secret_costs_no_decoding():
    """Most pods have some; their objects stay as they are, byte for byte."""
    key = {"name": "db-credentials", "key": "password"}
    env = [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": key}}]
    plain = [{"name": "COLOUR", "value": "red"}, *env, {"name": "SIZE", "value": "1"}]
    tolerations = [{"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}]
    for spec in ({"env": plain}, {"env": env}, {"env": plain, "tolerations": tolerations}):
        for separators in ((",", ":"), (", ", ": ")):
            raw = json.dumps({"kind": "Pod", "spec": spec}, separators=separators).encode()
            assert not needs_redaction(raw, "Pod")


@given(
    st.permutations(["name", "value", "type", "nested"]),
    st.sampled_from([(",", ":"), (", ", ": ")]),
    st.integers(0, 3),
)
def test_a_secret_pair_is_found_however_it_is_written(order, separators, others):
    """Between other pairs, with other members, in any order."""
    pair = {"name": "API_KEY", "value": CANARY, "type": "string", "nested": {"a": [{}]}}
    harmless = [{"name": f"N{number}", "value": "v"} for number in range(others)]
    env = [*harmless, {member: pair[member] for member in order}, *harmless]
    raw = json.dumps({"kind": "Pod", "spec": {"env": env}}, separators=separators).encode()
    for _ in range(2):  # what was harmless once is remembered
        assert needs_redaction(raw, "Pod")
    assert CANARY.encode() not in redact_bytes(raw, "Pod")


def test_an_object_without_secrets_is_the_same_object():
    """No cost beyond a look at the bytes."""
    pod = kube({"kind": "Pod", "spec": {"containers": [{"env": [{"name": "A", "value": "b"}]}]}})
    assert redact_kube_object(pod, PODS) is pod


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"https://user:{CANARY}@host/path",
        f'{{"password":"{CANARY}"}}',
        f"token={CANARY} was refused",
        JWT,
        f'Secret in version "v1" cannot be handled: {{"data":{{"a":"{CANARY}"}}}}',
        f"client-key-data: {CANARY}",
    ],
)
def test_free_text_is_masked(text):
    """Error texts and messages (S37)."""
    assert CANARY not in mask_text(text)


def test_a_refused_secret_does_not_echo_its_values():
    """A 422 repeats what it refused, in the message and in every cause."""
    text = f'data[a]: Invalid value: "{CANARY}": must be base64'
    status = {"message": text, "details": {"kind": "Secret", "causes": [{"message": text}]}}
    masked = mask_status(status)
    assert CANARY not in json.dumps(masked)
    assert "must be base64" in masked["message"]


def test_a_patch_of_a_secret_is_masked_without_a_kind_in_it():
    """Merge and JSON patches say what they patch in the URL only."""
    assert CANARY not in str(redact_body({"data": {"a": CANARY}}, kind="Secret"))
    operation = [{"op": "add", "path": "/data/a", "value": CANARY}]
    assert CANARY not in str(redact_body(operation, kind="Secret"))
    assert CANARY not in str(redact_body(json.dumps(operation).encode(), kind="Secret"))


def test_secret_names_are_told_from_harmless_ones():
    """Recall first; names that only point at a secret stay readable."""
    secret = "PASSWORD DB_PASS api-key AWS_SECRET_ACCESS_KEY githubToken SSH_KEY tls.key id_rsa.pem"
    assert all(is_secret_name(name) for name in secret.split())
    assert not any(is_secret_name(n) for n in ["IMAGE", "TOKEN_PATH", "key", "monkey"])


def test_what_was_revealed_does_not_print():
    """A revealed value is usable, and masked in a repr."""
    shown = Revealed(CANARY)
    assert shown == CANARY
    assert CANARY not in repr(shown)
