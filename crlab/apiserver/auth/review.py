"""The review kinds: may I, may they, what may I, who am I, whose token is this.

From: POST on authorization.k8s.io and authentication.k8s.io. To: the same object with a
status; nothing is stored.

Thread: any.
Source: pkg/registry/authorization, pkg/registry/authentication; pkg/apis/authorization/validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crlab.apiserver.auth.authentication import Authenticator
from crlab.apiserver.auth.rbac_authorizer import Action, RbacAuthorizer
from crlab.apiserver.request import Identity
from crlab.apiserver.status import Cause, StatusError, bad_request, invalid, invalid_value
from crlab.apiserver.storage import Tree

AUTHORIZATION, AUTHENTICATION = "authorization.k8s.io/v1", "authentication.k8s.io/v1"
Review = Callable[[Identity, Tree], Tree]
_EITHER = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


class Reviews:
    """Answers reviews from the rules in force."""

    def __init__(
        self, rbac: RbacAuthorizer, authenticator: Authenticator, now: Callable[[], str]
    ) -> None:
        self._rbac = rbac
        self._authenticator = authenticator
        self._now = now

    def by_kind(self) -> dict[str, Review]:
        """Return kind → function."""
        return {
            "SelfSubjectAccessReview": self.self_access,
            "SubjectAccessReview": self.access,
            "LocalSubjectAccessReview": self.local_access,
            "SelfSubjectRulesReview": self.self_rules,
            "SelfSubjectReview": self.self_subject,
            "TokenReview": self.token,
        }

    def self_access(self, identity: Identity, tree: Tree) -> Tree:
        """May I do this?"""
        spec = _spec(tree)
        _refuse(_attribute_causes(spec))
        return self._access(tree, "SelfSubjectAccessReview", identity, spec)

    def access(self, identity: Identity, tree: Tree) -> Tree:
        """May they do this?"""
        del identity
        spec = _spec(tree)
        _refuse([*_attribute_causes(spec), *_subject_causes(spec)])
        return self._access(tree, "SubjectAccessReview", _subject(spec), spec)

    def local_access(self, identity: Identity, tree: Tree) -> Tree:
        """May they do this in one namespace?"""
        del identity
        spec = _spec(tree)
        namespace = (tree.get("metadata") or {}).get("namespace", "")
        asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
        causes = [*_attribute_causes(spec), *_subject_causes(spec)]
        if asked != namespace:
            field = "spec.resourceAttributes.namespace"
            causes.append(invalid_value(field, asked, "must match metadata.namespace"))
        _refuse(causes)
        return self._access(tree, "LocalSubjectAccessReview", _subject(spec), spec)

    def self_rules(self, identity: Identity, tree: Tree) -> Tree:
        """What may I do in a namespace?"""
        spec = _spec(tree)
        namespace = spec.get("namespace")
        if not namespace:
            raise bad_request("no namespace on request")
        resources, paths = [], []
        for rule in self._rbac.rules_of(identity, namespace):
            if rule.get("nonResourceURLs"):
                urls = list(rule["nonResourceURLs"])
                paths.append({"verbs": list(rule.get("verbs") or ()), "nonResourceURLs": urls})
            else:
                names = ("verbs", "apiGroups", "resources", "resourceNames")
                resources.append({name: list(rule[name]) for name in names if rule.get(name)})
        status = {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}
        return _answer(tree, AUTHORIZATION, "SelfSubjectRulesReview", spec, status)

    def self_subject(self, identity: Identity, tree: Tree) -> Tree:
        """Who am I?"""
        answer = _answer(
            tree, AUTHENTICATION, "SelfSubjectReview", None, {"userInfo": _user_info(identity)}
        )
        answer["metadata"] = {**answer["metadata"], "creationTimestamp": self._now()}
        return answer

    def token(self, identity: Identity, tree: Tree) -> Tree:
        """Whose token is this?"""
        del identity
        spec = _spec(tree)
        token = spec.get("token")
        if not isinstance(token, str) or not token:
            raise bad_request("token is required for TokenReview in authentication")
        found = self._authenticator.user(token)
        status: Tree
        if found is None:
            status = {"user": {}, "error": "invalid bearer token"}
        else:
            status = {"authenticated": True, "user": _user_info(found)}
        return _answer(tree, AUTHENTICATION, "TokenReview", spec, status)

    def _access(self, tree: Tree, kind: str, identity: Identity, spec: Tree) -> Tree:
        reason = self._rbac.reason(identity, _action(spec))
        status: Tree = {"allowed": reason is not None}
        if reason:
            status["reason"] = reason
        return _answer(tree, AUTHORIZATION, kind, spec, status)


def _spec(tree: Tree) -> Tree:
    spec = tree.get("spec")
    if spec is None:
        return {}
    if not isinstance(spec, dict):
        raise bad_request("spec is not an object")
    return spec


def _action(spec: Tree) -> Action:
    path = spec.get("nonResourceAttributes")
    if isinstance(path, Mapping):
        return Action(str(path.get("verb", "")), path=str(path.get("path", "")) or "/")
    asked = spec.get("resourceAttributes") or {}
    names = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Action(*(str(asked.get(name) or "") for name in names))


def _attribute_causes(spec: Tree) -> list[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        return [invalid_value("spec.nonResourceAttributes", path, detail)]
    if resource is None and path is None:
        return [invalid_value("spec.resourceAttributes", None, _EITHER)]
    return []


def _subject_causes(spec: Tree) -> list[Cause]:
    if spec.get("user") or spec.get("groups"):
        return []
    detail = "at least one of user or group must be specified"
    return [invalid_value("spec.user", spec.get("user") or "", detail)]


def _refuse(causes: list[Cause]) -> None:
    if causes:
        raise _invalid(causes)


def _invalid(causes: list[Cause]) -> StatusError:
    return invalid("", "authorization.k8s.io", "", causes)


def _subject(spec: Tree) -> Identity:
    groups = tuple(str(group) for group in spec.get("groups") or ())
    return Identity(str(spec.get("user") or ""), groups, str(spec.get("uid") or ""))


def _user_info(identity: Identity) -> Tree:
    info: Tree = {"username": identity.name}
    if identity.uid:
        info["uid"] = identity.uid
    if identity.groups:
        info["groups"] = list(identity.groups)
    if identity.extra:
        info["extra"] = {key: list(values) for key, values in identity.extra.items()}
    return info


def _answer(tree: Tree, api_version: str, kind: str, spec: Any, status: Tree) -> Tree:
    answer: Tree = {"kind": kind, "apiVersion": api_version}
    answer["metadata"] = dict(tree.get("metadata") or {})
    if spec is not None:
        answer["spec"] = spec
    answer["status"] = status
    return answer
