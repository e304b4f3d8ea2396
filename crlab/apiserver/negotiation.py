"""Which form an answer takes: JSON or YAML; whole objects, Table, or metadata only.

Thread: immutable values; pure functions.
Source: k8s.io/apiserver/pkg/endpoints/handlers/negotiation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import yaml

from crlab.apiserver.representation import (
    PartialRepresentation,
    Representation,
    TableRepresentation,
)
from crlab.apiserver.request import JSON, HttpRequest, HttpResponse
from crlab.apiserver.resource_type import ResourceType, Version
from crlab.apiserver.status import StatusError, bad_request, not_acceptable

YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPTED = (JSON, YAML, PROTOBUF)
INCLUDES = ("", "None", "Metadata", "Object")


@dataclass(frozen=True, slots=True)
class Accept:
    """One clause of an Accept header that this server can serve."""

    media: str
    transform: str = ""  # Table, PartialObjectMetadata or PartialObjectMetadataList
    version: str = ""


def clauses(header: str) -> list[tuple[str, dict[str, str]]]:
    """Return (media type, parameters) of an Accept header, best first."""
    found = []
    for clause in header.split(","):
        media, *rest = (part.strip() for part in clause.split(";"))
        pairs = [part.partition("=") for part in rest]
        parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
        if media:
            found.append((media.lower(), parameters))
    found.sort(key=lambda item: -_quality(item[1]))
    return found


def _quality(parameters: dict[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 1.0


def negotiate(header: str, *, can_transform: bool) -> Accept:
    """Choose the form of an answer.

    Raises:
        StatusError: 406.
    """
    for media, parameters in clauses(header or "*/*"):
        chosen = {"*/*": JSON, "application/*": JSON, JSON: JSON, YAML: YAML}.get(media)
        if chosen is None:
            continue
        transform = parameters.get("as", "")
        if not transform:
            return Accept(chosen)
        version = parameters.get("v", "")
        if can_transform and _is_known(transform, parameters.get("g", ""), version):
            return Accept(chosen, transform, version)
    raise not_acceptable(ACCEPTED)


def _is_known(transform: str, group: str, version: str) -> bool:
    return (
        transform in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
        and group == "meta.k8s.io"
        and version in ("v1", "v1beta1")
    )


def choose_view(
    request: HttpRequest,
    resource: ResourceType,
    version: Version,
    now: Callable[[], float],
    *,
    for_list: bool,
) -> tuple[Accept, Representation]:
    """Return the form and the view that answer a request about objects.

    Raises:
        StatusError: 406, or 400 for a bad includeObject.
    """
    accept = negotiate(request.header("accept"), can_transform=True)
    if not accept.transform:
        return accept, Representation(resource, version)
    api_version = f"meta.k8s.io/{accept.version}"
    if accept.transform == "Table":
        include = request.parameter("includeObject")
        if include not in INCLUDES:
            raise bad_request(
                "Unable to convert to Table as requested: includeObject: Invalid value: "
                f"\"{include}\": must be 'Metadata', 'Object', 'None', or empty"
            )
        return accept, TableRepresentation(resource, version, api_version, include, now)
    if accept.transform.endswith("List") != for_list:
        raise not_acceptable(ACCEPTED)
    return accept, PartialRepresentation(resource, version, api_version)


def encode_body(accept: Accept, document: bytes, status: int = 200) -> HttpResponse:
    """Answer with a JSON document in the chosen form."""
    if accept.media == YAML:
        text = yaml.safe_dump(msgspec.json.decode(document), sort_keys=False)
        return HttpResponse(status, [("Content-Type", YAML)], text.encode())
    return HttpResponse(status, [("Content-Type", JSON)], document)


def error_response(request: HttpRequest, error: StatusError) -> HttpResponse:
    """Answer with an error's Status; 406 for protobuf alone carries protobuf's type."""
    header = request.header("accept")
    media = {name for name, _ in clauses(header)}
    body = msgspec.json.encode(error.to_dict())
    response = HttpResponse(error.code, [("Content-Type", JSON)], body)
    if media and media <= {PROTOBUF}:
        response = HttpResponse(error.code, [("Content-Type", PROTOBUF)], body)
    elif YAML in media and not media & {JSON, "*/*", "application/*"}:
        response = encode_body(Accept(YAML), body, error.code)
    response.headers.extend(error.headers)
    return response
