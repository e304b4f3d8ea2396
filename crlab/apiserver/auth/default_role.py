"""The roles and bindings every cluster has, kept out of the store.

A stored ClusterRole of the same name replaces one of these. The user-facing roles (admin,
edit, view) cover the kinds this server knows.

Thread: constants.
Source: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go.
"""

from __future__ import annotations

from typing import Any

Rule = dict[str, Any]

_INFO = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY = [
    "/.well-known",
    "/.well-known/*",
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
]
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_PODS = ["pods", "pods/status", "pods/log"]
_CORE = [
    "configmaps",
    "endpoints",
    "persistentvolumeclaims",
    "persistentvolumeclaims/status",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "services",
    "services/status",
    "serviceaccounts",
]
_APPS = [
    f"{name}{sub}"
    for name in ("daemonsets", "deployments", "replicasets", "statefulsets")
    for sub in ("", "/status", "/scale")
    if (name, sub) != ("daemonsets", "/scale")
]
_BATCH = ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]
_GROUP = "rbac.authorization.k8s.io"


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Rule:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


_VIEW = [
    _rule([""], [*_PODS, *_CORE, "events", "namespaces"], _READ),
    _rule(["apps"], _APPS, _READ),
    _rule(["batch"], _BATCH, _READ),
    _rule(["coordination.k8s.io"], ["leases"], _READ),
]
_EDIT = [
    *_VIEW,
    _rule([""], ["secrets"], _READ),
    _rule([""], ["serviceaccounts"], ["impersonate"]),
    _rule([""], ["pods", *_CORE, "secrets", "events"], _WRITE),
    _rule(["apps"], [name for name in _APPS if not name.endswith("/status")], _WRITE),
    _rule(["batch"], ["cronjobs", "jobs"], _WRITE),
    _rule(["coordination.k8s.io"], ["leases"], _WRITE),
]
_ADMIN = [
    *_EDIT,
    _rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
    _rule([_GROUP], ["rolebindings", "roles"], [*_READ, *_WRITE]),
]

CLUSTER_ROLES: dict[str, list[Rule]] = {
    "cluster-admin": [
        _rule(["*"], ["*"], ["*"]),
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ],
    "system:discovery": [{"nonResourceURLs": _DISCOVERY, "verbs": ["get"]}],
    "system:public-info-viewer": [{"nonResourceURLs": _INFO, "verbs": ["get"]}],
    "system:basic-user": [
        _rule(
            ["authorization.k8s.io"],
            ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
            ["create"],
        ),
        _rule(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"]),
    ],
    "admin": _ADMIN,
    "edit": _EDIT,
    "view": _VIEW,
}

# (binding, role, groups)
CLUSTER_ROLE_BINDINGS = (
    ("cluster-admin", "cluster-admin", ("system:masters",)),
    ("system:basic-user", "system:basic-user", ("system:authenticated",)),
    ("system:discovery", "system:discovery", ("system:authenticated",)),
    (
        "system:public-info-viewer",
        "system:public-info-viewer",
        ("system:authenticated", "system:unauthenticated"),
    ),
)
