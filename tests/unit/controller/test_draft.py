"""Drafts: a dict that reads and writes as attributes, with the help of a schema."""

import copy
import inspect
import json
import pickle

import msgspec
import pytest

from crlab.controller import Draft, SchemaNode, crd_schema
from crlab.errors import ConfigError
from crlab.model.object import KubeObject

SCHEMA = SchemaNode(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "description": "What should be.",
                "required": ["image"],
                "properties": {
                    "image": {"type": "string", "description": "The image."},
                    "replicas": {"type": "integer", "default": 1},
                    "ports": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"port": {"type": "integer", "description": "A port."}},
                        },
                    },
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
        },
    }
)


def test_it_is_a_dict_and_an_attribute_tree():
    """Both ways reach the same value."""
    draft = Draft({"spec": {"replicas": 1, "ports": [{"port": 80}]}})
    draft.spec.replicas = 2
    draft["spec"]["ports"][0].port = 81
    assert draft == {"spec": {"replicas": 2, "ports": [{"port": 81}]}}
    assert json.loads(json.dumps(draft)) == msgspec.json.decode(msgspec.json.encode(draft)) == draft


def test_it_is_a_copy():
    """What it was made from never changes."""
    source = {"spec": {"ports": [{"port": 80}]}}
    draft = Draft(source)
    draft.spec.ports[0].port = 1
    assert source == {"spec": {"ports": [{"port": 80}]}}


def test_a_section_that_is_missing_can_be_filled_in():
    """It joins the object with its first field, also two levels down."""
    draft = Draft({}, SCHEMA)
    assert (draft.status.phase, draft) == (None, {})
    draft.status.phase = "Ready"
    draft.spec.labels.app = "web"
    assert draft == {"status": {"phase": "Ready"}, "spec": {"labels": {"app": "web"}}}


def test_a_misspelt_field_is_refused_with_the_nearest():
    """In reading and writing, where the schema is closed."""
    draft = Draft({"spec": {"image": "a"}}, SCHEMA)
    with pytest.raises(AttributeError, match="nearest: replicas"):
        draft.spec.replica = 3
    with pytest.raises(AttributeError, match="nearest: image"):
        _ = draft.spec.imag
    draft.spec.labels.anything = "goes"


def test_without_a_schema_only_what_is_there_can_be_read():
    """And anything can be set."""
    draft = Draft({"a": 1})
    with pytest.raises(AttributeError, match="fields: a"):
        _ = draft.b
    draft.b = 2
    assert draft.b == 2


def test_completion_and_documentation_come_from_the_schema():
    """For dir() and for `?`."""
    draft = Draft({"spec": {"image": "a"}}, SCHEMA)
    assert {"image", "replicas", "ports"} <= set(dir(draft.spec))
    doc = inspect.getdoc(draft.spec)
    assert doc.startswith("What should be.")
    assert "image  <string> (required)  The image." in doc
    assert draft.describe("spec.ports[].port") == "A port.\ntype: integer"
    with pytest.raises(ConfigError, match="nearest: image"):
        draft.describe("spec.imagee")


def test_copies_and_pickles_are_plain():
    """deepcopy keeps the schema, pickle the values."""
    draft = Draft({"spec": {"image": "a"}}, SCHEMA)
    twin = copy.deepcopy(draft)
    twin.spec.image = "b"
    assert (draft.spec.image, pickle.loads(pickle.dumps(draft))) == ("a", draft)
    assert type(draft.to_dict()["spec"]) is dict


def test_of_a_cached_object():
    """A KubeObject's frozen parts thaw."""
    obj = KubeObject.of({"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"l": [1]}})
    draft = Draft(obj)
    draft.spec.l.append(2)
    draft.metadata.labels.x = "z"
    assert (draft["spec"]["l"], obj["spec"]["l"]) == ([1, 2], [1])


def test_the_schema_of_a_crd_version():
    """With metadata filled in; another version has none."""
    version = {"name": "v1", "schema": {"openAPIV3Schema": {"type": "object"}}}
    crd = {"spec": {"versions": [version]}}
    assert crd_schema(crd, "v1").at("metadata.labels").type == "object"
    assert crd_schema(crd, "v2").properties == {}
