"""The least rights a controller needs, read off what it did.

From: the trace (every request with its actor) and the controller's sources. To: Roles, a
ClusterRole where something is not bound to a namespace, and their bindings.

Guarantees:
  1. A right is there because a request was made that needs it: by a run of the controller,
     its event recorder, or the informers it listens to; but list is there beside each watch
     unless it is left out, since not every server can stream the first list.
  2. A server-side apply that created the object needs create besides patch.
  3. An owner reference that blocks the owner's deletion (`ctx.own` makes such) needs update on
     finalizers of the owner's kind, where a server enforces it (OpenShift does).
  4. Dry runs count: the server authorises them as the real thing.

What was never exercised is not there: step through the deletion of an object and a failing
run before the rules are taken for complete. To adopt an object that exists, a server that
enforces 3 asks for delete on it too: that cannot be seen here, and is not there.

Thread: any; works on a copy of the trace, and looks up owners' kinds in discovery.
Source: kubernetes/kubernetes:staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go
(verbs), pkg/endpoints/handlers/patch.go (create on apply), plugin/pkg/admission/gc
(OwnerReferencesPermissionEnforcement); pkg/features/kube_features.go (WatchList).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crlab.controller.controller import Controller
from crlab.errors import ConfigError, UnknownResource
from crlab.model.argument import checked_text
from crlab.model.plural import counted
from crlab.model.resource import GroupVersionResource
from crlab.trace.record import Trace, TraceRecord

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource.

    Attributes:
        namespace: where; "" is the whole cluster.
        resource: plural, with "/status" and the like for a subresource.
    """

    namespace: str
    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        place = f" in {self.namespace}" if self.namespace else ""
        name = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {name}{place}"


@dataclass(frozen=True, slots=True)
class Rbac:
    """Rights, and the objects that grant them.

    Attributes:
        name: of the roles and bindings.
        rights: sorted.
        subject: who is bound.
    """

    name: str
    rights: tuple[Right, ...]
    subject: tuple[tuple[str, str], ...]

    def without(self, right: Right) -> Rbac:
        """Return the same less one right, to prove that it is needed."""
        return Rbac(self.name, tuple(r for r in self.rights if r != right), self.subject)

    def objects(self) -> list[dict[str, Any]]:
        """Return the roles and bindings as plain dicts, ready to be applied."""
        made = []
        for namespace in sorted({right.namespace for right in self.rights}):
            rules = _rules(right for right in self.rights if right.namespace == namespace)
            made += self._granted(namespace, rules)
        return made

    def _granted(self, namespace: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
        prefix = "" if namespace else "Cluster"
        metadata = {"name": self.name, **({"namespace": namespace} if namespace else {})}
        api_version = "rbac.authorization.k8s.io/v1"
        role = {
            "apiVersion": api_version,
            "kind": f"{prefix}Role",
            "metadata": metadata,
            "rules": rules,
        }
        binding = {
            "apiVersion": api_version,
            "kind": f"{prefix}RoleBinding",
            "metadata": dict(metadata),
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": f"{prefix}Role",
                "name": self.name,
            },
            "subjects": [dict(self.subject)],
        }
        return [role, binding]

    def yaml(self) -> str:
        """Return the roles and bindings as YAML documents."""
        import yaml

        return "---\n".join(yaml.safe_dump(each, sort_keys=False) for each in self.objects())

    def __str__(self) -> str:
        return self.yaml()

    def __repr__(self) -> str:
        return f"<Rbac {self.name}: {counted(len(self.rights), 'rights')}>"


def derive(
    trace: Trace,
    controller: Controller,
    *,
    service_account: str = "",
    user: str = "",
    cluster_wide: bool = False,
    include_list: bool = True,
) -> Rbac:
    """Return the least rights for what `controller` did, as far as the trace goes back.

    Args and Raises: as `derive_all`.
    """
    return derive_all(
        trace,
        [controller],
        (),
        name=controller.name,
        service_account=service_account,
        user=user,
        cluster_wide=cluster_wide,
        include_list=include_list,
    )


def derive_all(
    trace: Trace,
    controllers: Sequence[Any],
    informers: Sequence[Any],
    *,
    name: str,
    service_account: str = "",
    user: str = "",
    cluster_wide: bool = False,
    include_list: bool = True,
) -> Rbac:
    """Return the least rights for several controllers and shared informers together.

    Args:
        informers: besides those the controllers listen to.
        name: of the role; also of the service account, if none is named.
        service_account: "namespace/name" to bind to; default "default/<name>".
        user: bind to this user instead.
        cluster_wide: grant everything in a ClusterRole, for a controller that will meet
            other namespaces than those it has met.
        include_list: grant list beside watch. Without it the role works only where the
            server streams the first list: WatchList is on in 1.32, off by default in 1.33, on
            again from 1.34, and may be switched off in any. A server that has it is never asked
            for a list.

    Raises:
        ConfigError: the trace holds no run of a controller.
    """
    records = trace.records()
    sources = [*(each for c in controllers for each in c.informers), *informers]
    rights = set(_source_rights(records, sources, include_list=include_list))
    for controller in controllers:
        seen = _request_rights(records, f"controller/{controller.name}")
        seen |= _owner_rights(records, controller)
        if not seen and not controller.runner.runs:
            raise ConfigError(
                f"{controller.name} has not run yet: there are no requests to derive rights from; "
                "step() it, or let it run, through all it can do"
            )
        rights |= seen
    if cluster_wide:
        rights = {Right("", right.group, right.resource, right.verb) for right in rights}
    rights = {
        right
        for right in rights
        if not right.namespace or Right("", right.group, right.resource, right.verb) not in rights
    }
    return Rbac(
        f"crlab:{name}",
        tuple(sorted(rights, key=_order)),
        _subject(name, service_account, user),
    )


