"""What makes a CustomResourceDefinition acceptable, and what the server fills in.

From: a CRD as a client wrote it. To: the registry, which defaults, prepares and validates it
before storing, then compiles each version's schema.

Guarantees:
  1. Paths are those of kube-apiserver, which moves what all versions share to the top: a
     schema they share is ``spec.validation.openAPIV3Schema``, others are
     ``spec.versions[0].schema.openAPIV3Schema``.
  2. An update is held to no rule that the stored CRD already broke.

Thread: pure functions; `default_crd` and `prepare_crd` change the CRD they are given.
Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/{validation/validation.go,
v1/{defaults,conversion}.go}, pkg/registry/customresourcedefinition/strategy.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from crlab.apiserver.crd.decode import MalformedSchemaError, clean_schema
from crlab.apiserver.crd.printer_column import (
    validate_columns,
    validate_scale,
    validate_selectable_fields,
)
from crlab.apiserver.crd.schema import SchemaReview
from crlab.apiserver.crd.spec import Spec
from crlab.apiserver.schema.reshape import clone
from crlab.apiserver.status import (
    INVALID,
    Cause,
    bad_request,
    forbidden_field,
    invalid_value,
    required,
    unsupported,
)
from crlab.model.name import dns_1035_label, dns_1123_subdomain

APPROVAL = "api-approved.kubernetes.io"
_ENHANCEMENT = "see https://github.com/kubernetes/enhancements/pull/1111"
_REVIEW_VERSIONS = ("v1", "v1beta1")


def default_crd(crd: dict[str, Any]) -> None:
    """Fill in names and conversion strategy, and clean the schemas of nulls, in place.

    Raises:
        StatusError: 400, a schema's keyword has a value of the wrong type.
    """
    spec = crd.setdefault("spec", {})
    for version in spec.get("versions") or ():
        openapi = (version.get("schema") or {}).get("openAPIV3Schema")
        if openapi is not None:
            try:
                clean_schema(openapi)
            except MalformedSchemaError as error:
                kind = "CustomResourceDefinition"
                where = f'{kind} in version "v1" cannot be handled as a {kind}'
                raise bad_request(f"{where}: {error}") from error
    names = spec.setdefault("names", {})
    kind = names.get("kind") or ""
    if not names.get("singular"):
        names["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        names["listKind"] = f"{kind}List"
    if not spec.get("conversion"):
        spec["conversion"] = {"strategy": "None"}
    webhook = (spec["conversion"].get("webhook") or {}).get("clientConfig") or {}
    if isinstance(webhook.get("service"), dict):
        webhook["service"].setdefault("port", 443)


def prepare_crd(crd: dict[str, Any], old: Mapping[str, Any] | None = None) -> None:
    """Set the status a client may not set, in place: empty at first, then the old one.

    The storage version is added to ``status.storedVersions``.
    """
    if old is None:
        crd["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}}
    else:
        crd["status"] = clone(dict(old.get("status") or {}))
    stored = list(crd["status"].get("storedVersions") or ())
    for version in crd["spec"].get("versions") or ():
        if version.get("storage"):
            if version["name"] not in stored:
                stored.append(version["name"])
            break
    crd["status"]["storedVersions"] = stored or None


def validate_crd(crd: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> list[Cause]:
    """Return what is wrong with a CRD (already defaulted and prepared), [] if nothing.

    Rules of ObjectMeta other than the name are the registry's.
    """
    raw = crd.get("spec") or {}
    spec = Spec(raw)
    out: list[Cause] = []
    if old is None:
        _validate_name(crd, raw, out)
    _validate_spec(spec, old, out)
    if old is not None:
        _validate_immutable(raw, old, out)
    status = crd.get("status") or {}
    _validate_names(status.get("acceptedNames") or {}, "status.acceptedNames", out)
    _validate_stored_versions(status.get("storedVersions"), spec.versions, out)
    _validate_approval(crd, old, out)
    if raw.get("preserveUnknownFields") and not _old_spec(old).get("preserveUnknownFields"):
        detail = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead"
        )
        out.append(invalid_value("spec.preserveUnknownFields", True, detail))
    return out


def _old_spec(old: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (old or {}).get("spec") or {}


def _validate_name(crd: Mapping[str, Any], raw: Mapping[str, Any], out: list[Cause]) -> None:
    name = (crd.get("metadata") or {}).get("name") or ""
    if not name:
        return  # the registry says so
    wanted = f"{(raw.get('names') or {}).get('plural', '')}.{raw.get('group', '')}"
    errors = dns_1123_subdomain(name)
    if name != wanted:
        errors.append('must be spec.names.plural+"."+spec.group')
    out.extend(invalid_value("metadata.name", name, text) for text in errors)


def _validate_spec(spec: Spec, old: Mapping[str, Any] | None, out: list[Cause]) -> None:
    raw = spec.raw
    _validate_group(raw.get("group") or "", out)
    _validate_choice("spec.scope", raw.get("scope") or "", ("Cluster", "Namespaced"), out)
    if old is None or _has_schemas(old):
        out.extend(
            required(f"spec.versions[{at}].schema.openAPIV3Schema")
            for at, version in enumerate(spec.versions)
            if _openapi(version) is None
        )
    _validate_versions(spec, out)
    names = raw.get("names") or {}
    keys = ("plural", "singular", "kind", "listKind")
    out.extend(required(f"spec.names.{key}") for key in keys if not names.get(key))
    _validate_names(names, "spec.names", out)
    review = SchemaReview(_old_spec(old))
    for schema, path, version in spec.places("schema", "spec.validation", "schema"):
        openapi = (schema or {}).get("openAPIV3Schema")
        if openapi is not None:
            name = version.get("name") or ""
            out.extend(review.review(openapi, f"{path}.openAPIV3Schema", spec.has_status, name))
    for found, path, _ in spec.places("subresources", "spec.subresources", "subresources"):
        if (found or {}).get("scale") is not None:
            validate_scale(found["scale"], path, out)
    where = "additionalPrinterColumns"
    for found, path, _ in spec.places(where, f"spec.{where}", where):
        validate_columns(found or (), path, out)
    where = "selectableFields"
    for found, path, version in spec.places(where, f"spec.{where}", where):
        validate_selectable_fields(found or (), _openapi(version), path, out)
    _validate_conversion(raw.get("conversion") or {}, out)


def _openapi(version: Mapping[str, Any]) -> Any:
    return (version.get("schema") or {}).get("openAPIV3Schema")


def _has_schemas(old: Mapping[str, Any]) -> bool:
    return all(_openapi(version) is not None for version in _old_spec(old).get("versions") or ())


def _validate_group(group: str, out: list[Cause]) -> None:
    if not group:
        out.append(required("spec.group"))
    elif errors := dns_1123_subdomain(group):
        out.append(invalid_value("spec.group", group, ",".join(errors)))
    elif "." not in group:
        out.append(invalid_value("spec.group", group, "should be a domain with at least one dot"))


def _validate_choice(field: str, value: str, known: Sequence[str], out: list[Cause]) -> None:
    if not value:
        out.append(required(field))
    elif value not in known:
        out.append(unsupported(field, value, known))


def _validate_versions(spec: Spec, out: list[Cause]) -> None:
    names = [version.get("name") or "" for version in spec.versions]
    for at, name in enumerate(names):
        if errors := dns_1035_label(name):
            out.append(invalid_value(f"spec.versions[{at}].name", name, ",".join(errors)))
        _validate_deprecation(spec.versions[at], f"spec.versions[{at}]", out)
    if len(set(names)) < len(names):
        out.append(_bad_versions(spec, "must contain unique version names"))
    if sum(1 for version in spec.versions if version.get("storage")) != 1:
        detail = "must have exactly one version marked as storage version"
        out.append(_bad_versions(spec, detail))
    if names and (errors := dns_1035_label(names[0])) and names[0]:
        out.append(invalid_value("spec.version", names[0], ",".join(errors)))


def _bad_versions(spec: Spec, detail: str) -> Cause:
    return Cause(INVALID, f"Invalid value: {spec.shown()}: {detail}", "spec.versions")


def _validate_deprecation(version: Mapping[str, Any], path: str, out: list[Cause]) -> None:
    warning = version.get("deprecationWarning")
    if warning is None:
        return
    field = f"{path}.deprecationWarning"
    if not version.get("deprecated"):
        out.append(invalid_value(field, warning, "can only be set for deprecated versions"))
        return
    if len(warning.encode()) > 256:
        out.append(invalid_value(field, warning, "must be <= 256 characters long"))
    if not warning:
        out.append(invalid_value(field, warning, "must not be an empty string"))
    for at, char in enumerate(warning):
        if not (char == " " or char.isprintable()):
            detail = (
                "must only contain printable UTF-8 characters; non-printable character found "
                f"at index {at}"
            )
            out.append(invalid_value(field, warning, detail))
            break


def _validate_names(names: Mapping[str, Any], path: str, out: list[Cause]) -> None:
    for key in ("plural", "singular"):
        name = names.get(key) or ""
        if name and (errors := dns_1035_label(name)):
            out.append(invalid_value(f"{path}.{key}", name, ",".join(errors)))
    for key in ("kind", "listKind"):
        name = names.get(key) or ""
        if name and (errors := dns_1035_label(name.lower())):
            detail = f"may have mixed case, but should otherwise match: {','.join(errors)}"
            out.append(invalid_value(f"{path}.{key}", name, detail))
    kind, list_kind = names.get("kind") or "", names.get("listKind") or ""
    for key in ("shortNames", "categories"):
        if key == "categories" and kind and kind == list_kind:
            detail = "kind and listKind may not be the same"
            out.append(invalid_value(f"{path}.listKind", list_kind, detail))
        for at, name in enumerate(names.get(key) or ()):
            if errors := dns_1035_label(name):
                out.append(invalid_value(f"{path}.{key}[{at}]", name, ",".join(errors)))


def _validate_conversion(conversion: Mapping[str, Any], out: list[Cause]) -> None:
    path = "spec.conversion"
    strategy = conversion.get("strategy") or ""
    _validate_choice(f"{path}.strategy", strategy, ("None", "Webhook"), out)
    webhook = conversion.get("webhook") or {}
    config, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions")
    if strategy != "Webhook":
        detail = "should not be set when strategy is not set to Webhook"
        if config is not None:
            out.append(forbidden_field(f"{path}.webhookClientConfig", detail))
        if reviews:
            out.append(forbidden_field(f"{path}.conversionReviewVersions", detail))
        return
    field = f"{path}.webhookClientConfig"
    if config is None:
        out.append(required(field, "required when strategy is set to Webhook"))
    elif (config.get("url") is None) == (config.get("service") is None):
        out.append(required(field, "exactly one of url or service is required"))
    field = f"{path}.conversionReviewVersions"
    if not reviews:
        out.append(required(field))
    elif not any(version in _REVIEW_VERSIONS for version in reviews):
        listed = ", ".join(_REVIEW_VERSIONS)
        out.append(invalid_value(field, reviews, f"must include at least one of {listed}"))


def _validate_immutable(raw: Mapping[str, Any], old: Mapping[str, Any], out: list[Cause]) -> None:
    before = _old_spec(old)
    names, old_names = raw.get("names") or {}, before.get("names") or {}
    pairs = []
    if is_condition_true(old, "Established"):
        pairs.append(("spec.scope", raw.get("scope"), before.get("scope")))
        pairs.append(("spec.names.kind", names.get("kind"), old_names.get("kind")))
    pairs.append(("spec.group", raw.get("group"), before.get("group")))
    pairs.append(("spec.names.plural", names.get("plural"), old_names.get("plural")))
    for field, value, was in pairs:
        if value != was:
            out.append(invalid_value(field, value or "", "field is immutable"))


def is_condition_true(crd: Mapping[str, Any], kind: str) -> bool:
    """Tell whether a condition of a CRD's status is True."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(found["type"] == kind and found["status"] == "True" for found in conditions)


