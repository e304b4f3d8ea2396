"""Whatever is written, the server answers with a Status and keeps what it has."""

import random

import msgspec
import pytest
from support.api_server import CONFIG_MAPS, Talk
from support.server import CRDS, install, make_server, widget

from crlab.apiserver.request import ADMIN, HttpRequest

WIDGETS = "/apis/g.dev/v1/namespaces/default/widgets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"
KEYS = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "status",
    "data",
    "name",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "managedFields",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "size",
    "tags",
    "ports",
    "port",
    "template",
    "containers",
    "image",
    "env",
    "selector",
    "matchLabels",
    "replicas",
    "conditions",
    "type",
    "$patch",
    "$setElementOrder/containers",
    "$retainKeys",
    "fieldsV1",
    "manager",
    "$deleteFromPrimitiveList/finalizers",
    "immutable",
    "operation",
    "containerPort",
    "any",
]
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "default": 1},
                "tags": {
                    "type": "array",
                    "items": {"type": "string"},
                    "x-kubernetes-list-type": "set",
                },
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port"],
                    "items": {
                        "type": "object",
                        "required": ["port"],
                        "properties": {"port": {"type": "integer"}},
                    },
                },
                "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
    },
}
CRD = {
    "metadata": {"name": "widgets.g.dev"},
    "spec": {
        "group": "g.dev",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": SCHEMA},
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.size",
                        "statusReplicasPath": ".status.replicas",
                    },
                },
            }
        ],
    },
}
POD = {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]}
BODIES = {
    WIDGETS: {
        "apiVersion": "g.dev/v1",
        "kind": "Widget",
        "spec": {"tags": ["a"], "ports": [{"port": 1}]},
    },
    CONFIG_MAPS: {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}},
    PODS: {"apiVersion": "v1", "kind": "Pod", "spec": POD},
    DEPLOYMENTS: {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD},
        },
    },
}


