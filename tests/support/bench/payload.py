"""The bytes a bench serves: realistic pods (5.2 KB) and custom resources (1.7 KB)."""

from __future__ import annotations

import json
from dataclasses import dataclass

SENT_MARK = b'"sent":"'
SENT_DIGITS = 20
_SENT = SENT_MARK + b"0" * SENT_DIGITS
_NUMBER, _VERSION = b"@number@", b"@version@"


@dataclass(frozen=True)
class Kind:
    """A kind of object: where it is served and how large one is."""

    name: str
    kind: str
    api_version: str
    path: str
    size_bytes: int

    @property
    def plural(self) -> str:
        return self.path.rsplit("/", 1)[1]


KINDS = {
    "pods": Kind("pods", "Pod", "v1", "/api/v1/pods", 5200),
    "crs": Kind(
        "crs",
        "MyService",
        "bench.example.com/v1alpha1",
        "/apis/bench.example.com/v1alpha1/myservices",
        1700,
    ),
}


def template(kind: Kind) -> bytes:
    """Return one object with marks for its number and version, of the kind's size."""
    fields: dict = {}
    spec: dict = {"image": "nginx:1.27", "replicas": 3, "port": 80}
    status: dict = {"phase": "Running"}
    env: list = []
    if kind.kind == "Pod":
        container = {"name": "main", "image": "nginx:1.27", "env": env}
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        state = {"name": "main", "ready": True, "restartCount": 0, "image": "nginx:1.27"}
        state |= {
            "imageID": "sha256:0",
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
        spec = {"containers": [container], "nodeName": "node-1", "restartPolicy": "Always"}
        status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [ready]}
        status["containerStatuses"] = [state]
    else:
        spec["settings"] = env
    managed = {
        "manager": "kubectl",
        "operation": "Update",
        "apiVersion": kind.api_version,
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    obj = {
        "kind": kind.kind,
        "apiVersion": kind.api_version,
        "metadata": {
            "name": f"object-{_NUMBER.decode()}",
            "namespace": "ns-@space@",
            "uid": f"00000000-0000-4000-8000-0000{_NUMBER.decode()}",
            "resourceVersion": _VERSION.decode(),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": "web", "sent": "0" * SENT_DIGITS},
            "managedFields": [managed],
        },
        "spec": spec,
        "status": status,
    }
    while len(json.dumps(obj, separators=(",", ":"))) < kind.size_bytes:
        count = len(env)
        fields[f"f:field-{count}"] = {".": {}, f"f:inner-{count}": {}}
        env.append({"name": f"NAME_{count}", "value": "some value"})
    return json.dumps(obj, separators=(",", ":")).encode()


def objects(kind: Kind, count: int, *, first_version: int = 1000, distinct: int = 0) -> list[bytes]:
    """Return the bytes of `count` objects (of `distinct` keys), sorted as a server lists them."""
    made = template(kind)
    per_space = max(1, (distinct or count) // 50)
    found = []
    for place in range(count):
        number = place % distinct if distinct else place
        text = made.replace(_NUMBER, b"%08d" % number)
        text = text.replace(b"@space@", b"%03d" % (number // per_space))
        found.append(text.replace(_VERSION, b"%d" % (first_version + place)))
    return found


def list_head(kind: Kind, version: str, token: str = "", remaining: int = 0) -> bytes:
    """Return a list's bytes up to its first item."""
    metadata: dict = {"resourceVersion": version}
    if token:
        metadata |= {"continue": token, "remainingItemCount": remaining}
    meta = json.dumps(metadata, separators=(",", ":"))
    text = (
        f'{{"kind":"{kind.kind}List","apiVersion":"{kind.api_version}","metadata":{meta},"items":['
    )
    return text.encode()


def pages(kind: Kind, texts: list[bytes], size: int) -> dict[str, bytes]:
    """Return continue token → body; the first page has the token ""."""
    version, found = str(1000 + len(texts)), {}
    for start in range(0, max(1, len(texts)), size):
        left = max(0, len(texts) - start - size)
        head = list_head(kind, version, f"from-{start + size}" if left else "", left)
        found[f"from-{start}" if start else ""] = (
            head + b",".join(texts[start : start + size]) + b"]}\n"
        )
    return found


def lines(texts: list[bytes], event: bytes = b"MODIFIED") -> list[bytes]:
    """Return one watch line per object."""
    return [b'{"type":"%s","object":%s}\n' % (event, text) for text in texts]


def initial_end(kind: Kind, version: int) -> bytes:
    """Return the bookmark that ends the initial events."""
    return (
        b'{"type":"BOOKMARK","object":{"kind":"%s","apiVersion":"%s","metadata":'
        b'{"resourceVersion":"%d","annotations":{"k8s.io/initial-events-end":"true"}}}}\n'
        % (kind.kind.encode(), kind.api_version.encode(), version)
    )


def stamped(line: bytes, nanoseconds: int) -> bytes:
    """Return a line that says when it was sent."""
    return line.replace(_SENT, SENT_MARK + b"%020d" % nanoseconds, 1)


def sent_at(raw: bytes) -> int:
    """Return when the object in `raw` was sent, nanoseconds of the machine's clock."""
    start = raw.index(SENT_MARK) + len(SENT_MARK)
    return int(raw[start : start + SENT_DIGITS])
