"""The bytes a bench serves: pods of some 5.2 KB and custom resources of 1.7 KB.

They are made of two dozen applications, each with names, images, variables, volumes and
conditions of its own, and every object has its own node, addresses and digests, so that
nothing which remembers what it has seen is flattered. A third of the variables refer to
Secrets, as they do in clusters; none holds one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any


def words(text: str) -> list[str]:
    """Return what stands between the spaces."""
    return text.split()


SENT_MARK = b'"sent":"'
SENT_DIGITS = 20
_SENT = SENT_MARK + b"0" * SENT_DIGITS
_NUMBER, _VERSION, _DIGEST, _ADDRESS, _NODE = b"@numb@", b"@vers@", b"@dige@", b"@addr@", b"@node@"
APPLICATIONS = words(
    "accounts api-gateway audit-log billing cart catalog checkout currency email-relay "
    "feature-flags fraud-check geo-index images inventory ledger mailbox metrics-agent "
    "notifier orders payments pricing recommender search sessions shipping web-frontend"
)
_VARIABLES = words(
    "LOG_LEVEL LOG_FORMAT HTTP_PORT GRPC_PORT CACHE_TTL_SECONDS FEATURE_SET REGION SHARD_COUNT "
    "OTEL_EXPORTER_OTLP_ENDPOINT JAVA_OPTS MAX_CONNECTIONS TIMEOUT QUEUE_URL BUCKET RETRIES "
    "DATABASE_HOST DATABASE_NAME KAFKA_BROKERS SENTRY_ENVIRONMENT WORKER_THREADS"
)
_SECRETS = words("DATABASE_PASSWORD API_KEY SESSION_SECRET SMTP_PASSWORD AWS_SECRET_ACCESS_KEY")
_MOMENT = "2026-01-01T00:00:00Z"
GROWTH_BYTES = 200  # by which the marks of an object grow


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


def compact(value: Any) -> bytes:
    """Encode as an API server does."""
    return json.dumps(value, separators=(",", ":")).encode()


def _variables(application: str, count: int) -> list[dict[str, Any]]:
    """Environment variables; every third one's value is in a Secret."""
    turn = APPLICATIONS.index(application)
    prefix = application.upper().replace("-", "_")
    found: list[dict[str, Any]] = []
    for place in range(count):
        if place % 3 == 2:
            name = _SECRETS[(turn + place) % len(_SECRETS)]
            key = {"name": f"{application}-credentials", "key": name.lower()}
            found.append({"name": f"{prefix}_{name}", "valueFrom": {"secretKeyRef": key}})
        else:
            name = _VARIABLES[(turn * 7 + place) % len(_VARIABLES)]
            found.append({"name": name, "value": f"{application}-{turn * place}.internal:{place}"})
    return found


def _pod(application: str, variables: list[dict[str, Any]]) -> dict[str, Any]:
    """Spec and status of a running pod, fields in the order in which a server writes them."""
    turn = APPLICATIONS.index(application)
    image = f"registry.example.com/{application}:1.{turn}.0"
    token = {"name": "kube-api-access", "readOnly": True}
    token["mountPath"] = "/var/run/secrets/kubernetes.io/serviceaccount"
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10}
    container = {
        "name": application,
        "image": image,
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": variables,
        "resources": {"requests": {"cpu": f"{100 + turn}m", "memory": f"{128 + turn}Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": f"/etc/{application}"}, token],
        "readinessProbe": probe,
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    }
    spec = {
        "volumes": [
            {"name": "config", "configMap": {"name": f"{application}-config", "defaultMode": 420}},
            {"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {}}]}},
        ],
        "containers": [container],
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": application,
        "nodeName": f"node-{_NODE.decode()}",
        "securityContext": {},
        "imagePullSecrets": [{"name": "registry-credentials"}],
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
    }
    conditions = [
        {"type": name, "status": "True", "lastProbeTime": None, "lastTransitionTime": _MOMENT}
        for name in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    state = {
        "name": application,
        "state": {"running": {"startedAt": _MOMENT}},
        "lastState": {},
        "ready": True,
        "restartCount": turn % 3,
        "image": image,
        "imageID": f"registry.example.com/{application}@sha256:{_DIGEST.decode()}",
        "containerID": f"containerd://{_DIGEST.decode()}",
    }
    status = {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": f"192.168.7.{_NODE.decode()}",
        "podIP": f"10.{_ADDRESS.decode()}",
        "podIPs": [{"ip": f"10.{_ADDRESS.decode()}"}],
        "startTime": _MOMENT,
        "containerStatuses": [state],
        "qosClass": "Burstable",
    }
    return {"spec": spec, "status": status}


def _custom(application: str, variables: list[dict[str, Any]]) -> dict[str, Any]:
    turn = APPLICATIONS.index(application)
    spec = {
        "env": variables,
        "image": f"registry.example.com/{application}:1.{turn}.0",
        "port": 8000 + turn,
        "replicas": turn % 5,
    }
    ready = {"lastTransitionTime": _MOMENT, "status": "True", "type": "Ready"}
    status = {"conditions": [ready], "digest": _DIGEST.decode(), "phase": "Running"}
    return {"spec": spec, "status": status}


@cache
def template(kind: Kind, application: str) -> bytes:
    """Return one object with marks for what differs, of the kind's size."""
    is_pod = kind.kind == "Pod"
    fields: dict[str, Any] = {}
    managed = {
        "manager": f"{application}-operator",
        "operation": "Update",
        "apiVersion": kind.api_version,
        "time": _MOMENT,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:env": fields}},
    }
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{application}-5d4f8c7b9d"}
    metadata = {
        "name": f"{application}-{_NUMBER.decode()}",
        "namespace": "ns-@space@",
        "uid": f"00000000-0000-4000-8000-0000{_NUMBER.decode()}",
        "resourceVersion": _VERSION.decode(),
        "creationTimestamp": _MOMENT,
        "labels": {"app": application, "sent": "0" * SENT_DIGITS},
        "annotations": {"example.com/checksum": _DIGEST.decode()},
        "ownerReferences": [owner | {"uid": f"11111111-0000-4000-8000-0000{_NUMBER.decode()}"}],
        "managedFields": [managed],
    }
    make, count = (_pod if is_pod else _custom), 0
    while True:
        count += 1
        variables = _variables(application, count)
        for variable in variables:
            fields[f'k:{{"name":"{variable["name"]}"}}'] = {".": {}, "f:name": {}, "f:value": {}}
        head = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        text = compact({**head, **make(application, variables)})
        if len(text) + GROWTH_BYTES >= kind.size_bytes:
            return text


def objects(kind: Kind, count: int, *, first_version: int = 1000, distinct: int = 0) -> list[bytes]:
    """Return the bytes of `count` objects (of `distinct` keys), sorted as a server lists them."""
    distinct = distinct or count
    per_space = max(1, distinct // 50)
    found = []
    for place in range(count):
        number = place % distinct
        text = template(kind, APPLICATIONS[(number % per_space) * len(APPLICATIONS) // per_space])
        digest = hashlib.sha256(b"%d" % place).hexdigest().encode()
        for mark, value in (
            (_NUMBER, b"%08d" % number),
            (b"@space@", b"%03d" % (number // per_space)),
            (_VERSION, b"%d" % (first_version + place)),
            (_DIGEST, digest),
            (_ADDRESS, b"%d.%d.%d" % (number >> 16, number >> 8 & 255, number & 255)),
            (_NODE, b"%d" % (number % 250)),
        ):
            text = text.replace(mark, value)
        found.append(text)
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
