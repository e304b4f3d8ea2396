"""Do a schema's defaults fit their own schema?

Thread: pure functions.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.apiserver.schema.check import check
from crlab.apiserver.schema.invariant import check_embedded
from crlab.apiserver.schema.node import MISSING, Node
from crlab.apiserver.schema.reshape import clone, prune
from crlab.apiserver.schema.rule import compile_rules
from crlab.apiserver.schema.structural import below
from crlab.apiserver.status import INVALID, Cause
from crlab.model.go_text import go_json


def default_causes(schema: Mapping[str, Any], path: str) -> list[Cause]:
    """Return which defaults do not fit their own schema."""
    out: list[Cause] = []
    default = schema.get("default")
    if default is not None:
        _check_default(schema, default, f"{path}.default", out)
    if isinstance(schema.get("items"), Mapping):
        out += default_causes(schema["items"], f"{path}.items")
    for key, sub in (schema.get("properties") or {}).items():
        out += default_causes(sub, f"{path}.properties[{key}]")
    return out


def _check_default(schema: Mapping[str, Any], default: Any, field: str, out: list[Cause]) -> None:
    node = Node(schema)
    pruned = clone(default)
    prune(pruned, node, "", None)
    if pruned != default:
        shown = go_json(default)
        out.append(Cause(INVALID, f"Invalid value: {shown}: must not have unknown fields", field))
    found: list[Cause] = []
    check_embedded(node, default, field, found)
    if found:
        out.extend(found)
        return
    check(node, default, MISSING, "", "", found)
    if not found:
        rules = compile_rules(schema, root=False)
        if rules is not None:
            found.extend(rules.validate(default, None))
    out.extend(below(field, cause) for cause in found)
