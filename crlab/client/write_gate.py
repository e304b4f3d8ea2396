"""Where this connection may write.

Guarantees:
  1. Nothing is written that `allow_writes` does not cover; the error says how to open a
     connection that may. Cluster-scoped objects need permission for everything.
  2. A dry run needs no permission: the server stores nothing, and refuses it where an admission
     webhook does not say that it has no effects of its own.

Thread: immutable.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crlab.errors import ConfigError, ReadOnlyError
from crlab.model.resource import ApiResource

AllowWrites = bool | str | Iterable[str]

_HARMLESS = {  # POSTs that store nothing
    "selfsubjectaccessreviews.authorization.k8s.io",
    "selfsubjectrulesreviews.authorization.k8s.io",
    "selfsubjectreviews.authentication.k8s.io",
}


class WriteGate:
    """The permission to write.

    Attributes:
        allowed: "*" for everything, else the namespaces.
    """

    def __init__(self, allow_writes: AllowWrites = ()) -> None:
        """Read `allow_writes`: (), a list of namespaces, or True or "*" for everything.

        Raises:
            ConfigError: it is something else.
        """
        if allow_writes is True or allow_writes == "*":
            names: tuple[str, ...] = ("*",)
        elif allow_writes is False:
            names = ()
        elif isinstance(allow_writes, str):
            names = (allow_writes,)
        else:
            names = _namespaces(allow_writes)
        self.allowed: tuple[str, ...] = ("*",) if "*" in names else names

    @property
    def is_everything(self) -> bool:
        """Whether every write is allowed."""
        return self.allowed == ("*",)

    def require(self, resource: ApiResource, namespace: str | None, tried: str) -> None:
        """Return if the write is allowed.

        Raises:
            ReadOnlyError: it is not.
        """
        if self.is_everything or resource.gvr.group_resource in _HARMLESS:
            return
        if not resource.is_namespaced or not namespace:
            what = "cluster-scoped" if not resource.is_namespaced else "for all namespaces"
            raise ReadOnlyError(
                f"{tried}: it is {what}, and {self._state()}; "
                "crlab.connect(allow_writes=True) may write everything"
            )
        if namespace not in self.allowed:
            raise ReadOnlyError(
                f"{tried}: {self._state()}; "
                f"crlab.connect(allow_writes=[{namespace!r}]) may write there"
            )

    def _state(self) -> str:
        if not self.allowed:
            return "this connection is read-only"
        return f"this connection writes only to {', '.join(self.allowed)}"

    def __bool__(self) -> bool:
        return bool(self.allowed)


def _namespaces(value: Any) -> tuple[str, ...]:
    names = tuple(value) if isinstance(value, Iterable) else (None,)
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigError(
            f"allow_writes is a list of namespaces, or True for everything; not {value!r}"
        )
    return names
