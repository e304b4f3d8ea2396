"""Manifests are read safely, and errors name their place."""

import pytest

from crlab.errors import BodyRefused, ManifestError
from crlab.model import manifest
from crlab.model.manifest import load_manifests, parse_document

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def test_every_source_gives_plain_objects(tmp_path):
    """Path, folder, text, JSON, mapping, list of these; several documents; kind List."""
    path = tmp_path / "a.yaml"
    path.write_text(f"{CONFIG}---\n---\n{CONFIG}")
    as_list = {"apiVersion": "v1", "kind": "List", "items": [parse_document(CONFIG)]}
    json_text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}'
    sources = [path, str(path), tmp_path, f"{CONFIG}---\n{CONFIG}", [json_text, as_list]]
    for source in sources:
        assert load_manifests(source) == [parse_document(CONFIG)] * 2
    assert load_manifests(parse_document(CONFIG)) == [parse_document(CONFIG)]


def test_the_caller_keeps_its_mapping():
    """What is returned is a fresh copy."""
    mine = parse_document(CONFIG)
    load_manifests(mine)[0]["metadata"]["name"] = "b"
    assert mine["metadata"]["name"] == "a"


def test_scalars_are_read_as_kubernetes_reads_them():
    """S26: no dates, no base 60; JSON numbers; yes and no are booleans as in sigs.k8s.io/yaml."""
    text = (
        "a: 2024-01-01\nb: 22:22\nc: 1e3\nd: 0777\ne: yes\nf: 'yes'\ng: 0x1f\nh: ~\ni: 1.2.3\non: 1"
    )
    assert parse_document(text) == {
        "a": "2024-01-01", "b": "22:22", "c": 1000.0, "d": 511, "e": True, "f": "yes", "g": 31,
        "h": None, "i": "1.2.3", "on": 1,
    }  # fmt: skip
    assert parse_document('{"a":1e3,"b":-0.5,"c":[true,null],"d":"\\u00e9"}') == {
        "a": 1000.0, "b": -0.5, "c": [True, None], "d": "é",
    }  # fmt: skip


def bomb(levels=8):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join(lines)


HOSTILE = {
    "alias bomb": (bomb(), "aliases expand to more than"),
    "recursive alias": ("x: &x [*x]", "nested deeper"),
    "deep": ("x: " + "[" * 500 + "]" * 500, "nested deeper"),
    "very deep": ("x: " + "[" * 100_000, "nest|expected"),
    "python object": ("x: !!python/object/apply:os.system [id]", "is not allowed"),
    "python name": ("x: !!python/name:os.system ''", "is not allowed"),
    "own tag": ("x: !secret y", "is not allowed"),
    "tagged map": ("x: !!python/dict {}", "is not allowed"),
    "binary": ("x: !!binary aGk=", "is not allowed"),
    "timestamp": ("x: !!timestamp 2024-01-01", "is not allowed"),
    "set": ("x: !!set {a}", "is not allowed"),
    "duplicate key": ("x: 1\nx: 2", "appears twice"),
    "duplicate nested key": ("x: {y: 1, y: 2}", "appears twice"),
    "key a mapping": ("{a: b}: c", "a key is not a text"),
    "NaN": ("x: .nan", "no JSON form"),
    "infinity": ("x: -.inf", "no JSON form"),
    "huge float": ("x: 1e999", "no JSON form"),
    "forced int": ("x: !!int canary", "cannot be read"),
    "unclosed": ("x: [1,", "expected"),
    "tab": ("x:\n\t- y", "tab|token"),
    "undefined alias": ("x: *nowhere", "undefined alias"),
    "control character": ("x: \x07", "control characters"),
    "merge of a text": ("x: {<<: y}", "needs a mapping"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(10)
def test_hostile_yaml_is_an_error_with_its_place(name):
    """S26, corpus Y: the second document, and the line; no value is repeated."""
    text, expected = HOSTILE[name]
    with pytest.raises(ManifestError, match=expected) as caught:
        load_manifests(f"{CONFIG}---\n{text}\n")
    assert "document 2" in str(caught.value) or name == "control character"
    assert "canary" not in str(caught.value)


def test_merge_keys_and_plain_aliases_work():
    """What people write is not what attacks use."""
    text = "base: &b {a: 1, c: 3}\nx: {<<: *b, a: 2}\ny: *b"
    assert parse_document(text)["x"] == {"a": 2, "c": 3}


NOT_OBJECTS = {
    "no apiVersion": ("kind: Pod\nmetadata: {name: a}", "line 1: apiVersion is missing"),
    "no kind": ("apiVersion: v1\nmetadata: {name: a}", "kind is missing"),
    "no metadata": ("apiVersion: v1\nkind: Pod", "Pod has no metadata"),
    "no name": ("apiVersion: v1\nkind: Pod\nmetadata: {}", "metadata.name of the Pod is missing"),
    "numeric name": ("apiVersion: v1\nkind: Pod\nmetadata: {name: 5}", "is not a text"),
    "numeric namespace": (CONFIG.replace("name: a", "name: a, namespace: 5"), "is not a text"),
    "a list": ("- a\n- b", "not an object but a list"),
    "a text": ("just words\n", "not an object but a text"),
    "items a mapping": ("apiVersion: v1\nkind: List\nitems: {}", "items of the List is not a list"),
    "a bad item": (f"apiVersion: v1\nkind: List\nitems: [{{}}]", r"items\[0\]: apiVersion"),  # noqa: F541
    "nothing": ("---\n# only a comment\n", "holds no object"),
}


@pytest.mark.parametrize("name", NOT_OBJECTS)
def test_what_is_no_object_is_an_error(name):
    """The error says what is missing, and where."""
    text, expected = NOT_OBJECTS[name]
    with pytest.raises(ManifestError, match=expected):
        load_manifests(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [({1: 2}, "no text"), ({1, 2}, "is a set"), (b"x", "is bytes"), (float("nan"), "NaN")],
)
def test_a_mapping_without_a_json_form_is_an_error(value, expected):
    """Found before anything is sent."""
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "x": [value]}
    with pytest.raises(BodyRefused, match=rf"\.x\[0\].*{expected}"):
        load_manifests(obj)


def test_files_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    """Absent, a folder without manifests, not text, too large."""
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").mkdir()
    cases = [
        ("absent.yaml", "No such file"),
        ("empty", "holds no .yaml"),
        ("bad.yaml", "not UTF-8"),
    ]
    for name, expected in cases:
        with pytest.raises(ManifestError, match=expected) as caught:
            load_manifests(tmp_path / name)
        assert name in str(caught.value)
    monkeypatch.setattr(manifest, "MAX_BYTES", 10)
    (tmp_path / "large.yaml").write_text(CONFIG)
    for source in (tmp_path / "large.yaml", CONFIG):
        with pytest.raises(ManifestError, match="larger than"):
            load_manifests(source)


@pytest.mark.parametrize("source", [None, 5, b"x: 1", object()])
def test_what_is_no_source_is_an_error(source):
    """It says what would be one."""
    with pytest.raises(ManifestError, match="expected a path"):
        load_manifests(source)


def test_a_large_manifest_is_not_taken_for_a_bomb():
    """More values than the alias cap, without aliases."""
    data = "\n".join(f"  k{i}: v" for i in range(60_000))
    assert len(load_manifests(f"{CONFIG}data:\n{data}\n")[0]["data"]) == 60_000