def _source_rights(
    records: Sequence[TraceRecord], informers: Sequence[Any], *, include_list: bool
) -> Iterable[Right]:
    """Return what the informers needed; list and watch where the trace has lost it."""
    for informer in informers:
        gvr = informer.resource.gvr
        seen = _request_rights(records, f"informer/{gvr.group_resource}")
        for source in informer.lister_watchers:
            namespace = source.namespace or ""  # another informer may look elsewhere
            found = {r for r in seen if _is_of(r, gvr) and r.namespace == namespace}
            verbs = ("list", "watch") if include_list or not found else ()
            yield from found
            yield from (Right(namespace, gvr.group, gvr.resource, verb) for verb in verbs)


def _is_of(right: Right, gvr: GroupVersionResource) -> bool:
    return (right.group, right.resource) == (gvr.group, gvr.resource)


def _requests_of(records: Iterable[TraceRecord], actor: str) -> list[TraceRecord]:
    return [
        record
        for record in records
        if (record.stage, record.kind) == ("client", "request") and record.get("actor") == actor
    ]


def _request_rights(records: Iterable[TraceRecord], actor: str) -> set[Right]:
    rights = set()
    for record in _requests_of(records, actor):
        plural, _, group = record.resource.partition(".")
        subresource = record.get("subresource") or ""
        resource = f"{plural}/{subresource}" if subresource else plural
        verb = str(record.get("verb") or "")
        namespace = record.get("namespace") or ""
        if verb == "apply":
            verb = "patch"
        if verb in VERBS:
            rights.add(Right(namespace, group, resource, verb))
        if verb == "patch" and record.get("status") == 201:
            rights.add(Right(namespace, group, plural, "create"))
    return rights


def _owner_rights(records: Iterable[TraceRecord], controller: Controller) -> set[Right]:
    """Return what the owner references need that a controller wrote."""
    rights = set()
    for record in _requests_of(records, f"controller/{controller.name}"):
        for reference in _blocking(record):
            kind = {name: reference.get(name) for name in ("apiVersion", "kind")}
            try:
                owner = controller.env.resource_of(kind)
            except (ConfigError, UnknownResource):
                continue  # the server refused the reference, or its kind went meanwhile
            if record.get("verb") == "update" and owner.gvr != controller.resource.gvr:
                continue  # sent back as it was read: somebody else's
            namespace = record.get("namespace") or "" if owner.is_namespaced else ""
            resource = f"{owner.gvr.resource}/finalizers"
            rights.add(Right(namespace, owner.gvr.group, resource, "update"))
    return rights


def _blocking(record: TraceRecord) -> list[Mapping[str, Any]]:
    """Return the owner references of a write that block their owner's deletion."""
    body = record.get("request_body")
    if isinstance(body, list | tuple):  # a JSON patch: what it made of them is in the answer
        paths = [str(op.get("path")) for op in body if isinstance(op, Mapping)]
        is_about = any(path.startswith("/metadata/ownerReferences") for path in paths)
        body = record.get("response_body") if is_about else None
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    references = metadata.get("ownerReferences") if isinstance(metadata, Mapping) else None
    return [
        each
        for each in references or ()
        if isinstance(each, Mapping) and each.get("blockOwnerDeletion") is True
    ]


def _subject(name: str, service_account: str, user: str) -> tuple[tuple[str, str], ...]:
    if user:
        subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}
        return tuple(subject.items())
    checked_text(service_account, "service_account", '"default/web"')
    namespace, _, account = (service_account or f"default/{name}").partition("/")
    if not namespace or not account:
        raise ConfigError(f'a service account is "namespace/name", not {service_account!r}')
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    return tuple(subject.items())


def _rules(rights: Iterable[Right]) -> list[dict[str, Any]]:
    """Return rules: one per set of verbs and group, resources together."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        verbs.setdefault((right.group, right.resource), []).append(right.verb)
    rules: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), found in verbs.items():
        rules.setdefault((group, tuple(sorted(found, key=VERBS.index))), []).append(resource)
    return [
        {"apiGroups": [group], "resources": sorted(resources), "verbs": [*found]}
        for (group, found), resources in sorted(rules.items())
    ]


def _order(right: Right) -> tuple[Any, ...]:
    return right.namespace, right.group, right.resource, VERBS.index(right.verb)
