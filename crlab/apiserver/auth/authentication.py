"""Who a request is from: bearer tokens, and impersonation.

From: `ApiServer`, before anything else. To: an `Identity`, 401 or 403.

Guarantees:
  1. Without tokens everybody who reaches the server is the administrator; with tokens a
     wrong one is 401 and none at all is system:anonymous.
  2. Tokens are compared in constant time and appear in no text, log or repr.
  3. Only who may impersonate does; what they then do is decided by whom they became.

Thread: any; immutable after construction.
Source: k8s.io/apiserver/pkg/authentication, pkg/endpoints/filters/impersonation.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence

from crlab.apiserver.auth.rbac_authorizer import Action, RbacAuthorizer
from crlab.apiserver.request import ADMIN, HttpRequest, Identity, RequestInfo
from crlab.apiserver.status import bad_request, unauthorized
from crlab.errors import ConfigError
from crlab.runtime.ids import Ids

ANONYMOUS_NAME = "system:anonymous"
AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
ANONYMOUS = Identity(name=ANONYMOUS_NAME, groups=(UNAUTHENTICATED,))
GROUP_SEPARATOR = "\n"  # between repeated Impersonate-Group headers
_EXTRA = "impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"

Tokens = Mapping[str, tuple[str, Sequence[str]]]


class Authenticator:
    """Turns requests into identities."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        """Know the tokens: token → (user, groups); None asks for none.

        Raises:
            ConfigError: a token is empty or a user has no name.
        """
        self._users: tuple[tuple[bytes, Identity], ...] | None = None
        if tokens is not None:
            for token, (user, _) in tokens.items():
                if not token.strip() or not user:
                    raise ConfigError("tokens map a token to (user, groups); one is empty")
            self._users = tuple(
                (token.encode(), Identity(name=user, groups=(*groups, AUTHENTICATED)))
                for token, (user, groups) in tokens.items()
            )

    @property
    def is_open(self) -> bool:
        """Whether no token is asked for."""
        return self._users is None

    def authenticate(self, request: HttpRequest) -> Identity:
        """Return who sent a request.

        Raises:
            StatusError: 401.
        """
        if self._users is None:
            return ADMIN
        header = request.header("authorization")
        if not header:
            return ANONYMOUS
        scheme, _, token = header.partition(" ")
        found = self.user(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise unauthorized()
        return found

    def knows(self, token: str) -> bool:
        """Whether requests with a bearer token are let in."""
        return self.is_open or self.user(token) is not None

    def admin_token(self) -> str | None:
        """Return a token of the administrator that only this process knows; None if open."""
        if self._users is None:
            return None
        token = Ids.token()
        self._users = (*self._users, (token.encode(), ADMIN))
        return token

    def user(self, token: str) -> Identity | None:
        """Return whose token it is."""
        given = token.encode()
        found = None
        for known, identity in self._users or ():
            if hmac.compare_digest(known, given):
                found = identity
        return found


def has_impersonation(request: HttpRequest) -> bool:
    """Whether a request asks to be somebody else."""
    return any(name.startswith("impersonate-") for name in request.headers)


def impersonate(
    request: HttpRequest, info: RequestInfo, identity: Identity, rbac: RbacAuthorizer
) -> Identity:
    """Return whom a request is to be handled as.

    Raises:
        StatusError: 400 without a user name; 403 if the caller may not.
    """
    if not has_impersonation(request):
        return identity
    wanted = _wanted(request)
    _check(Action.of(info), identity, wanted, rbac)
    groups = list(wanted.groups)
    if not groups and wanted.name.startswith(_ACCOUNT):
        namespace = wanted.name.removeprefix(_ACCOUNT).partition(":")[0]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    if wanted.name != ANONYMOUS_NAME:
        common = AUTHENTICATED
    else:
        common = UNAUTHENTICATED
    if common not in groups and AUTHENTICATED not in groups:
        groups.append(common)
    return Identity(wanted.name, tuple(groups), wanted.uid, wanted.extra)


def _wanted(request: HttpRequest) -> Identity:
    name = request.header("impersonate-user")
    uid = request.header("impersonate-uid")
    listed = request.header("impersonate-group")
    groups = tuple(group for group in listed.split(GROUP_SEPARATOR) if group)
    extra = {
        header.removeprefix(_EXTRA): tuple(value.split(GROUP_SEPARATOR))
        for header, value in request.headers.items()
        if header.startswith(_EXTRA)
    }
    if not name:
        raise bad_request(
            f"requested &user.DefaultInfo{{Name:{_text('')}, UID:{_text(uid)}, "
            f"Groups:{_list(groups)}, Extra:{_map(extra)}}} without impersonating a user name"
        )
    return Identity(name, groups, uid, extra)


def _check(action: Action, identity: Identity, wanted: Identity, rbac: RbacAuthorizer) -> None:
    """Refuse who may neither impersonate outright nor for this one action."""
    parts = _parts(wanted)
    if all(rbac.allows(identity, part) for part in parts):
        return
    doing = Action(
        f"impersonate-on:user-info:{action.verb}",
        action.group,
        action.resource,
        action.subresource,
        action.namespace,
        action.name,
        action.path,
    )
    if not rbac.allows(identity, doing):
        raise doing.refusal(identity)
    for part in parts:
        being = Action(
            "impersonate:user-info", "authentication.k8s.io", part.resource, name=part.name
        )
        if not rbac.allows(identity, being):
            raise being.refusal(identity)


def _parts(wanted: Identity) -> list[Action]:
    """Return what it takes to become somebody, in the classic form."""
    verb, group = "impersonate", "authentication.k8s.io"
    if wanted.name.startswith(_ACCOUNT):
        namespace, _, name = wanted.name.removeprefix(_ACCOUNT).partition(":")
        parts = [Action(verb, "", "serviceaccounts", namespace=namespace, name=name)]
    else:
        parts = [Action(verb, "", "users", name=wanted.name)]
    parts += [Action(verb, "", "groups", name=name) for name in wanted.groups]
    if wanted.uid:
        parts.append(Action(verb, group, "uids", name=wanted.uid))
    for key, values in wanted.extra.items():
        parts += [Action(verb, group, "userextras", key, name=value) for value in values]
    return parts


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(values: Sequence[str]) -> str:
    if not values:
        return "[]string(nil)"
    return "[]string{" + ", ".join(_text(value) for value in values) + "}"


def _map(extra: Mapping[str, Sequence[str]]) -> str:
    if not extra:
        return "map[string][]string(nil)"
    pairs = ", ".join(f"{_text(key)}:{_list(extra[key])}" for key in sorted(extra))
    return f"map[string][]string{{{pairs}}}"
