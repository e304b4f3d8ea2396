"""What leaves this process: the JSON form of a value, or one error that names the path."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from unittest import mock
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from crlab.controller.draft import Draft
from crlab.errors import BodyRefused
from crlab.model.encoder import check_raw, encoded
from crlab.model.object import KubeObject, frozen
from crlab.model.redaction import Revealed


class Phase(StrEnum):
    READY = "Ready"


class Port(IntEnum):
    HTTP = 80


class Pair(Enum):
    BOTH = ("a", 1)


OBJECT = KubeObject(b'{"metadata":{"name":"a"},"spec":{"n":[1,{"x":2.5}]}}')

FORMS = [
    (5, 5),
    (5.0, 5),
    (2.5, 2.5),
    (10**19, 1e19),
    (np.int64(3), 3),
    (np.uint8(3), 3),
    (np.float64(3.0), 3),
    (np.float32(0.5), 0.5),
    (np.bool_(True), True),
    (np.array(7), 7),
    (np.str_("x"), "x"),
    (pd.Series([1, 2]).max() + 1, 3),
    (pd.array([1, None])[0], 1),
    (Phase.READY, "Ready"),
    (Port.HTTP, 80),
    (Pair.BOTH, ["a", 1]),
    (Revealed("s"), "s"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (date(2024, 1, 2), "2024-01-02"),
    (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "2024-01-02T03:04:05Z"),
    (datetime(2024, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), "2024-01-02T01:00:00Z"),
    (pd.Timestamp("2024-01-02", tz="Europe/Berlin"), "2024-01-01T23:00:00Z"),
    (pd.Timestamp("2024-01-02T00:00:00.000005", tz="UTC"), "2024-01-02T00:00:00.000005Z"),
    ((1, 2), [1, 2]),
    (MappingProxyType({"a": 1}), {"a": 1}),
    ({np.str_("k"): 1, Phase.READY: 2}, {"k": 1, "Ready": 2}),
    (frozen({"a": [1, {"b": 2}]}), {"a": [1, {"b": 2}]}),
    (frozen([1, [2]]), [1, [2]]),
    (Draft({"a": {"b": 1}}), {"a": {"b": 1}}),
    (OBJECT, {"metadata": {"name": "a"}, "spec": {"n": [1, {"x": 2.5}]}}),
    (OBJECT.spec, {"n": [1, {"x": 2.5}]}),
]

REFUSED = [
    (float("nan"), "NaN"),
    (float("-inf"), "infinity"),
    (np.float64("nan"), "NaN"),
    (np.float32("inf"), "infinity"),
    (pd.NA, "NA, a value that is missing"),
    (pd.NaT, "NaT"),
    (datetime(2024, 1, 2), "without a zone"),
    (pd.Timestamp("2024-01-02"), "without a zone"),
    (datetime.min.replace(tzinfo=timezone(timedelta(hours=2))), "UTC cannot name"),
    (np.datetime64("2024-01-02"), "datetime64"),
    (np.timedelta64(1, "s"), "timedelta64"),
    (timedelta(1), "total_seconds"),
    (Decimal("1.5"), "float"),
    ({1}, "sorted list"),
    (b"x", "base64"),
    (bytearray(b"x"), "bytearray"),
    (memoryview(b"x"), "memoryview"),
    (10**400, "64 bits"),
    (2**63 + 1, "64 bits"),
    (1j, "complex"),
    (np.complex128(1j), "complex128"),
    (np.array([1, 2]), r"\.tolist\(\)"),
    (pd.Series([1]), r"\.tolist\(\)"),
    (pd.DataFrame({"a": [1]}), r"\.to_dict\(\)"),
    (object(), "object, which has no JSON form"),
    (mock.MagicMock(), "MagicMock"),
    (range(3), "range"),
    ("\ud800", "lone surrogate"),
    ({"\ud800": 1}, "lone surrogate"),
    ({1: 2}, "a key that is no text but of type int"),
    ({None: 2}, "NoneType"),
    ("a <redacted: 12 bytes> b", "masked value"),
    ({"<redacted: 1 bytes>": 1}, "masked value"),
    (KubeObject(b'{"metadata":{"name":"a"},"x":"<redacted: 1 bytes>"}'), "masked value"),
]


@pytest.mark.parametrize(("value", "form"), FORMS, ids=lambda value: str(value)[:30])
def test_a_value_leaves_in_its_json_form(value, form):
    """Numbers are numbers and texts texts, whatever library they are of."""
    tree, raw = encoded({"spec": [value]}, "create x")
    assert json.loads(raw) == tree == {"spec": [form]}
    assert type(tree["spec"][0]) is type(form)


@pytest.mark.parametrize(("value", "why"), REFUSED, ids=lambda value: type(value).__name__)
def test_a_value_without_a_json_form_is_refused_with_its_path(value, why):
    """One error for all; it says what was tried, where, and what the value is."""
    for body in ({"spec": {"a.b/c": [1, value]}}, Draft({"spec": {"a.b/c": [1, value]}})):
        with pytest.raises(BodyRefused, match=why) as caught:
            encoded(body, "patch things default/x")
        assert str(caught.value).startswith("patch things default/x: .spec['a.b/c'][1]")
        assert caught.value.paths[0].startswith(".spec['a.b/c'][1]")
        assert "nothing was sent" in str(caught.value)


def test_what_holds_itself_is_refused():
    """Also where the path of it has no end; a shared part is no cycle."""
    cycle: dict = {"a": []}
    cycle["a"].append(cycle)
    with pytest.raises(BodyRefused, match=r"\.a\[0\]\.a.*…: ?.*holds itself|holds itself"):
        encoded(cycle, "create x")
    shared = {"b": 1}
    assert encoded([shared, shared], "x")[1] == b'[{"b":1},{"b":1}]'


def test_every_masked_path_is_named_and_the_text_is_not_shown():
    """So that one look at the error is enough; what is beside a mask may be secret."""
    body = {"data": {str(n): f"s3cret <redacted: {n} bytes>" for n in range(7)}}
    with pytest.raises(BodyRefused, match=r"\.data\['0'\], .*and 2 more") as caught:
        encoded(body, "update x")
    assert len(caught.value.paths) == 7
    assert "s3cret" not in str(caught.value)
    assert "include_secrets=True" in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":{"b":"<redacted: 3 bytes>"}}',
        b'{"a":{"b":"\\u003credacted: 3 bytes>"}}',
        b'{"a":{"b":"<\\u0072edacted: 3 bytes>"}}',
    ],
)
def test_a_mask_in_bytes_that_others_encoded_is_found(raw):
    """Escaped or not."""
    with pytest.raises(BodyRefused, match=r"PUT /x: \.a\.b holds a masked value"):
        check_raw(raw, "PUT /x")
    with pytest.raises(BodyRefused, match="PUT /x: the body holds a masked value"):
        check_raw(b"a:\n  b: '<redacted: 3 bytes>'\n", "PUT /x")
    check_raw(b'{"a":"<redacted>","b":"\\u003c"}', "PUT /x")
