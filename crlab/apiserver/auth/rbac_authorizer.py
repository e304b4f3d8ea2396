"""RBAC: stored roles and bindings decide what a user may do.

From: `ApiServer`, which asks `authorize` before every request, and the reviews. To: a 403
in the server's words, or nothing.

Guarantees:
  1. Nothing is allowed that no rule allows; system:masters and the server's own
     controllers may do everything.
  2. A binding counts from the request after its commit.
  3. A binding to a role that is not there grants nothing.

Thread: any; what is compiled is replaced, never changed.
Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac, pkg/registry/rbac/validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crlab.apiserver.auth.default_role import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, Rule
from crlab.apiserver.request import HttpRequest, Identity, RequestInfo
from crlab.apiserver.status import StatusError, forbidden
from crlab.apiserver.storage import Commit, Storage, Tree
from crlab.errors import SelectorError
from crlab.model.selector import parse_field_selector

GROUP = "rbac.authorization.k8s.io"
MASTERS = "system:masters"
ALWAYS_ALLOWED = ("/healthz", "/livez", "/readyz")
_KINDS = ("roles", "clusterroles", "rolebindings", "clusterrolebindings")


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody wants to do: with a resource, or with a path."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @classmethod
    def of(cls, info: RequestInfo) -> Action:
        """Return what a request does."""
        if not info.is_resource:
            return cls(info.verb, path=info.path)
        return cls(
            info.verb, info.group, info.resource, info.subresource, info.namespace, info.name
        )

    @property
    def full_resource(self) -> str:
        """The resource with its subresource."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def describe(self, identity: Identity) -> str:
        """Return the sentence of a refusal."""
        if self.path:
            return f'User "{identity.name}" cannot {self.verb} path "{self.path}"'
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return (
            f'User "{identity.name}" cannot {self.verb} resource "{self.full_resource}" '
            f'in API group "{self.group}" {where}'
        )

    def refusal(self, identity: Identity, name: str | None = None) -> StatusError:
        """Return the 403."""
        if self.path:
            return forbidden("", "", self.describe(identity))
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return forbidden(resource, self.name if name is None else name, self.describe(identity))


def with_selected_name(request: HttpRequest, info: RequestInfo) -> RequestInfo:
    """Return what a list or watch of one object by field selector is about: that object."""
    if info.verb not in ("list", "watch") or info.name or not request.has("fieldSelector"):
        return info
    try:
        name = parse_field_selector(request.parameter("fieldSelector")).exact("metadata.name")
    except SelectorError:
        return info  # refused where it is used
    return replace(info, name=name) if name else info


def covers(rule: Rule, action: Action) -> bool:
    """Whether a rule allows an action."""
    if not _has(rule.get("verbs"), action.verb):
        return False
    if action.path:
        return any(_path_matches(url, action.path) for url in rule.get("nonResourceURLs") or ())
    if not _has(rule.get("apiGroups"), action.group):
        return False
    if not _resource_matches(rule.get("resources") or (), action):
        return False
    names = rule.get("resourceNames") or ()
    return not names or (bool(action.name) and action.name in names)


def _has(listed: Any, value: str) -> bool:
    return bool(listed) and ("*" in listed or value in listed)


def _resource_matches(listed: Sequence[str], action: Action) -> bool:
    if "*" in listed or action.full_resource in listed:
        return True
    return bool(action.subresource) and f"*/{action.subresource}" in listed


def _path_matches(url: str, path: str) -> bool:
    if url in ("*", path):
        return True
    return url.endswith("*") and path.startswith(url.rstrip("*"))


@dataclass(frozen=True, slots=True)
class _Grant:
    """One binding: whom it gives what, and where ("" everywhere)."""

    kind: str
    name: str
    namespace: str
    role: str
    subjects: tuple[tuple[str, str], ...]
    rules: tuple[Rule, ...]

    def subject(self, identity: Identity) -> tuple[str, str] | None:
        """Return the subject by which it applies to a user."""
        for kind, name in self.subjects:
            if kind == "Group" and name in identity.groups:
                return kind, name
            if kind == "User" and name == identity.name:
                return kind, name
        return None


