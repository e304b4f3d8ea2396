"""Defaults and checks of roles and bindings.

Thread: pure functions.
Source: pkg/apis/rbac/v1/defaults.go, pkg/apis/rbac/validation/validation.go.
"""

from __future__ import annotations

from typing import Any

from crlab.apiserver.status import Cause, invalid_value, required, unsupported
from crlab.apiserver.storage import Tree

GROUP = "rbac.authorization.k8s.io"
_SUBJECT_GROUPS = {"ServiceAccount": "", "User": GROUP, "Group": GROUP}


def prepare_binding(new: Tree, old: Tree | None) -> None:
    """Fill in the API groups a binding leaves out."""
    del old
    ref = new.get("roleRef")
    if isinstance(ref, dict) and not ref.get("apiGroup"):
        ref["apiGroup"] = GROUP
    for subject in new.get("subjects") or ():
        if isinstance(subject, dict) and not subject.get("apiGroup"):
            group = _SUBJECT_GROUPS.get(subject.get("kind") or "", "")
            if group:
                subject["apiGroup"] = group


def check_role(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a Role."""
    del old
    return _check_rules(new, namespaced=True)


def check_cluster_role(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a ClusterRole."""
    del old
    return _check_rules(new, namespaced=False)


def _check_rules(role: Tree, *, namespaced: bool) -> list[Cause]:
    causes: list[Cause] = []
    for index, rule in enumerate(role.get("rules") or ()):
        causes += _check_rule(rule or {}, f"rules[{index}]", namespaced=namespaced)
    return causes


def _check_rule(rule: Tree, at: str, *, namespaced: bool) -> list[Cause]:
    causes: list[Cause] = []
    if not rule.get("verbs"):
        causes.append(required(f"{at}.verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs")
    if urls:
        field = f"{at}.nonResourceURLs"
        if namespaced:
            detail = "namespaced rules cannot apply to non-resource URLs"
            causes.append(invalid_value(field, urls, detail))
        if any(rule.get(key) for key in ("apiGroups", "resources", "resourceNames")):
            detail = "rules cannot apply to both regular resources and non-resource URLs"
            causes.append(invalid_value(field, urls, detail))
        return causes
    if not rule.get("apiGroups"):
        detail = "resource rules must supply at least one api group"
        causes.append(required(f"{at}.apiGroups", detail))
    if not rule.get("resources"):
        detail = "resource rules must supply at least one resource"
        causes.append(required(f"{at}.resources", detail))
    return causes


def check_role_binding(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a RoleBinding."""
    del old
    return _check_binding(new, ("Role", "ClusterRole"), namespaced=True)


def check_cluster_role_binding(new: Tree, old: Tree | None) -> list[Cause]:
    """Return what is wrong with a ClusterRoleBinding."""
    del old
    return _check_binding(new, ("ClusterRole",), namespaced=False)


def _check_binding(binding: Tree, kinds: tuple[str, ...], *, namespaced: bool) -> list[Cause]:
    ref: dict[str, Any] = binding.get("roleRef") or {}
    causes: list[Cause] = []
    group = ref.get("apiGroup") or ""
    if group != GROUP:
        causes.append(unsupported("roleRef.apiGroup", group, [GROUP]))
    if ref.get("kind") not in kinds:
        causes.append(unsupported("roleRef.kind", ref.get("kind") or "", kinds))
    if not ref.get("name"):
        causes.append(required("roleRef.name"))
    for index, subject in enumerate(binding.get("subjects") or ()):
        causes += _check_subject(subject or {}, f"subjects[{index}]", namespaced=namespaced)
    return causes


def _check_subject(subject: Tree, at: str, *, namespaced: bool) -> list[Cause]:
    causes: list[Cause] = []
    if not subject.get("name"):
        causes.append(required(f"{at}.name"))
    kind = subject.get("kind") or ""
    if kind not in _SUBJECT_GROUPS:
        causes.append(unsupported(f"{at}.kind", kind, ["ServiceAccount", "User", "Group"]))
        return causes
    group = subject.get("apiGroup") or ""
    if group != _SUBJECT_GROUPS[kind]:
        causes.append(unsupported(f"{at}.apiGroup", group, [_SUBJECT_GROUPS[kind]]))
    if kind == "ServiceAccount" and not namespaced and not subject.get("namespace"):
        causes.append(required(f"{at}.namespace"))
    return causes
