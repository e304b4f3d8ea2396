"""Query options: ListOptions, CreateOptions, UpdateOptions, PatchOptions, DeleteOptions.

Thread: immutable values.
Source: k8s.io/apimachinery/pkg/apis/meta/{v1,internalversion}/validation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crlab.apiserver import protobuf
from crlab.apiserver.request import HttpRequest
from crlab.apiserver.status import (
    Cause,
    StatusError,
    bad_request,
    forbidden_field,
    invalid,
    invalid_value,
    required,
    unsupported,
)
from crlab.apiserver.verb.body import SyntaxFault, media_type, parse_json, parse_yaml
from crlab.model.go_text import json_kind

META = "meta.k8s.io"
FIELD_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
PROPAGATIONS = ("Foreground", "Background", "Orphan")
MANAGER_LIMIT = 128
_DELETE_FIELDS: dict[str, tuple[type, str]] = {
    "dryRun": (list, "[]string"),
    "gracePeriodSeconds": (int, "int64"),
    "orphanDependents": (bool, "bool"),
    "preconditions": (dict, "v1.Preconditions"),
    "propagationPolicy": (str, "v1.DeletionPropagation"),
}


def parse_int(text: str) -> int:
    """Return a query number as Go's ParseInt reads it."""
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    # The length first: Python refuses to read more than 4300 digits.
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def parse_bool(text: str) -> bool:
    """Return a query flag: present without a value is true."""
    return text.lower() not in ("0", "false")


def revision_fault(text: str) -> str:
    """Return why a text is no resourceVersion, "" if it is one."""
    if re.fullmatch(r"[0-9]{1,20}", text) and int(text) < 2**64:
        return ""
    why = "value out of range" if re.fullmatch("[0-9]+", text) else "invalid syntax"
    return f'strconv.ParseUint: parsing "{text}": {why}'


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list, watch or deletecollection asks for."""

    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    limit: int = 0
    continue_token: str = ""
    timeout_seconds: int = 0
    allows_bookmarks: bool = False
    sends_initial_events: bool | None = None

    @classmethod
    def read(cls, request: HttpRequest, *, watch: bool) -> ListQuery:
        """Read and check them.

        Raises:
            StatusError: 400 for what does not parse, 422 for contradictions.
        """
        get = request.parameter
        initial = get("sendInitialEvents")
        options = cls(
            label_selector=get("labelSelector"),
            field_selector=get("fieldSelector"),
            resource_version=get("resourceVersion"),
            resource_version_match=get("resourceVersionMatch"),
            limit=parse_int(get("limit") or "0"),
            continue_token=get("continue"),
            timeout_seconds=parse_int(get("timeoutSeconds") or "0"),
            allows_bookmarks=request.has("allowWatchBookmarks")
            and parse_bool(get("allowWatchBookmarks")),
            sends_initial_events=parse_bool(initial) if request.has("sendInitialEvents") else None,
        )
        causes = options._watch_causes() if watch else options._list_causes()
        if causes:
            raise invalid("ListOptions", META, "", causes)
        return options

    def _watch_causes(self) -> list[Cause]:
        causes = []
        at, match = "resourceVersionMatch", self.resource_version_match
        if self.sends_initial_events is not None and match != "NotOlderThan":
            detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            causes.append(forbidden_field(at, detail))
        if match and self.sends_initial_events is None:
            detail = (
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            )
            causes.append(forbidden_field(at, detail))
        if match not in ("", "NotOlderThan"):
            causes.append(unsupported(at, match, ["NotOlderThan"]))
        if self.continue_token:
            detail = "resourceVersionMatch is forbidden when continue is provided"
            causes.append(forbidden_field(at, detail))
        return causes

    def _list_causes(self) -> list[Cause]:
        causes = []
        at, match = "resourceVersionMatch", self.resource_version_match
        if match:
            if not self.resource_version:
                detail = "resourceVersionMatch is forbidden unless resourceVersion is provided"
                causes.append(forbidden_field(at, detail))
            if self.continue_token:
                detail = "resourceVersionMatch is forbidden when continue is provided"
                causes.append(forbidden_field(at, detail))
            if match not in ("Exact", "NotOlderThan"):
                causes.append(unsupported(at, match, ["Exact", "NotOlderThan", ""]))
            elif match == "Exact" and self.resource_version == "0":
                detail = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
                causes.append(forbidden_field(at, detail))
        if self.sends_initial_events is not None:
            detail = "sendInitialEvents is forbidden for list"
            causes.append(forbidden_field("sendInitialEvents", detail))
        return causes


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What a create, update, patch or apply asks for."""

    is_dry_run: bool = False
    manager: str = ""
    field_validation: str = "Warn"
    force: bool = False

    @classmethod
    def read(cls, request: HttpRequest, kind: str, *, apply: bool = False) -> WriteOptions:
        """Read and check CreateOptions, UpdateOptions or PatchOptions (`kind`).

        Raises:
            StatusError: 422.
        """
        causes: list[Cause] = []
        has_force = request.has("force")
        if kind == "PatchOptions":
            if apply and not request.parameter("fieldManager"):
                causes.append(required("fieldManager", "is required for apply patch"))
            if has_force and not apply:
                causes.append(forbidden_field("force", "may not be specified for non-apply patch"))
        manager = request.parameter("fieldManager")
        causes += manager_causes(manager)
        causes += dry_run_causes([v for k, v in request.query if k == "dryRun" and v])
        validation = request.parameter("fieldValidation")
        if validation not in FIELD_VALIDATIONS:
            causes.append(unsupported("fieldValidation", validation, FIELD_VALIDATIONS))
        if causes:
            raise invalid(kind, META, "", causes)
        agent = request.header("user-agent").partition("/")[0]
        return cls(
            is_dry_run=bool(request.parameter("dryRun")),
            manager=manager or agent[:MANAGER_LIMIT] or "unknown",
            field_validation=validation or "Warn",
            force=has_force and parse_bool(request.parameter("force")),
        )


