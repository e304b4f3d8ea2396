"""Frames read objects as they are, and show nothing that is secret in them."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.secret_place import CANARY, JWT, secret_objects

from crlab.cache.indexer import Indexer
from crlab.frame.column import Column
from crlab.frame.live_frame import LiveFrame
from crlab.frame.row_reader import RowReader
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionResource

THINGS = ApiResource(GroupVersionResource("example.com", "v1", "things"), "Thing", True)
PATHS = (".", ".spec", ".spec.field", ".spec.field.*", "..value", ".metadata.annotations.note",
         ".spec.field[0]", ".spec.field.spec", ".spec.field[*].value")  # fmt: skip


def framed(obj, **options):
    indexer = Indexer()
    kept = KubeObject(json.dumps(obj).encode())
    indexer.apply([(kept.key, kept)], "1")
    return LiveFrame(indexer, resource=THINGS, **options).df


@given(secret_objects(), st.sets(st.sampled_from(PATHS), min_size=1).map(sorted), st.booleans())
def test_no_column_shows_a_planted_secret(planted, paths, is_wide):
    """Whatever stands where, and whichever paths and functions are asked for."""
    obj, secret = planted
    columns = {f"c{n}": path for n, path in enumerate(paths)}
    columns |= {f"t{n}": (path, "string") for n, path in enumerate(paths)}
    columns |= {"text": lambda o: str(o["spec"]), "part": lambda o: o["spec"]["field"]}
    frame = framed(obj, columns=columns, wide=is_wide, labels=True)
    assert secret not in frame.to_csv() + frame.to_html() + repr(frame.to_dict())


@pytest.mark.parametrize("path", [".spec.message", ".spec.template", ".spec.env[0].value"])
def test_no_column_shows_a_secret(path):
    """A text, an object that is shown as text, and what only its name gives away."""
    spec = {
        "message": JWT,
        "template": {"kind": "Secret", "stringData": {"a": CANARY}},
        "env": [{"name": "PASSWORD", "value": CANARY}],
    }
    obj = {"kind": "Thing", "metadata": {"name": "x", "namespace": "n"}, "spec": spec}
    assert CANARY not in framed(obj, columns={"it": path}).to_csv()


def test_a_function_is_given_the_truth_and_its_column_is_masked():
    """Also where it takes the secret apart from its name, or decodes it."""
    encoded = base64.b64encode(CANARY.encode()).decode()
    spec = {"password": CANARY, "env": [{"name": "TOKEN", "value": encoded}], "n": 3}
    obj = {"kind": "Thing", "metadata": {"name": "x", "namespace": "n"}, "spec": spec}
    seen = []

    def taken(tree):
        seen.append(tree["spec"]["password"])
        return f"it is {tree['spec']['password']}!"

    columns = {
        "taken": taken,
        "decoded": lambda o: base64.b64decode(o["spec"]["env"][0]["value"]).decode(),
        "count": lambda o: o["spec"]["n"],
    }
    row = framed(obj, columns=columns).iloc[0]
    assert set(seen) == {CANARY}
    assert row["taken"] == f"it is <redacted: {len(CANARY)} bytes>!"
    assert row["decoded"] == f"<redacted: {len(CANARY)} bytes>"
    assert row["count"] == 3


def test_a_column_of_ordinary_values_is_read_as_it_is():
    """References and settings stay; numbers and conditions too."""
    spec = {"secretName": "db-password", "tokenTTL": "1h", "n": 5}
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    body = {"metadata": {"name": "x"}, "spec": spec, "status": status}
    paths = [".spec.secretName", ".spec.tokenTTL", ".spec.n",
             '.status.conditions[?(@.type=="Ready")].status']  # fmt: skip
    reader = RowReader([Column.at(path, path, "object") for path in paths])
    rows = reader.read([KubeObject(json.dumps(body).encode())])
    assert [list(row) for row in rows] == [["db-password"], ["1h"], [5], ["True"]]
