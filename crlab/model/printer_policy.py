"""kubectl's columns of the kinds about storage, scaling, disruption, networks and priority.

Thread: pure functions.
Source: kubernetes/kubernetes:pkg/printers/internalversion/printers.go (1.36).
"""

from __future__ import annotations

from typing import Any

from crlab.model.printer import (
    NONE,
    UNKNOWN,
    Obj,
    PrinterColumn,
    age_column,
    created_at_column,
    dig,
    integer,
    mapping,
    maps,
    name_column,
    sequence,
    shown,
)

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_LABEL_FORMS = {"In": "in", "NotIn": "notin"}


def selector_text(selector: Any) -> str:
    """Return a LabelSelector as metav1.FormatLabelSelector writes it."""
    terms = [f"{k}={v}" for k, v in sorted(mapping(mapping(selector).get("matchLabels")).items())]
    for rule in maps(mapping(selector).get("matchExpressions")):
        key, operator = rule.get("key"), str(rule.get("operator"))
        values = ",".join(sorted(str(v) for v in sequence(rule.get("values"))))
        word = _LABEL_FORMS.get(operator)
        terms.append(f"{key} {word} ({values})" if word else _existence(key, operator))
    return ",".join(terms) or NONE


def _existence(key: Any, operator: str) -> str:
    return f"{key}" if operator == "Exists" else f"!{key}"


def _class_name(obj: Obj) -> str:
    name = str(dig(obj, "metadata", "name"))
    is_default = dig(obj, "metadata", "annotations", _DEFAULT_CLASS) == "true"
    return f"{name} (default)" if is_default else name


def _text(*path: str, default: Any = "") -> Any:
    def get(obj: Obj) -> Any:
        found = dig(obj, *path)
        return default if found in (None, "") else found

    return get


def _true(*path: str) -> Any:
    return lambda obj: "true" if dig(obj, *path) is True else "false"


# --- quotas --------------------------------------------------------------------------------------


def _quota(*, limit: bool) -> Any:
    def get(obj: Obj) -> str:
        hard, used = mapping(dig(obj, "status", "hard")), mapping(dig(obj, "status", "used"))
        return ", ".join(
            f"{name}: {used.get(name, '0')}/{hard[name]}"
            for name in sorted(hard)
            if name.startswith("limits.") == limit
        )

    return get


# --- autoscaling ---------------------------------------------------------------------------------


def _reference(obj: Obj) -> str:
    target = mapping(dig(obj, "spec", "scaleTargetRef"))
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _targets(obj: Obj) -> str:
    metrics = maps(dig(obj, "spec", "metrics"))
    if not metrics:
        return NONE
    current = maps(dig(obj, "status", "currentMetrics"))
    texts = [
        _target(metric, current[index] if index < len(current) else {})
        for index, metric in enumerate(metrics[:2])
    ]
    more = f" + {len(metrics) - 2} more..." if len(metrics) > 2 else ""
    return ", ".join(texts) + more


def _target(metric: Obj, current: Obj) -> str:
    kind = str(metric.get("type", ""))
    source = kind[:1].lower() + kind[1:]
    wanted = mapping(dig(metric, source, "target"))
    found = mapping(dig(current, source, "current"))
    name = str(dig(metric, source, "name") or "")
    label = f"{name}: " if source in ("resource", "containerResource") and name else ""
    if wanted.get("averageUtilization") is not None:
        now = found.get("averageUtilization")
        return f"{label}{UNKNOWN if now is None else f'{now}%'}/{wanted['averageUtilization']}%"
    key = "averageValue" if wanted.get("averageValue") is not None else "value"
    suffix = " (avg)" if key == "averageValue" and source in ("object", "external") else ""
    return f"{label}{found.get(key, UNKNOWN)}/{wanted.get(key, '<auto>')}{suffix}"


