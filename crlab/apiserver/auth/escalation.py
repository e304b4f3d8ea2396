"""Nobody grants what they do not have: the check on roles and bindings.

From: the write path, for the RBAC kinds. To: a 403 that lists what is missing, or nothing.

Guarantees:
  1. Who writes a role has all its permissions, or the verb escalate on it.
  2. Who writes a binding has all permissions of its role, or the verb bind on the role.
  3. A binding's roleRef never changes.

Thread: any.
Source: pkg/registry/rbac/{role,rolebinding}/policybased, pkg/registry/rbac/validation.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from crlab.apiserver.auth.default_role import Rule
from crlab.apiserver.auth.rbac_authorizer import GROUP, MASTERS, Action, RbacAuthorizer
from crlab.apiserver.request import Identity
from crlab.apiserver.resource_type import ResourceType
from crlab.apiserver.status import StatusError, forbidden, invalid, invalid_value
from crlab.apiserver.storage import Tree

_FIELDS = ("apiGroups", "resources", "resourceNames", "nonResourceURLs", "verbs")
_GO_NAMES = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "resourceNames": "ResourceNames",
    "nonResourceURLs": "NonResourceURLs",
    "verbs": "Verbs",
}


def check_grant(
    rbac: RbacAuthorizer,
    resource: ResourceType,
    identity: Identity,
    namespace: str,
    new: Tree,
    old: Tree | None,
) -> None:
    """Refuse a role or binding that gives away more than its writer has.

    Raises:
        StatusError: 403, or 422 for a changed roleRef.
    """
    if resource.group != GROUP:
        return
    name = (new.get("metadata") or {}).get("name", "")
    is_binding = resource.plural.endswith("bindings")
    if is_binding and old is not None and new.get("roleRef") != old.get("roleRef"):
        cause = invalid_value("roleRef", new.get("roleRef"), "cannot change roleRef")
        raise invalid(resource.kind, GROUP, name, [cause])
    if identity.is_system or MASTERS in identity.groups:
        return
    if is_binding:
        rules, is_free = _of_binding(rbac, identity, namespace, new)
    else:
        rules = tuple(rule for rule in new.get("rules") or () if rule)
        is_free = old is not None and rules == tuple(old.get("rules") or ())
        escalate = Action("escalate", GROUP, resource.plural, namespace=namespace, name=name)
        is_free = is_free or rbac.allows(identity, escalate)
    if is_free:
        return
    missing = _missing(rules, rbac.rules_of(identity, namespace))
    if missing:
        raise _refusal(resource, identity, name, missing)


def _of_binding(
    rbac: RbacAuthorizer, identity: Identity, namespace: str, new: Tree
) -> tuple[tuple[Rule, ...], bool]:
    ref: dict[str, Any] = new.get("roleRef") or {}
    kind, role = str(ref.get("kind", "")), str(ref.get("name", ""))
    plural = "clusterroles" if kind == "ClusterRole" else "roles"
    bind = Action("bind", GROUP, plural, namespace=namespace, name=role)
    return rbac.role_rules(kind, role, namespace), rbac.allows(identity, bind)


def _missing(wanted: Iterable[Rule], held: list[Rule]) -> list[Rule]:
    return [
        simple
        for rule in wanted
        for simple in _simple(rule)
        if not any(_holds(mine, simple) for mine in held)
    ]


def _simple(rule: Rule) -> Iterator[Rule]:
    """Yield a rule as many that each allow one thing."""
    verbs = rule.get("verbs") or ()
    for url, verb in itertools.product(rule.get("nonResourceURLs") or (), verbs):
        yield {"nonResourceURLs": [url], "verbs": [verb]}
    names: Iterable[str | None] = rule.get("resourceNames") or (None,)
    for group, resource, name, verb in itertools.product(
        rule.get("apiGroups") or (), rule.get("resources") or (), names, verbs
    ):
        simple = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        yield simple if name is None else {**simple, "resourceNames": [name]}


def _holds(mine: Rule, simple: Rule) -> bool:
    """Whether one rule gives all of a simple one; wildcards are only held by wildcards."""
    if not _has(mine, "verbs", simple):
        return False
    if "nonResourceURLs" in simple:
        url = simple["nonResourceURLs"][0]
        return any(
            known == url or (known.endswith("*") and url.startswith(known[:-1]))
            for known in mine.get("nonResourceURLs") or ()
        )
    if not _has(mine, "apiGroups", simple):
        return False
    subresource = simple["resources"][0].partition("/")[2]
    listed = mine.get("resources") or ()
    if not ("*" in listed or simple["resources"][0] in listed) and not (
        subresource and f"*/{subresource}" in listed
    ):
        return False
    names = mine.get("resourceNames")
    return not names or ("resourceNames" in simple and simple["resourceNames"][0] in names)


def _has(mine: Rule, field: str, simple: Rule) -> bool:
    listed = mine.get(field) or ()
    return "*" in listed or simple[field][0] in listed


def _refusal(
    resource: ResourceType, identity: Identity, name: str, missing: list[Rule]
) -> StatusError:
    groups = " ".join(json.dumps(group) for group in identity.groups)
    lines = "\n".join(_rule_text(rule) for rule in _compact(missing))
    return forbidden(
        resource.group_resource,
        name,
        f'user "{identity.name}" (groups=[{groups}]) is attempting to grant RBAC permissions '
        f"not currently held:\n{lines}",
    )


def _compact(rules: list[Rule]) -> list[Rule]:
    """Join simple rules that differ in their verb alone."""
    found: dict[str, Rule] = {}
    for rule in rules:
        key = json.dumps({k: v for k, v in rule.items() if k != "verbs"}, sort_keys=True)
        if key in found:
            verbs = found[key]["verbs"]
            found[key] = {**rule, "verbs": list(dict.fromkeys([*verbs, *rule["verbs"]]))}
        else:
            found[key] = rule
    return list(found.values())


def _rule_text(rule: Rule) -> str:
    pieces = []
    for field in _FIELDS:
        if rule.get(field):
            listed = " ".join(json.dumps(item) for item in rule[field])
            pieces.append(f"{_GO_NAMES[field]}:[{listed}]")
    return "{" + ", ".join(pieces) + "}"