def manager_causes(manager: str) -> list[Cause]:
    """Return what is wrong with a field manager's name."""
    causes = []
    if len(manager.encode()) > MANAGER_LIMIT:
        message = f"Too long: may not be more than {MANAGER_LIMIT} bytes"
        causes.append(Cause("FieldValueTooLong", message, "fieldManager"))
    for position, char in enumerate(manager):
        if not char.isprintable():
            detail = f"invalid character U+{ord(char):04X} (at position {position})"
            causes.append(invalid_value("fieldManager", manager, detail))
            break
    return causes


def dry_run_causes(values: Sequence[str]) -> list[Cause]:
    """Return what is wrong with dryRun."""
    if all(value == "All" for value in values):
        return []
    return [unsupported("dryRun", list(values), ["All"])]


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a deletion asks for; from the query and the body."""

    is_dry_run: bool = False
    propagation: str = ""
    grace_seconds: int | None = None
    preconditions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, request: HttpRequest) -> DeleteOptions:
        """Read and check them.

        Raises:
            StatusError: 400 or 422.
        """
        return cls.of(_delete_body(request) if request.body else _from_query(request))

    @classmethod
    def of_eviction(cls, request: HttpRequest, eviction: Mapping[str, Any]) -> DeleteOptions:
        """Read and check those of an Eviction, which may say dryRun in its body or its query.

        Raises:
            StatusError: 400 or 422.
        """
        asked = ["All"] if WriteOptions.read(request, "CreateOptions").is_dry_run else []
        body = eviction.get("deleteOptions") or {}
        if not isinstance(body, Mapping):
            raise bad_request(
                f"json: cannot unmarshal {json_kind(body)} into Go struct field "
                "Eviction.deleteOptions of type v1.DeleteOptions"
            )
        given = body.get("dryRun") or asked
        if asked and given != asked:
            raise bad_request(
                f"Non-matching dry-run options in request and content: {asked} and {given}"
            )
        return cls.of({**body, "dryRun": given})

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> DeleteOptions:
        """Check what a body or a query says.

        Raises:
            StatusError: 422.
        """
        for name, (type_, go_name) in _DELETE_FIELDS.items():
            if body.get(name) is not None and type(body[name]) is not type_:
                raise _mistyped(name, body[name], go_name)
        dry_run = body.get("dryRun") or []
        propagation, orphan = body.get("propagationPolicy"), body.get("orphanDependents")
        causes = []
        if propagation is not None and orphan is not None:
            detail = "orphanDependents and deletionPropagation cannot be both set"
            causes.append(invalid_value("propagationPolicy", propagation, detail))
        if propagation is not None and propagation not in PROPAGATIONS:
            causes.append(unsupported("propagationPolicy", propagation, [*PROPAGATIONS, "nil"]))
        causes += dry_run_causes(dry_run)
        if causes:
            raise invalid("DeleteOptions", META, "", causes)
        grace = body.get("gracePeriodSeconds")
        if grace is not None and not -(2**63) <= grace < 2**63:
            raise _mistyped("gracePeriodSeconds", grace, "int64")
        if orphan is not None:
            propagation = "Orphan" if orphan else "Background"
        return cls(
            is_dry_run=bool(dry_run),
            propagation=propagation or "",
            grace_seconds=grace,
            preconditions={k: str(v) for k, v in (body.get("preconditions") or {}).items() if v},
        )


def _mistyped(name: str, value: object, go_name: str) -> StatusError:
    is_number = type(value) in (int, float) and go_name == "int64"
    found = f"number {value}" if is_number else json_kind(value)
    return bad_request(
        f"json: cannot unmarshal {found} into Go struct field DeleteOptions.{name} "
        f"of type {go_name}"
    )


def _from_query(request: HttpRequest) -> dict[str, Any]:
    found: dict[str, Any] = {"dryRun": [v for k, v in request.query if k == "dryRun" and v]}
    if request.has("propagationPolicy"):
        found["propagationPolicy"] = request.parameter("propagationPolicy")
    if request.has("orphanDependents"):
        found["orphanDependents"] = parse_bool(request.parameter("orphanDependents"))
    if request.parameter("gracePeriodSeconds"):
        found["gracePeriodSeconds"] = parse_int(request.parameter("gracePeriodSeconds"))
    return found


def _delete_body(request: HttpRequest) -> dict[str, Any]:
    assert request.body
    kind_of_body = media_type(request.header("content-type"))
    try:
        if kind_of_body == protobuf.MEDIA_TYPE:
            body: Any = protobuf.decode_object(request.body)
        elif kind_of_body.endswith("yaml"):
            body, _ = parse_yaml(request.body)
        else:
            body, _ = parse_json(request.body)
    except (SyntaxFault, protobuf.ProtobufError) as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error: the body is not an object")
    kind = body.get("kind") or "DeleteOptions"
    if kind != "DeleteOptions":
        version = body.get("apiVersion") or ""
        raise bad_request(
            f'no kind "{kind}" is registered for version "{version}" in scheme '
            '"pkg/apis/meta/internalversion/scheme/register.go:27"'
        )
    return body