def _parameters(obj: Obj) -> str:
    found = mapping(dig(obj, "spec", "parameters"))
    if not found:
        return NONE
    group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
    return f"{found.get('kind', '')}{group}/{found.get('name', '')}"


def _owner(obj: Obj) -> str:
    for owner in maps(dig(obj, "metadata", "ownerReferences")):
        if owner.get("controller") is True:
            group = str(owner.get("apiVersion", "")).rpartition("/")[0]
            kind = str(owner.get("kind", "")).lower()
            return f"{kind}.{group}/{owner.get('name', '')}" if group else f"{kind}/{owner['name']}"
    return NONE


def _template(field: str) -> Any:
    return lambda obj: ",".join(
        str(each.get(field, "")) for each in maps(dig(obj, "template", "spec", "containers"))
    )


def _template_labels(obj: Obj) -> str:
    labels = mapping(dig(obj, "template", "metadata", "labels"))
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or NONE


POLICY: dict[tuple[str, str], tuple[PrinterColumn, ...]] = {
    ("", "LimitRange"): (name_column(), created_at_column()),
    ("", "ResourceQuota"): (
        name_column(),
        shown("Request", _quota(limit=False)),
        shown("Limit", _quota(limit=True)),
        age_column(),
    ),
    ("", "PodTemplate"): (
        name_column(),
        shown("Containers", _template("name")),
        shown("Images", _template("image")),
        shown("Pod Labels", _template_labels),
    ),
    ("apps", "ControllerRevision"): (
        name_column(),
        shown("Controller", _owner),
        shown("Revision", lambda obj: integer(obj.get("revision")), type="integer"),
        age_column(),
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): (
        name_column(),
        shown("Reference", _reference),
        shown("Targets", _targets),
        shown("MinPods", _text("spec", "minReplicas", default="<unset>")),
        shown("MaxPods", lambda obj: str(integer(dig(obj, "spec", "maxReplicas")))),
        shown("Replicas", lambda obj: str(integer(dig(obj, "status", "currentReplicas")))),
        age_column(),
    ),
    ("policy", "PodDisruptionBudget"): (
        name_column(),
        shown("Min Available", lambda obj: str(_text("spec", "minAvailable", default="N/A")(obj))),
        shown(
            "Max Unavailable",
            lambda obj: str(_text("spec", "maxUnavailable", default="N/A")(obj)),
        ),
        shown(
            "Allowed Disruptions",
            lambda obj: integer(dig(obj, "status", "disruptionsAllowed")),
            type="integer",
        ),
        age_column(),
    ),
    ("networking.k8s.io", "NetworkPolicy"): (
        name_column(),
        shown("Pod-Selector", lambda obj: selector_text(dig(obj, "spec", "podSelector"))),
        age_column(),
    ),
    ("networking.k8s.io", "IngressClass"): (
        name_column(),
        shown("Controller", _text("spec", "controller")),
        shown("Parameters", _parameters),
        age_column(),
    ),
    ("storage.k8s.io", "StorageClass"): (
        PrinterColumn(
            name="Name",
            type="string",
            cell=lambda obj, now: _class_name(obj),
            value=lambda obj: dig(obj, "metadata", "name"),
            frame_type="string",
            format="name",
            description=name_column().description,
        ),
        shown("Provisioner", _text("provisioner")),
        shown("ReclaimPolicy", _text("reclaimPolicy", default="Delete")),
        shown("VolumeBindingMode", _text("volumeBindingMode", default="Immediate")),
        shown("AllowVolumeExpansion", _true("allowVolumeExpansion")),
        age_column(),
    ),
    ("scheduling.k8s.io", "PriorityClass"): (
        name_column(),
        shown("Value", lambda obj: integer(obj.get("value")), type="integer"),
        shown("Global-Default", lambda obj: obj.get("globalDefault") is True, type="boolean"),
        age_column(),
        shown("PreemptionPolicy", _text("preemptionPolicy", default="PreemptLowerPriority")),
    ),
}
