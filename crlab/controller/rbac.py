"""The least rights a controller needs, read off what it did.

From: the trace (every request with its actor) and the controller's sources. To: Roles, a
ClusterRole where something is not bound to a namespace, and their bindings.

Guarantees:
  1. A right is there because a request was made that needs it: by a run of the controller,
     its event recorder, or the informers it listens to (list and watch).
  2. A server-side apply that created the object needs create besides patch.
  3. Dry runs count: the server authorises them as the real thing.

What was never exercised is not there: step through the deletion of an object and a failing
run before the rules are taken for complete.

Thread: pure functions over a copy of the trace.
Source: kubernetes/kubernetes:staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go
(verbs), pkg/endpoints/handlers/patch.go (create on apply).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from crlab.errors import ConfigError
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
    controller: Any,
    *,
    service_account: str = "",
    user: str = "",
    is_cluster_wide: bool = False,
    is_list_included: bool = False,
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
        is_cluster_wide=is_cluster_wide,
        is_list_included=is_list_included,
    )


def derive_all(
    trace: Trace,
    controllers: Sequence[Any],
    informers: Sequence[Any],
    *,
    name: str,
    service_account: str = "",
    user: str = "",
    is_cluster_wide: bool = False,
    is_list_included: bool = False,
) -> Rbac:
    """Return the least rights for several controllers and shared informers together.

    Args:
        informers: besides those the controllers listen to.
        name: of the role; also of the service account, if none is named.
        service_account: "namespace/name" to bind to; default "default/<name>".
        user: bind to this user instead.
        is_cluster_wide: grant everything in a ClusterRole, for a controller that will meet
            other namespaces than those it has met.
        is_list_included: grant list beside watch, for servers that cannot stream the first
            list (before 1.32, or with WatchList switched off); a server that can never gets
            asked for one.

    Raises:
        ConfigError: the trace holds no run of a controller.
    """
    records = trace.records()
    sources = [*(each for c in controllers for each in c.informers), *informers]
    rights = set(_source_rights(records, sources, is_list_included=is_list_included))
    for controller in controllers:
        seen = _request_rights(records, f"controller/{controller.name}")
        if not seen and not controller.runner.runs:
            raise ConfigError(
                f"{controller.name} has not run yet: there are no requests to derive rights from; "
                "step() it, or let it run, through all it can do"
            )
        rights |= seen
    if is_cluster_wide:
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
    records: Sequence[TraceRecord], informers: Sequence[Any], *, is_list_included: bool
) -> Iterable[Right]:
    """Return what the informers needed; list and watch where the trace has lost it."""
    for informer in informers:
        gvr = informer.resource.gvr
        seen = _request_rights(records, f"informer/{gvr.group_resource}")
        for source in informer.lister_watchers:
            namespace = source.namespace or ""  # another informer may look elsewhere
            found = {r for r in seen if _is_of(r, gvr) and r.namespace == namespace}
            verbs = ("list", "watch") if is_list_included or not found else ()
            yield from found
            yield from (Right(namespace, gvr.group, gvr.resource, verb) for verb in verbs)


def _is_of(right: Right, gvr: GroupVersionResource) -> bool:
    return (right.group, right.resource) == (gvr.group, gvr.resource)


def _request_rights(records: Iterable[TraceRecord], actor: str) -> set[Right]:
    rights = set()
    for record in records:
        if record.stage != "client" or record.kind != "request" or record.get("actor") != actor:
            continue
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
