"""A frame may read bytes that nobody masked yet; what it shows is masked all the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlab.cache.indexer import Indexer
from crlab.frame.column import Column
from crlab.frame.live_frame import LiveFrame
from crlab.frame.row_reader import RowReader
from crlab.model.object import KubeObject, unmasked
from crlab.model.redaction import Redactor, redact_kube_object
from crlab.model.resource import ApiResource, GroupVersionResource

THINGS = ApiResource(GroupVersionResource("example.com", "v1", "things"), "Thing", True)
CANARY = "c4n4ryc4n4ryc4n4ry"
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ{CANARY}.sig"
TEXTS = st.sampled_from(
    [
        "plain",
        JWT,
        f"redis://u:{CANARY}@h",
        f"Bearer {CANARY}",
        f"see AKIA{'A' * 16} and",
        "app@sha256:0",
        "",
    ]
)
PAIRS = st.fixed_dictionaries({"name": st.sampled_from(["COLOUR", "PASSWORD"]), "value": TEXTS})
VALUES = st.one_of(TEXTS, st.none(), st.integers(), PAIRS, st.lists(PAIRS, max_size=2))
PATHS = [
    ".spec.a",
    ".spec.b.c",
    ".spec.value",
    ".spec.env[*].value",
    ".spec.env",
    ".status.message",
]


def raw_of(spec, status):
    body = {"kind": "Thing", "metadata": {"name": "x", "namespace": "n"}, "spec": spec}
    return json.dumps({**body, "status": status}, separators=(",", ":")).encode()


@given(
    st.fixed_dictionaries(
        {"a": VALUES, "b": st.one_of(VALUES, st.fixed_dictionaries({"c": VALUES}))},
        optional={"value": VALUES, "env": VALUES, "name": TEXTS},
    ),
    VALUES,
    st.sets(st.sampled_from(PATHS), min_size=1).map(sorted),
    st.sampled_from(["string", "object"]),
)
def test_a_reader_finds_what_a_masked_object_says(spec, message, paths, kind):
    """Whichever columns, and whatever stands where a text should."""
    raw = raw_of(spec, {"message": message})
    reader = RowReader([Column.at(path, path, kind) for path in paths])
    lazily = Redactor(THINGS)(KubeObject(raw))
    assert reader.read([lazily]) == reader.read([redact_kube_object(KubeObject(raw), THINGS)])


@pytest.mark.parametrize("path", [".spec.message", ".spec.template", ".spec.env[0].value"])
def test_no_column_shows_a_secret(path):
    """A text, an object that is shown as text, and what only its name gives away."""
    spec = {
        "message": JWT,
        "template": {"kind": "Secret", "stringData": {"a": CANARY}},
        "env": [{"name": "PASSWORD", "value": CANARY}],
    }
    indexer = Indexer()
    obj = Redactor(THINGS)(KubeObject(raw_of(spec, {})))
    indexer.apply([(obj.key, obj)], "1")
    frame = LiveFrame(indexer, resource=THINGS, columns={"it": path})
    assert CANARY not in frame.df.to_csv()


def test_the_usual_columns_are_read_without_a_look_at_the_whole_object():
    """So that a cache of any size is shown as fast as its columns decode."""
    obj = Redactor(THINGS)(KubeObject(raw_of({"env": {"name": "PASSWORD", "value": CANARY}}, {})))
    RowReader([Column.at("a", ".spec.a", "string")]).read([obj])
    assert CANARY.encode() in unmasked(obj)
