"""Protobuf bodies of typed clients."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.apiserver.protobuf import MAGIC, ProtobufError, decode_object


def field(number, value):
    """Encode one field: an int, bytes, or text."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def body(api_version, kind, *fields):
    types = message((1, api_version), (2, kind))
    return MAGIC + message((1, types), (2, message(*fields)), (3, ""), (4, ""))


def test_a_config_map_as_kubectl_sends_it():
    """Bytes of kubectl 1.32, `create configmap x --from-literal=a=b`."""
    sent = (
        b"k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x1b\n\x11\n\x01x\x12\x00\x1a\x00"
        b'"\x00*\x002\x008\x00B\x00\x12\x06\n\x01a\x12\x01b\x1a\x00"\x00'
    )
    assert decode_object(sent) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x"},
        "data": {"a": "b"},
    }


def test_zero_behind_a_pointer_is_kept_and_an_empty_text_is_not():
    """replicas: 0 means something, paused: false is Go's zero."""
    spec = message((1, 0), (7, 0), (9, -5))
    tree = decode_object(body("apps/v1", "Deployment", (2, spec)))
    assert tree["spec"]["replicas"] == 0
    assert "paused" not in tree["spec"]
    assert tree["spec"]["progressDeadlineSeconds"] == -5


def test_embedded_structs_are_flat_and_special_types_are_json():
    """A volume's source, quantities, int-or-string, bytes and times."""
    volume = message((1, "v"), (2, message((19, message((1, message((1, "cm"))))))))
    limits = message((1, message((1, "cpu"), (2, message((1, "500m"))))))
    container = message((1, "c"), (8, limits))
    pod = decode_object(body("v1", "Pod", (2, message((1, volume), (2, container)))))
    assert pod["spec"]["volumes"] == [{"name": "v", "configMap": {"name": "cm"}}]
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}}
    secret = decode_object(body("v1", "Secret", (2, message((1, "k"), (2, b"\x00\xff")))))
    assert secret["data"] == {"k": "AP8="}
    port = message((3, 80), (4, message((1, 1), (3, "http"))))
    service = decode_object(body("v1", "Service", (2, message((1, port)))))
    assert service["spec"]["ports"][0]["targetPort"] == "http"


def test_times_are_rfc_3339():
    """Seconds for Time; an empty one is absent."""
    meta = message((1, "x"), (8, message((1, 0), (2, 0))))
    tree = decode_object(body("v1", "ConfigMap", (1, meta)))
    assert tree["metadata"] == {"name": "x", "creationTimestamp": "1970-01-01T00:00:00Z"}


@pytest.mark.parametrize("seconds", [2**40, 2**62, 2**64 - 2**40])
def test_a_time_beyond_the_years_is_refused(seconds):
    """JSON could not hold it."""
    meta = message((1, "x"), (8, message((1, seconds))))
    with pytest.raises(ProtobufError, match="a time out of range"):
        decode_object(body("v1", "ConfigMap", (1, meta)))


def test_users_extras_are_lists():
    """ExtraValue is a message around a list."""
    extra = message((1, "k"), (2, message((1, "a"), (1, "b"))))
    spec = message((3, "bob"), (5, extra))
    tree = decode_object(body("authorization.k8s.io/v1", "SubjectAccessReview", (2, spec)))
    assert tree["spec"] == {"user": "bob", "extra": {"k": ["a", "b"]}}


def test_delete_options_are_known_in_every_group():
    """client-go sends them under the group's version."""
    tree = decode_object(body("apps/v1", "DeleteOptions", (4, "Foreground")))
    assert tree["propagationPolicy"] == "Foreground"


@pytest.mark.parametrize(
    "data", [b"", b"{}", MAGIC, body("v1", "Widget"), body("v1", "Pod")[:-1], MAGIC + b"\x0b"]
)
def test_what_is_no_known_kind_is_refused(data):
    """Never guessed."""
    with pytest.raises(ProtobufError):
        decode_object(data)


@given(st.binary(max_size=60))
def test_hostile_bytes_only_ever_raise_one_error(data):
    """Whatever is inside a Pod's envelope."""
    try:
        decode_object(MAGIC + message((1, message((1, "v1"), (2, "Pod"))), (2, data)))
    except ProtobufError:
        return
