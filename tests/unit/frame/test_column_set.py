"""Which columns a frame has."""

import json

import pytest
from support.frame_rig import COLUMNS, SERVICES, frame_of, indexer_of, put, thing, types_of

from crlab.errors import ConfigError, JSONPathError, UnknownColumn
from crlab.frame import Column, LiveFrame
from crlab.frame.column_set import choose_columns
from crlab.model.object import KubeObject
from crlab.model.printer_builtin import BUILTIN
from crlab.model.resource import ApiResource, GroupVersionResource

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "image": {"type": "string"},
                "replicas": {"type": "integer"},
                "since": {"type": "string", "format": "date-time"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "port": {"x-kubernetes-int-or-string": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        }
    },
}


def one(obj, **options):
    return frame_of(indexer_of(obj), **options).df.iloc[0].to_dict()


def test_a_path_adds_a_column():
    """columns={"image": ".spec.image"}, with or without dot and braces."""
    obj = thing("a", spec={"image": "x", "ports": [{"n": 1}, {"n": 2}]})
    found = one(
        obj,
        columns={
            "im": ".spec.image",
            "port": "{.spec.ports[0].n}",
            "all": ".spec.ports[*].n",
            "text": (".spec.ports[*].n", "string"),
            "up": lambda o: o["spec"]["image"].upper(),
            "rep": Column.at("ignored", ".spec.replicas", "Int64"),
        },
    )
    assert (found["im"], found["port"], found["all"], found["up"]) == ("x", 1, [1, 2], "X")
    assert found["text"] == "1,2"


def test_names_choose_columns_and_unknown_ones_name_the_nearest():
    """A list of names is the whole frame."""
    live = frame_of(indexer_of(thing("a")), columns=["name", "phase", ".spec.image", "uid"])
    assert list(live.df.columns) == ["name", "phase", "spec.image", "uid"]
    with pytest.raises(UnknownColumn, match="nearest: phase") as caught:
        frame_of(indexer_of(), columns=["fase"])
    assert caught.value.nearest[0] == "phase"


def test_a_wrong_path_is_an_error_at_once():
    """Before anything is read."""
    with pytest.raises(JSONPathError, match="position"):
        frame_of(indexer_of(), columns={"x": ".spec["})
    with pytest.raises(UnknownColumn, match="nearest: image"):
        frame_of(indexer_of(), columns={"x": ".spec.imagee"}, schema=SCHEMA)


def test_a_schema_gives_dtypes():
    """What it does not say stays object."""
    paths = {n: f".spec.{n}" for n in ("image", "replicas", "since", "port", "free")}
    live = frame_of(indexer_of(), columns=paths, schema=SCHEMA)
    kinds = types_of(live.df)
    assert [kinds[n] for n in paths] == ["str", "Int64", "datetime64[us, UTC]", "object", "object"]


def test_labels_conditions_and_owner_on_request():
    """By name, or all in one text."""
    obj = thing(
        "a",
        metadata={
            "labels": {"app": "web", "a.b/c": "d"},
            "ownerReferences": [
                {"kind": "Job", "name": "j", "uid": "1"},
                {"kind": "ReplicaSet", "name": "r", "uid": "2", "controller": True},
            ],
        },
        status={"conditions": [{"type": "Ready", "status": "True"}]},
    )
    found = one(obj, labels=["a.b/c"], conditions=["Ready", "Gone"], owner=True)
    assert (found["a.b/c"], found["Ready"], found["owner_name"]) == ("d", "True", "r")
    assert one(obj, labels=True)["labels"] == "a.b/c=d,app=web"
    assert one(obj, conditions=True)["conditions"] == "Ready=True"


def test_quantities_are_numbers_on_request():
    """By name, or those that are called so."""
    obj = thing("a", spec={"cpu": "100m", "size": "1Gi"})
    paths = {"cpu": ".spec.cpu", "size": ".spec.size"}
    assert one(obj, columns=paths)["cpu"] == "100m"
    assert one(obj, columns=paths, quantities=True)["cpu"] == 0.1
    assert one(obj, columns=paths, quantities=["size"])["size"] == 2**30
    with pytest.raises(UnknownColumn):
        frame_of(indexer_of(), quantities=["nope"])


def test_wide_flattens_and_keeps_columns_once_seen():
    """Rule crlab/wide/1."""
    indexer = indexer_of(thing("a", spec={"deep": {"x": 1}, "tags": ["a", "b"]}))
    live = frame_of(indexer, wide=True)
    assert live.df.loc["d/a", "spec.deep.x"] == 1
    assert live.df.loc["d/a", "spec.tags"] == "a,b"
    put(indexer, thing("a", 2, spec={"other": [{"k": 1}]}))
    assert list(live.df.columns[-3:]) == ["spec.deep.x", "spec.other", "spec.tags"]
    assert live.df.loc["d/a", "spec.other"] == '[{"k":1}]'
    assert str(live.df["spec.deep.x"].dtype) == "object"


