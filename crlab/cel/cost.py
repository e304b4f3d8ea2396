"""Estimates what evaluating a rule may cost at worst, as kube-apiserver does for CRDs.

The cost counts steps; sizes of strings, lists and maps come from the schema's limits
(maxLength, maxItems, maxProperties) or, without them, from the largest possible request.

Guarantees:
  1. Only upper bounds are computed; they are those of cel-go's estimator for the same schema.

Thread: one estimate at a time per `Coster`.
Source: google/cel-go:checker/cost.go, k8s.io/apiserver/pkg/cel/library/cost.go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from crlab.cel.declaration import Overload
from crlab.cel.expression import (
    Bind,
    Const,
    Expr,
    FunctionCall,
    Ident,
    ListExpr,
    Loop,
    MapExpr,
    Select,
)
from crlab.cel.type import Decl, Type

UNKNOWN = 2**64 - 1
_TRAVERSAL = 0.1
_REGEX = 0.25
_LIST, _MAP = 10, 30
_FORMAT_REGEX = 128
_SCALARS = frozenset({"bool", "double", "duration", "int", "timestamp", "uint"})
_ONE_STEP = frozenset(
    [
        "masked",
        "prefixLength",
        "family",
        "isUnspecified",
        "isLoopback",
        "isLinkLocalMulticast",
        "isLinkLocalUnicast",
        "isGlobalUnicast",
        "format.named",
        "sign",
        "asInteger",
        "isInteger",
        "asApproximateFloat",
        "isGreaterThan",
        "isLessThan",
        "compareTo",
        "add",
        "sub",
        "major",
        "minor",
        "patch",
        "getScheme",
        "getHostname",
        "getHost",
        "getPort",
        "getEscapedPath",
        "getQuery",
    ]
)
_ONE_READ = frozenset(
    ["url", "cidr", "isIP", "isCIDR", "ip", "quantity", "isQuantity", "semver", "isSemver"]
)


def _cap(value: float) -> int:
    return UNKNOWN if value >= UNKNOWN else int(value)


def _times(one: int, two: int) -> int:
    return min(UNKNOWN, one * two)


def _scaled(size: int, factor: float) -> int:
    return _cap(math.ceil(size * factor))


@dataclass(slots=True)
class _Known:
    """What is known of an expression's value: its place in the schema and its sizes."""

    path: tuple[str, ...] = ()
    size: int | None = None
    item: int | None = None  # size of a list's items or a map's values
    key: int | None = None