class RbacAuthorizer:
    """The rules of one server, read from its store."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._grants: tuple[_Grant, ...] | None = None
        storage.subscribe(self._committed)

    def _committed(self, entry: Commit) -> None:
        if entry.resource.endswith(GROUP):
            self._grants = None

    def forget(self) -> None:
        """Read the store anew at the next question (after a restore)."""
        self._grants = None

    # --- questions ---------------------------------------------------------------------------

    def authorize(self, info: RequestInfo, identity: Identity) -> StatusError | None:
        """Return the 403 for a request, None if it may go on."""
        if identity.is_system or MASTERS in identity.groups:
            return None
        if not info.is_resource and info.path in ALWAYS_ALLOWED:
            return None
        action = Action.of(info)
        return None if self.allows(identity, action) else action.refusal(identity)

    def allows(self, identity: Identity, action: Action) -> bool:
        """Whether a user may do something."""
        return self.reason(identity, action) is not None

    def reason(self, identity: Identity, action: Action) -> str | None:
        """Return why a user may do something, None if they may not."""
        if identity.is_system or MASTERS in identity.groups:
            return ""
        for grant in self._applying(identity, action.namespace):
            if any(covers(rule, action) for rule in grant.rules):
                kind, name = grant.subject(identity) or ("", "")
                place = f"{grant.name}/{grant.namespace}" if grant.namespace else grant.name
                return f'RBAC: allowed by {grant.kind} "{place}" of {grant.role} to {kind} "{name}"'
        return None

    def rules_of(self, identity: Identity, namespace: str) -> list[Rule]:
        """Return every rule that applies to a user in a namespace."""
        return [rule for g in self._applying(identity, namespace) for rule in g.rules]

    def role_rules(self, kind: str, name: str, namespace: str) -> tuple[Rule, ...]:
        """Return the rules of a role, () if it is not there."""
        if kind == "ClusterRole":
            return self._cluster_role(name)
        stored = self._storage.get(f"roles.{GROUP}", f"{namespace}/{name}")
        return tuple(_rules(stored.tree())) if stored is not None else ()

    # --- inside ------------------------------------------------------------------------------

    def _applying(self, identity: Identity, namespace: str) -> Iterator[_Grant]:
        for grant in self._compiled():
            if grant.namespace in ("", namespace) and grant.subject(identity) is not None:
                yield grant

    def _compiled(self) -> tuple[_Grant, ...]:
        grants = self._grants
        if grants is None:
            with self._storage.lock:
                grants = self._grants = tuple(self._compile())
        return grants

    def _compile(self) -> Iterator[_Grant]:
        for binding, role, groups in CLUSTER_ROLE_BINDINGS:
            subjects = tuple(("Group", group) for group in groups)
            title = f'ClusterRole "{role}"'
            yield _Grant(
                "ClusterRoleBinding", binding, "", title, subjects, self._cluster_role(role)
            )
        for plural, kind in (
            ("clusterrolebindings", "ClusterRoleBinding"),
            ("rolebindings", "RoleBinding"),
        ):
            for _, stored in self._storage.items(f"{plural}.{GROUP}"):
                yield self._grant(kind, stored.tree())

    def _grant(self, kind: str, tree: Tree) -> _Grant:
        metadata, ref = tree.get("metadata") or {}, tree.get("roleRef") or {}
        namespace = metadata.get("namespace", "") if kind == "RoleBinding" else ""
        role_kind, role = ref.get("kind", ""), ref.get("name", "")
        subjects = tuple(
            (s_kind, name)
            for subject in tree.get("subjects") or ()
            if subject
            for s_kind, name in [_subject(subject, namespace)]
        )
        return _Grant(
            kind,
            metadata.get("name", ""),
            namespace,
            f'{role_kind} "{role}"',
            subjects,
            self.role_rules(role_kind, role, namespace),
        )

    def _cluster_role(self, name: str) -> tuple[Rule, ...]:
        stored = self._storage.get(f"clusterroles.{GROUP}", name)
        if stored is None:
            return tuple(CLUSTER_ROLES.get(name, ()))
        tree = stored.tree()
        rules = _rules(tree)
        selectors = (tree.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        for selector in selectors:
            rules += self._aggregated((selector or {}).get("matchLabels") or {}, name)
        return tuple(rules)

    def _aggregated(self, wanted: Mapping[str, str], own: str) -> list[Rule]:
        rules: list[Rule] = []
        if not wanted:
            return rules
        for name, stored in self._storage.items(f"clusterroles.{GROUP}"):
            labels = stored.labels or {}
            if name != own and all(labels.get(key) == value for key, value in wanted.items()):
                rules += _rules(stored.tree())
        return rules


def _rules(tree: Tree) -> list[Rule]:
    """Return a role's rules; a null one says nothing."""
    return [rule for rule in tree.get("rules") or () if rule]


def _subject(subject: Mapping[str, Any], namespace: str) -> tuple[str, str]:
    if subject.get("kind") == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return "User", f"system:serviceaccount:{home}:{subject.get('name', '')}"
    return subject.get("kind", ""), subject.get("name", "")