def test_a_name_given_twice_keeps_its_place_and_the_last_meaning():
    """A user's column replaces the printed one."""
    names = [
        c.name for c in choose_columns(SERVICES, {"image": ".spec.other"}, definitions=COLUMNS)
    ]
    assert names.count("image") == 1


HEADERS = {
    "Namespace": ("string", ".spec.namespace"),
    "Name": ("string", ".spec.name"),
    "Key": ("string", ".spec.key"),
    "Age": ("date", ".status.startedAt"),
    "Created": ("date", ".status.createdAt"),
    "Ready": ("string", ".spec.a"),
    "READY": ("string", ".spec.b"),
}


def _headed(*headers):
    return [
        {"name": name, "type": HEADERS[name][0], "jsonPath": HEADERS[name][1]} for name in headers
    ]


@pytest.mark.parametrize("headers", [list(HEADERS), list(HEADERS)[::-1]])
def test_no_printer_column_takes_the_place_of_another(headers):
    """Neither of an object's own names, nor of each other; all are there."""
    spec = {"namespace": "target", "name": "Pretty", "key": "K", "a": "1", "b": "2"}
    times = {"startedAt": "2020-01-01T00:00:00Z", "createdAt": "2021-01-01T00:00:00Z"}
    found = one(thing("a", spec=spec, status=times), definitions=_headed(*headers))
    assert (found["namespace"], found["name"], found["created"].year) == ("d", "a", 2026)
    assert (found["printer_namespace"], found["printer_name"]) == ("target", "Pretty")
    assert (found["printer_key"], found["age"].year) == ("K", 2020)
    assert found["printer_created"].year == 2021
    assert {found["ready"], found["printer_ready"]} == {"1", "2"}


def test_names_of_columns_do_not_depend_on_what_is_shown():
    """A column for -o wide has its name also where another is shown without it."""
    wide = _headed("Ready", "READY")
    wide[0]["priority"] = 1
    assert list(one(thing("a"), definitions=wide))[2:] == ["printer_ready"]
    assert "ready" in one(thing("a"), definitions=wide, wide=True)


def test_labels_conditions_and_leaves_take_no_name_that_is_taken():
    """They are called after where they come from."""
    names = ("name", "namespace", "phase", "created", "key", "app", "spec.image", "owner_name")
    obj = thing(
        "a",
        metadata={"labels": dict.fromkeys(names, "L")},
        spec={"image": "x"},
        status={"phase": "Up", "conditions": [{"type": "name", "status": "C"}]},
    )
    found = one(
        obj,
        columns={"app": ".spec.image"},
        labels=[*names, "name"],
        conditions=["name"],
        owner=True,
        wide=True,
    )
    assert (found["namespace"], found["name"], found["phase"]) == ("d", "a", "Up")
    assert (found["app"], found["label_app"], found["condition_name"]) == ("x", "L", "C")
    assert (found["spec.image"], found["wide_spec.image"]) == ("L", "x")
    assert {found[f"label_{name}"] for name in names if name != "spec.image"} == {"L"}
    assert one(thing("a"), definitions=_headed("Ready"), columns={"uid": ".spec.x"})["uid"] is None


@pytest.mark.parametrize("name", ["key", "namespace", "name", "created"])
@pytest.mark.parametrize("spec", [".spec.image", lambda obj: 1, Column.at("x", ".spec.image")])
def test_a_chosen_name_that_is_the_objects_own_is_refused(name, spec):
    """What it means already may be said again."""
    with pytest.raises(ConfigError, match=f"called '{name}': key, namespace, name, created are"):
        frame_of(indexer_of(), columns={name: spec})
    frame_of(indexer_of(), columns={"created": ".metadata.creationTimestamp"})


@pytest.mark.parametrize(("group", "kind"), sorted(BUILTIN))
def test_every_built_in_kind_makes_a_frame(group, kind):
    """With constant dtypes, for an empty and for an odd object."""
    resource = ApiResource(GroupVersionResource(group, "v1", kind.lower() + "s"), kind, True)
    odd = {"metadata": {"name": "x", "namespace": "d"}, "spec": "?", "status": [1]}
    indexer = indexer_of()
    live = LiveFrame(indexer, resource=resource, wide=False)
    before = types_of(live.df)
    put(indexer, KubeObject(json.dumps(odd).encode()))
    assert types_of(live.df) == before
    assert len(live.df) == 1