class Writer:
    """Makes up requests that are nearly right."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, depth=0):
        pick = self.random.randrange(12)
        scalars = [None, True, self.random.choice([0, 1, -1, 2**40, 10**25, 1.5])]
        if pick < 3:
            return scalars[pick]
        if pick < 6 or depth > 3:
            return self.random.choice(["", "a", "x.dev/y", "80", "2020-01-01T00:00:00Z", "é\0"])
        if pick < 9:
            return [self.value(depth + 1) for _ in range(self.random.randrange(3))]
        keys = self.random.choices(KEYS, k=self.random.randrange(4))
        return {key: self.value(depth + 1) for key in keys}

    def bent(self, tree):
        """Change one place of a tree."""
        tree = node = msgspec.json.decode(msgspec.json.encode(tree))
        for _ in range(self.random.randrange(6)):
            pairs = node.items() if isinstance(node, dict) else enumerate(node)
            deeper = [value for _, value in pairs if isinstance(value, dict | list) and value]
            if not deeper:
                break
            node = self.random.choice(deeper)
        if isinstance(node, dict):
            keys = KEYS if self.random.random() < 0.5 else list(node) or KEYS
            node[self.random.choice(keys)] = self.value()
        else:
            node[self.random.randrange(len(node))] = self.value()
        return tree

    def request(self):
        place = self.random.choice(list(BODIES))
        name = self.random.choice("xy")
        body = {**BODIES[place], "metadata": {"name": name}}
        kind = self.random.choice(
            ["post", "put", "json-patch", "merge-patch", "strategic-merge-patch", "apply-patch"]
        )
        query = {"fieldManager": self.random.choice(["m1", "m2", "kubectl"])}
        if self.random.random() < 0.3:
            query["fieldValidation"] = self.random.choice(["Strict", "Ignore"])
        sub = self.random.choice(["", "", "/status", "/scale"])
        if kind == "post":
            return "POST", place, query, "application/json", self.bent(body)
        if kind == "put":
            return "PUT", f"{place}/{name}{sub}", query, "application/json", self.bent(body)
        if kind == "json-patch":
            paths = ["/" + "/".join(self.random.choices([*KEYS, "0", "-"], k=2)) for _ in range(2)]
            operation = self.random.choice(["add", "remove", "replace", "test", "move", "copy"])
            sent = [{"op": operation, "path": paths[0], "from": paths[1], "value": self.value()}]
        else:
            sent = self.bent(body) if self.random.random() < 0.7 else body
        if kind == "apply-patch":
            query["force"] = "true"
        suffix = "yaml" if kind == "apply-patch" else "json"
        return "PATCH", f"{place}/{name}{sub}", query, f"application/{kind}+{suffix}", sent


@pytest.mark.parametrize("seed", range(4))
def test_no_write_makes_the_server_fail(seed):
    """No InternalError, and what is stored can still be listed and is unique."""
    talk = Talk()
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert talk.server.request("POST", crds, CRD)[0] == 201
    writer = Writer(seed)
    for _ in range(300):
        method, path, query, content_type, body = writer.request()
        answer = talk.server.handle(
            HttpRequest(
                method,
                path,
                tuple(query.items()),
                {"content-type": content_type},
                msgspec.json.encode(body),
                ADMIN,
            )
        )
        assert b"InternalError" not in answer.body, (method, path, query, content_type, body)
    for place in BODIES:
        status, listed = talk.send("GET", place)
        assert status == 200
        names = [item["metadata"]["name"] for item in listed["items"]]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("depth", [900])
@pytest.mark.parametrize("shape", [(b'{"a":', b"}"), (b"[", b"]")])
@pytest.mark.parametrize("verb", ["post", "merge", "json", "apply"])
def test_what_is_nested_too_deeply_is_a_400(verb: str, shape: tuple[bytes, bytes], depth: int):
    """Not a 500, on no way in; and the object that was there is untouched."""
    server = make_server()
    path = install(server)
    _, before = server.request("POST", path, widget("w"))
    deep = shape[0] * depth + b"1" + shape[1] * depth
    head = b'{"apiVersion":"demo.crlab.dev/v1","kind":"Widget","metadata":{"name":"n"},'
    method, name, kind, body = {
        "post": ("POST", "", "json", head + b'"spec":{"size":1,"raw":' + deep + b"}}"),
        "merge": ("PATCH", "/w", "merge-patch+json", b'{"spec":{"raw":' + deep + b"}}"),
        "json": ("PATCH", "/w", "json-patch+json",
                 b'[{"op":"add","path":"/spec/raw","value":' + deep + b"}]"),
        "apply": ("PATCH", "/w", "apply-patch+yaml",
                  head.replace(b'"n"', b'"w"') + b'"spec":{"raw":' + deep + b"}}"),
    }[verb]  # fmt: skip
    headers = {"content-type": f"application/{kind}"}
    query = (("fieldManager", "t"), ("force", "true")) if verb == "apply" else ()
    answer = server.handle(HttpRequest(method, path + name, query, headers=headers, body=body))
    assert answer.status == 400, answer.body
    assert server.request("GET", path + "/w") == (200, before)


JSON, YAML = "application/json", "application/yaml"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


@pytest.mark.parametrize(
    "number", [b"1" * 5000, b"-" + b"1" * 5000, b"1e999", b"-1.5e4000"], ids=len
)
@pytest.mark.parametrize("kind", [JSON, YAML, MERGE, JSON_PATCH, APPLY])
def test_a_number_that_no_float_holds_is_a_bad_request(number, kind):
    """As in Go; never an error of the server's own, and never a null."""
    server = make_server()
    assert server.request("POST", CRDS, CRD)[0] == 201
    value = BODIES[WIDGETS] | {"metadata": {"name": "a"}}
    assert server.request("POST", WIDGETS, value)[0] == 201
    body = msgspec.json.encode(value | {"metadata": {"name": "b"}, "spec": {"any": {"n": "N"}}})
    if kind == JSON_PATCH:
        body = b'[{"op":"add","path":"/spec/any","value":{"n":"N"}}]'
    body = body.replace(b'"N"', number)
    method, path = ("POST", WIDGETS) if kind in (JSON, YAML) else ("PATCH", f"{WIDGETS}/b")
    path = path.replace("/b", "/a") if kind in (MERGE, JSON_PATCH) else path
    query = [("fieldManager", "t")]
    revision = server.storage.revision
    status, answer = server.request(method, path, body, content_type=kind, query=query)
    if status == 201 and kind in (YAML, APPLY) and b"e" in number:
        return  # without a dot it is a text in YAML
    assert (status, answer["reason"]) == (400, "BadRequest"), answer
    assert server.storage.revision == revision
    assert len(answer["message"]) < 2000


@pytest.mark.parametrize("kind", [JSON, YAML, MERGE])
def test_half_a_character_is_stored_as_go_stores_it(kind):
    """U+FFFD; a whole one of two halves stays."""
    server = make_server()
    server.request("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    name = "a" if kind == MERGE else "b"
    body = b'{"metadata":{"name":"%s"},"data":{"x":"\\ud800 \\ud83d\\ude00"}}' % name.encode()
    if kind == YAML:
        body = b'metadata: {name: b}\ndata: {x: "\\ud800 \\U0001F600"}\n'
    method, path = ("PATCH", f"{CONFIG_MAPS}/a") if kind == MERGE else ("POST", CONFIG_MAPS)
    status, answer = server.request(method, path, body, content_type=kind)
    assert status in (200, 201), answer
    assert server.request("GET", f"{CONFIG_MAPS}/{name}")[1]["data"] == {"x": "\ufffd \U0001f600"}