def _validate_stored_versions(
    stored: Sequence[str] | None, versions: Sequence[Mapping[str, Any]], out: list[Cause]
) -> None:
    field = "status.storedVersions"
    if not stored:
        out.append(invalid_value(field, None, "must have at least one stored version"))
        return
    names = {version.get("name") for version in versions}
    for version in versions:
        name = version.get("name") or ""
        if version.get("storage") and name not in stored:
            detail = f"must have the storage version {name}"
            out.append(invalid_value(field, list(stored), detail))
    for at, name in enumerate(stored):
        if name not in names:
            detail = (
                f"missing from spec.versions; {name} was previously a storage version, and must "
                "remain in spec.versions until a storage migration ensures no data remains "
                f"persisted in {name} and removes {name} from status.storedVersions"
            )
            out.append(invalid_value(f"{field}[{at}]", name, detail))


def _approval(crd: Mapping[str, Any]) -> tuple[str, str]:
    annotations = (crd.get("metadata") or {}).get("annotations") or {}
    text = annotations.get(APPROVAL) or ""
    if not text:
        return "missing", ""
    if text.startswith("unapproved"):
        return "bypassed", text
    try:
        parts = urlsplit(text)
    except ValueError:
        return "invalid", text
    return ("approved" if parts.scheme and parts.netloc else "invalid"), text


def _validate_approval(
    crd: Mapping[str, Any], old: Mapping[str, Any] | None, out: list[Cause]
) -> None:
    group = (crd.get("spec") or {}).get("group") or ""
    if not f".{group}".endswith((".k8s.io", ".kubernetes.io")):
        return
    state, text = _approval(crd)
    if old is not None and _approval(old)[0] == state:
        return
    field = f"metadata.annotations[{APPROVAL}]"
    must = f'protected groups must have approval annotation "{APPROVAL}"'
    if state == "missing":
        out.append(required(field, f"{must}, {_ENHANCEMENT}"))
    elif state == "invalid":
        either = 'with either a URL or a reason starting with "unapproved"'
        out.append(invalid_value(field, text, f"{must} {either}, {_ENHANCEMENT}"))
