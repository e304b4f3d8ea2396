"""Objects with a secret somewhere in them, and realistic ones with none."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st

CANARY = "c4n4ryc4n4ryc4n4ry"
ENCODED = base64.b64encode(CANARY.encode()).decode()
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ{CANARY}.sig"
SHAPES = (
    JWT,
    f"ghp_{CANARY}{CANARY}",
    f"github_pat_{CANARY}{CANARY}",
    f"glpat-{CANARY}",
    f"xoxb-{CANARY}",
    f"AIza{CANARY[:17]}{CANARY}",
    f"sk_live_{CANARY}",
    f"Bearer {CANARY}",
    f"postgres://u:p@{CANARY}@h/x",
    f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{CANARY}\n-----END PGP PRIVATE KEY BLOCK-----",
    f"--password={CANARY}",
    f"user: x\npassword: {CANARY}\n",
    f'{{"kind":"Secret","stringData":{{"a":"{CANARY}"}}}}',
)
NAMES = ("password", "apiKey", "DB_PASSWORD", "DBPASS", "NEO4J_AUTH", "STRIPE_KEY", "id_rsa")
PLAIN = ("spec", "env", "config", "note", "items", "value", "name", "data", "list")
SIBLINGS: tuple[dict[str, Any], ...] = ({}, {"colour": "red"}, {"type": "a", "size": 3})
KINDS = ("Pod", "Deployment", "ConfigMap", "Widget", "Secret", "Event")


@st.composite
def secret_objects(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """An object of any kind with one secret, deep in it; and what must be in no outlet."""
    name = draw(st.sampled_from(NAMES))
    kind = draw(st.sampled_from(KINDS))
    value: Any = draw(
        st.one_of(
            st.sampled_from(SHAPES),
            st.sampled_from([text.center(len(text) + 8) for text in SHAPES[:8]]),
            st.just({name: CANARY}),
            st.just([{"name": name, "value": CANARY}]),
            st.just([{"value": CANARY, "key": name}]),
            st.just([f"--{name}", CANARY]),
            st.just({name: [CANARY, "b"]}),
            st.just({name: {"value": CANARY}}),
            st.just({"auths": {"r.io": {"auth": CANARY}}}),
        )
    )
    for field in draw(st.lists(st.sampled_from(PLAIN), max_size=3)):
        siblings = draw(st.sampled_from(SIBLINGS))
        value = draw(st.sampled_from([{**siblings, field: value}, {field: [siblings, value]}]))
    meta: dict[str, Any] = {"name": "x", "namespace": "default", "annotations": {"a": "b"}}
    if isinstance(value, str) and draw(st.booleans()):
        meta["annotations"] = {"note": value}
    obj = {"apiVersion": "v1", "kind": kind, "metadata": meta}
    return {**obj, "spec": {"field": value}, "status": {"phase": "Ready"}}, CANARY


def harmless_objects() -> list[dict[str, Any]]:
    """Ordinary objects, full of names that look secret and are not."""
    token = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token", "audience": "api"}}
    container = {
        "name": "secret-agent",
        "image": "registry.k8s.io/token-service@sha256:0123456789abcdef",
        "args": [
            "--secret-name=db",
            "--token-path=/var/run/secrets/token",
            "--password-file",
            "/etc/password",
            "--max-tokens=5",
        ],
        "env": [
            {"name": "COLOUR", "value": "red"},
            {"name": "DB", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
            {"name": "TOKEN_PATH", "value": "/var/run/token"},
            {"name": "CACHE_KEY", "value": "users"},
            {"name": "USE_PASSWORD", "value": "true"},
        ],
        "envFrom": [{"secretRef": {"name": "db-credentials"}}],
        "terminationMessagePath": "/dev/termination-log",
        "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/tokens"}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": "registry-password"}],
        "serviceAccountName": "token-reader",
        "tolerations": [{"key": "token", "operator": "Equal", "value": "secret-nodes"}],
        "containers": [container],
        "volumes": [
            {"name": "token", "projected": {"sources": [token], "defaultMode": 420}},
            {
                "name": "s",
                "secret": {
                    "secretName": "db-credentials",
                    "optional": False,
                    "items": [{"key": "tls.key", "path": "tls.key"}],
                },
            },
        ],
    }
    managed = {
        "apiVersion": "v1",
        "manager": "token-controller",
        "operation": "Update",
        "fieldsV1": {"f:spec": {"f:password": {}, 'k:{"name":"DB_PASSWORD"}': {".": {}}}},
    }
    meta = {"name": "x", "namespace": "default", "managedFields": [managed]}
    schema = {
        "type": "object",
        "required": ["password"],
        "properties": {
            "password": {"type": "string", "description": "The password. Token or secret."},
            "passwordSecretRef": {"type": "object", "properties": {"key": {"type": "string"}}},
            "tokenTTL": {"type": "string", "default": "1h"},
        },
    }
    column = {"name": "Token", "type": "string", "jsonPath": ".spec.passwordSecretRef.name"}
    version: dict[str, Any] = {"name": "v1", "schema": {"openAPIV3Schema": schema}}
    version["additionalPrinterColumns"] = [column]
    rule = {"apiGroups": [""], "resources": ["secrets", "tokenreviews"], "verbs": ["get"]}
    return [
        {"kind": "Pod", "metadata": meta, "spec": pod},
        {"kind": "Deployment", "metadata": meta, "spec": {"template": {"spec": pod}}},
        {"kind": "Role", "metadata": meta, "rules": [{**rule, "resourceNames": ["db-password"]}]},
        {
            "kind": "RoleBinding",
            "metadata": meta,
            "subjects": [{"kind": "ServiceAccount", "name": "token-cleaner"}],
            "roleRef": {"kind": "Role", "name": "secret-reader"},
        },
        {
            "kind": "ServiceAccount",
            "metadata": meta,
            "secrets": [{"name": "default-token-x7f2k"}],
            "automountServiceAccountToken": True,
        },
        {
            "kind": "Ingress",
            "metadata": {
                **meta,
                "annotations": {"nginx.ingress.kubernetes.io/auth-secret": "default/basic-auth"},
                "finalizers": ["example.com/secret-cleanup"],
            },
            "spec": {"tls": [{"hosts": ["a.b"], "secretName": "tls-secret"}]},
        },
        {
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "tokens.example.com"},
            "spec": {"names": {"kind": "Token", "plural": "tokens"}, "versions": [version]},
        },
        {
            "kind": "CSIDriver",
            "metadata": meta,
            "spec": {"tokenRequests": [{"audience": "vault", "expirationSeconds": 600}]},
        },
        {
            "kind": "StorageClass",
            "metadata": meta,
            "parameters": {
                "csi.storage.k8s.io/provisioner-secret-name": "s",
                "csi.storage.k8s.io/provisioner-secret-namespace": "n",
            },
        },
        {
            "kind": "Event",
            "metadata": meta,
            "involvedObject": {"kind": "Secret", "name": "db", "fieldPath": "spec.token"},
            "reason": "FailedMount",
            "message": 'MountVolume.SetUp failed for volume "t" : secret "db" not found',
        },
        {
            "kind": "Widget",
            "metadata": meta,
            "spec": {
                "passwordSecretRef": {"name": "db", "key": "password"},
                "credentialsRef": "db",
                "tokenFile": "/a",
                "privateKey": {"algorithm": "RSA", "size": 2048, "rotationPolicy": "Never"},
                "repository": "ssh://git@github.com/a/b.git",
            },
        },
        {"kind": "PolicyReport", "metadata": meta, "summary": {"pass": 3, "fail": 0}},
    ]