class Coster:
    """Estimates expressions over one declared `self`."""

    def __init__(self, root: Decl) -> None:
        self._root = root
        self._scopes: list[dict[str, _Known]] = []

    def cost(self, node: Expr) -> int:
        """Return the worst cost of an expression."""
        return self._visit(node)[0]

    def _visit(self, node: Expr) -> tuple[int, _Known]:
        handlers: dict[type, Any] = {
            Const: self._const,
            Ident: self._ident,
            Select: self._select,
            FunctionCall: self._call,
            ListExpr: self._list,
            MapExpr: self._map,
            Loop: self._loop,
            Bind: self._bind,
        }
        cost, known = handlers[type(node)](node)
        return min(cost, UNKNOWN), known

    def _declared(self, path: tuple[str, ...]) -> int | None:
        if not path:
            return None
        decl: Decl | None = self._root
        for step in path[1:]:
            if decl is None:
                return None
            if step in ("@items", "@values"):
                decl = decl.element
            elif step == "@keys":
                decl = decl.key
            else:
                decl = decl.fields.get(step)
        return None if decl is None else decl.max_elements

    def _size(self, node_type: Type, known: _Known) -> int:
        if known.size is not None:
            return known.size
        declared = self._declared(known.path)
        if declared is not None:
            return declared
        return 1 if _is_scalar(node_type) else UNKNOWN

    # -- nodes

    def _const(self, node: Const) -> tuple[int, _Known]:
        value = node.value
        return 0, _Known(size=len(value) if isinstance(value, str | bytes) else 1)

    def _ident(self, node: Ident) -> tuple[int, _Known]:
        for scope in reversed(self._scopes):
            if node.name in scope:
                return 1, scope[node.name]
        return 1, _Known((node.name,))

    def _select(self, node: Select) -> tuple[int, _Known]:
        cost, known = self._visit(node.operand)
        if node.is_test:
            return cost, _Known(size=1)
        path = (*known.path, node.name) if known.path else ()
        kind = node.operand.type[0]
        return cost + (1 if kind in ("map", "object", "optional_type") else 0), _Known(path)

    def _list(self, node: ListExpr) -> tuple[int, _Known]:
        total, item = _LIST, 0
        for element in node.elements:
            cost, known = self._visit(element)
            total += cost
            item = max(item, self._size(element.type, known))
        return total, _Known(size=len(node.elements), item=item)

    def _map(self, node: MapExpr) -> tuple[int, _Known]:
        total, key_size, item = _MAP, 0, 0
        for key, value, _ in node.entries:
            key_cost, key_known = self._visit(key)
            cost, known = self._visit(value)
            total += key_cost + cost
            key_size = max(key_size, self._size(key.type, key_known))
            item = max(item, self._size(value.type, known))
        return total, _Known(size=len(node.entries), item=item, key=key_size)

    def _variables(self, node: Loop, known: _Known) -> dict[str, _Known]:
        is_list = node.source.type[0] == "list"

        def below(step: str, size: int | None) -> _Known:
            return _Known((*known.path, step) if known.path else (), size)

        value = below("@items" if is_list else "@values", known.item)
        key = _Known(size=1) if is_list else below("@keys", known.key)
        if len(node.names) == 2:
            return {node.names[0]: key, node.names[1]: value}
        return {node.names[0]: value if is_list else key}

    def _loop(self, node: Loop) -> tuple[int, _Known]:
        cost, source = self._visit(node.source)
        turns = self._size(node.source.type, source)
        self._scopes.append(self._variables(node, source))
        condition = self._visit(node.condition)[0] if node.condition is not None else None
        body_cost, body = self._visit(node.body) if node.body is not None else (1, _Known())
        kind = node.kind
        if kind in ("all", "exists"):
            # the loop's own test, the accumulator and the operator
            step = (3 if kind == "all" else 4) + (condition or 0)
            known, fixed = _Known(size=1), 1
        elif kind == "exists_one":
            step, known, fixed = (condition or 0) + 2, _Known(size=1), 2
        elif kind in ("map", "filter"):
            step = 12 + body_cost + (condition or 0)
            variable = self._scopes[-1][node.names[0]]
            item_type = node.body.type if node.body is not None else ("dyn",)
            item = self._size(item_type, body if node.body is not None else variable)
            known, fixed = _Known(size=turns, item=item), _LIST + 1
        else:
            step, known, fixed = 3 + body_cost + (condition or 0), _Known(size=turns), _MAP + 1
        self._scopes.pop()
        return cost + fixed + _times(turns, step), known

    def _bind(self, node: Bind) -> tuple[int, _Known]:
        cost, known = self._visit(node.target)
        self._scopes.append({node.name: known})
        body_cost, body = self._visit(node.body)
        self._scopes.pop()
        if node.kind == "sortBy":
            return cost + _times(self._size(node.target.type, known), body_cost + 12), known
        return cost * 2 + body_cost + _LIST + 3, body

    # -- calls

    def _call(self, node: FunctionCall) -> tuple[int, _Known]:
        target_cost, target = (0, _Known())
        if node.target is not None:
            target_cost, target = self._visit(node.target)
        visited = [self._visit(arg) for arg in node.args]
        costs = [cost for cost, _ in visited]
        sizes = [
            self._size(arg.type, known) for arg, (_, known) in zip(node.args, visited, strict=True)
        ]
        target_size = UNKNOWN
        if node.target is not None:
            target_size = self._size(node.target.type, target)
        if node.function in ("_&&_", "_||_"):
            return sum(costs), _Known(size=1)
        if node.function == "_?_:_":
            items = [known.item for _, known in visited[1:]]
            item = None if None in items else max(item for item in items if item is not None)
            return costs[0] + max(costs[1:]), _Known(size=max(sizes[1:]), item=item)
        if node.function == "dyn":
            return costs[0] + 1, visited[0][1]
        if node.function in ("_[_]", "_[?_]"):
            container = visited[0][1]
            step = "@items" if node.args[0].type[0] == "list" else "@values"
            path = (*container.path, step) if container.path else ()
            return sum(costs) + 1, _Known(path, container.item)
        found = 0
        size: int | None = None
        for overload in node.overloads:
            cost, result = self._overload(node, overload, target, target_size, sizes)
            found = max(found, cost)
            if result is not None:
                size = result if size is None else max(size, result)
        item = None
        if node.function == "_+_" and len(visited) == 2:
            parts = [known.item for _, known in visited]
            item = None if None in parts else max(part for part in parts if part is not None)
        return target_cost + found + sum(costs), _Known(size=size, item=item)

    def _overload(
        self,
        node: FunctionCall,
        overload: Overload,
        target: _Known,
        target_size: int,
        sizes: list[int],
    ) -> tuple[int, int | None]:
        name, kinds = node.function, [arg[0] for arg in overload.args]
        if name in ("_==_", "_!=_") or (
            name in ("_<_", "_<=_", "_>_", "_>=_") and kinds[0] in ("string", "bytes")
        ):
            return self._equality(node, sizes), None
        if name == "_+_" and kinds[0] in ("string", "bytes", "list"):
            total = min(UNKNOWN, sizes[0] + sizes[1])
            return (1 if kinds[0] == "list" else _scaled(total, _TRAVERSAL)), total
        if name == "@in" and kinds[1] == "list":
            return sizes[1], None
        if name in ("startsWith", "endsWith"):
            return _scaled(sizes[0], _TRAVERSAL), None
        if name == "contains":
            return _times(_scaled(target_size, _TRAVERSAL), _scaled(sizes[0], _TRAVERSAL)), None
        if name == "matches" and overload.is_member:
            text = _scaled(min(UNKNOWN, target_size + 1), _TRAVERSAL)
            return _times(text, _scaled(sizes[0], _REGEX)), None
        if name in ("bytes", "string") and kinds[0] in ("string", "bytes") and kinds[0] != name:
            size = min(UNKNOWN, sizes[0] * 4) if name == "bytes" else sizes[0]
            return _scaled(sizes[0], _TRAVERSAL), size
        if name == "format" and overload.is_member:
            return _scaled(target_size, _TRAVERSAL), None
        return self._library(node, overload, target, target_size, sizes)

    def _equality(self, node: FunctionCall, sizes: list[int]) -> int:
        types = [arg.type for arg in node.args]
        if types[0] == types[1] and types[0][0] in ("net.IP", "net.CIDR"):
            return 1
        if types[0] == types[1] and types[0][0] == "object":
            name = types[0][1].name
            if name in ("kubernetes.Quantity", "kubernetes.Semver"):
                return 1
        return _scaled(min(sizes), _TRAVERSAL)

    def _library(
        self,
        node: FunctionCall,
        overload: Overload,
        target: _Known,
        target_size: int,
        sizes: list[int],
    ) -> tuple[int, int | None]:
        name = node.function
        if name in ("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"):
            return self._traversal(node, target, target_size), None
        if name in _ONE_STEP or (name == "ip" and overload.is_member):
            return 1, None
        if name in _ONE_READ:
            return _scaled(sizes[0], _TRAVERSAL), sizes[0] if name == "url" else None
        if name in ("lowerAscii", "upperAscii", "substring", "trim"):
            return _scaled(target_size, _TRAVERSAL), target_size
        if name == "replace":
            return _scaled(target_size, 2 * _TRAVERSAL), self._replaced(target_size, node, sizes)
        if name == "split":
            return _scaled(target_size, 2 * _TRAVERSAL), self._pieces(target_size, node)
        if name == "join":
            return self._joined(target, target_size, sizes)
        if name in ("find", "findAll"):
            text = _scaled(min(UNKNOWN, target_size + 1), _TRAVERSAL)
            return _times(text, _scaled(sizes[0], _REGEX)), target_size
        return _reading(name, overload, sizes), None

    def _traversal(self, node: FunctionCall, target: _Known, target_size: int) -> int:
        assert node.target is not None
        if node.target.type[0] != "list":
            return _scaled(target_size, _TRAVERSAL)
        element: Type = node.target.type[1]
        each = 1
        if element[0] in ("string", "bytes"):
            declared = self._declared((*target.path, "@items")) if target.path else None
            each += _scaled(UNKNOWN if declared is None else declared, _TRAVERSAL)
        return _times(target_size, each)

    def _pieces(self, size: int, node: FunctionCall) -> int:
        """Return how many pieces a text may be split into."""
        limit = node.args[1] if len(node.args) > 1 else None
        if isinstance(limit, Const) and isinstance(limit.value, int) and limit.value >= 0:
            return limit.value
        return size

    def _replaced(self, size: int, node: FunctionCall, sizes: list[int]) -> int:
        shortest = len(node.args[0].value) if isinstance(node.args[0], Const) else 0
        if shortest == 0:
            return min(UNKNOWN, _times(min(UNKNOWN, size + 1), sizes[1]) + size)
        if sizes[1] <= shortest:
            return size
        return _times(_cap(math.ceil(size / shortest)), sizes[1])

    def _joined(self, target: _Known, target_size: int, sizes: list[int]) -> tuple[int, int | None]:
        declared = self._declared((*target.path, "@items")) if target.path else None
        total = _times(target_size, UNKNOWN if declared is None else declared)
        if sizes:
            total = min(UNKNOWN, total + _times(max(0, target_size - 1), sizes[0]))
        return _scaled(total, _TRAVERSAL), total


def _reading(name: str, overload: Overload, sizes: list[int]) -> int:
    """Return the cost of a function that reads its argument and returns no text."""
    if name == "ip.isCanonical":
        return _scaled(sizes[0], 2 * _TRAVERSAL)
    if name in ("containsIP", "containsCIDR"):
        extra = 2 + 1 if name == "containsCIDR" else 0
        if overload.args[1][0] == "string":
            extra += _scaled(sizes[0], _TRAVERSAL)
        return _scaled(32, _TRAVERSAL) + extra
    if name == "validate":
        return _scaled(_scaled(sizes[0], _TRAVERSAL), _FORMAT_REGEX * _REGEX)
    return 1


def _is_scalar(found: Type) -> bool:
    if found[0] == "optional_type":
        return _is_scalar(found[1])
    return found[0] in _SCALARS
