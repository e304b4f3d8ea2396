"""Which names of a CRD are accepted: no two CRDs of a group may claim the same.

From: the CRD and the others of its group. To: `status.acceptedNames` and the conditions
NamesAccepted and Established.

Thread: pure functions.
Source: k8s.io/apiextensions-apiserver/pkg/controller/status/naming_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crlab.apiserver.crd.validate import is_condition_true


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The outcome for one CRD.

    Attributes:
        names: the new ``status.acceptedNames``.
        conditions: type → (status, reason, message), to be merged into ``status.conditions``.
    """

    names: dict[str, Any]
    conditions: dict[str, tuple[str, str, str]]

    @property
    def is_accepted(self) -> bool:
        """Whether every name was free."""
        return self.conditions["NamesAccepted"][0] == "True"


def accept_names(crd: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> Acceptance:
    """Decide which names a CRD gets, given the other CRDs (of any group)."""
    spec = crd["spec"]
    wanted: Mapping[str, Any] = spec["names"]
    current: Mapping[str, Any] = (crd.get("status") or {}).get("acceptedNames") or {}
    resources, kinds = _taken(spec["group"], others)
    names: dict[str, Any] = {
        "plural": current.get("plural") or "",
        "kind": current.get("kind") or "",
    }
    for key in ("singular", "listKind", "shortNames"):
        if current.get(key):
            names[key] = current[key]
    problem: tuple[str, str] | None = None
    for key, used in (
        ("plural", resources),
        ("singular", resources),
        ("shortNames", resources),
        ("kind", kinds),
        ("listKind", kinds),
    ):
        clash = _clash(wanted.get(key), current.get(key), used)
        if clash:
            problem = (f"{key[0].upper()}{key[1:]}Conflict", clash)
        elif wanted.get(key):
            names[key] = wanted[key]
        else:
            names.pop(key, None)
    if wanted.get("categories"):
        names["categories"] = wanted["categories"]
    return Acceptance(names, _conditions(crd, problem))


def _taken(group: str, others: Iterable[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if other["spec"]["group"] != group:
            continue
        names = (other.get("status") or {}).get("acceptedNames") or {}
        resources.update((names.get("plural") or "", names.get("singular") or ""))
        resources.update(names.get("shortNames") or ())
        kinds.update((names.get("kind") or "", names.get("listKind") or ""))
    return resources - {""}, kinds - {""}


def _clash(wanted: Any, current: Any, used: set[str]) -> str:
    if isinstance(wanted, list):
        mine = set(current or ())
        taken = [name for name in wanted if name not in mine and name in used]
        texts = list(dict.fromkeys(f'"{name}" is already in use' for name in taken))
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]" if texts else ""
    if wanted == current or wanted not in used:
        return ""
    return f'"{wanted}" is already in use'


def _conditions(
    crd: Mapping[str, Any], problem: tuple[str, str] | None
) -> dict[str, tuple[str, str, str]]:
    conditions = {"NamesAccepted": ("True", "NoConflicts", "no conflicts found")}
    if problem is not None:
        conditions["NamesAccepted"] = ("False", *problem)
    if is_condition_true(crd, "Established"):
        conditions["Established"] = _present(crd, "Established")
    elif problem is None:
        accepted = "the initial names have been accepted"
        conditions["Established"] = ("False", "Installing", accepted)
    else:
        not_accepted = ("False", "NotAccepted", "not all names are accepted")
        conditions["Established"] = _present(crd, "Established", not_accepted)
    return conditions


def _present(
    crd: Mapping[str, Any], kind: str, otherwise: tuple[str, str, str] = ("", "", "")
) -> tuple[str, str, str]:
    for found in (crd.get("status") or {}).get("conditions") or ():
        if found["type"] == kind:
            return found["status"], found.get("reason") or "", found.get("message") or ""
    return otherwise
