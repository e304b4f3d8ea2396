"""Types a CEL tree and finds what can never work: unknown names, fields and overloads.

From: `cel_syntax.parse`. To: evaluation and cost estimation, which read `Expr.type` and
`FunctionCall.overloads`.

Guarantees:
  1. All errors are found, in the order of the text, worded and placed as cel-go does.
  2. A tree without errors has a type on every node.

Thread: one check at a time per `Checker`.
Source: google/cel-go:checker/{checker,types}.go, common/errors.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crlab.cel.declaration import (
    CIDR,
    FORMAT,
    FUNCTIONS,
    IP,
    QUANTITY,
    SEMVER,
    URL,
    Overload,
)
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
    UInt,
)
from crlab.cel.type import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    show_type,
)

TYPE_NAMES: dict[str, Type] = {
    "bool": BOOL, "int": INT, "uint": UINT, "double": DOUBLE, "string": STRING, "bytes": BYTES,
    "null_type": NULL, "list": ("list", DYN), "map": ("map", DYN, DYN), "type": ("type", DYN),
}  # fmt: skip

QUALIFIED_TYPES: dict[str, Type] = {
    "google.protobuf.Timestamp": TIMESTAMP,
    "google.protobuf.Duration": DURATION,
    "net.IP": IP,
    "net.CIDR": CIDR,
    "kubernetes.Quantity": QUANTITY,
    "kubernetes.Semver": SEMVER,
    "kubernetes.URL": URL,
    "kubernetes.NamedFormat": FORMAT,
}


class Checker:
    """Checks one expression; `errors` holds (offset, message)."""

    def __init__(self, variables: Mapping[str, Type]) -> None:
        self._scopes: list[Mapping[str, Type]] = [variables]
        self._bound: dict[str, Type] = {}
        self._fresh = 0
        self.errors: list[tuple[int, str]] = []

    def _error(self, offset: int, message: str) -> Type:
        self.errors.append((offset, message))
        return ERROR

    def check(self, node: Expr) -> Type:
        """Set and return the type of a node and of all below it."""
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
        node.type = handlers[type(node)](node)
        return self.resolve(node.type)

    def settle(self, node: Any) -> None:
        """Replace type parameters by what they were found to be; dyn if nothing was."""
        if isinstance(node, Expr):
            if node.type is None:
                return  # part of a qualified name
            node.type = self._final(node.type)
            for name in node.__slots__ if hasattr(node, "__slots__") else ():
                self.settle(getattr(node, name))
        elif isinstance(node, list | tuple) and not (node and node[0] == "object"):
            for item in node:
                if isinstance(item, Expr | list | tuple):
                    self.settle(item)

    def _final(self, found: Type) -> Type:
        found = self.resolve(found)
        if found[0] == "param":
            return DYN
        if found[0] == "object":
            return found
        return (found[0], *(self._final(part) for part in found[1:]))

    def resolve(self, found: Type) -> Type:
        """Follow bound type parameters."""
        while found[0] == "param" and found[1] in self._bound:
            found = self._bound[found[1]]
        return found

    def _shown(self, found: Type) -> str:
        found = self.resolve(found)
        if len(found) > 1 and found[0] not in ("object", "param"):
            inner = ", ".join(self._shown(part) for part in found[1:])
            return f"{found[0]}({inner})"
        return "dyn" if found[0] == "param" else show_type(found)

    def _parameter(self) -> Type:
        self._fresh += 1
        return ("param", f"_var{self._fresh}")

    # -- nodes

    def _const(self, node: Const) -> Type:
        value = node.value
        if value is None:
            return NULL
        kinds: dict[type, Type] = {
            bool: BOOL, int: INT, UInt: UINT, float: DOUBLE, str: STRING, bytes: BYTES,
        }  # fmt: skip
        return kinds[type(value)]

    def _lookup(self, name: str) -> Type | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return None

    def _ident(self, node: Ident) -> Type:
        found = self._lookup(node.name)
        if found is not None:
            return found
        if node.name in TYPE_NAMES:
            return ("type", TYPE_NAMES[node.name])
        return self._error(node.offset, f"undeclared reference to '{node.name}' (in container '')")

    def _select(self, node: Select) -> Type:
        qualified = _qualified(node)
        if qualified in QUALIFIED_TYPES and self._lookup(qualified.partition(".")[0]) is None:
            return ("type", QUALIFIED_TYPES[qualified])
        operand = self.check(node.operand)
        is_optional = operand[0] == "optional_type"
        target = self.resolve(operand[1]) if is_optional else operand
        found = self._field(node, target)
        if node.is_test:
            return BOOL
        if is_optional or node.is_optional:
            return ("optional_type", found)
        return found

    def _field(self, node: Select, target: Type) -> Type:
        kind = target[0]
        if kind == "map":
            return self.resolve(target[2])
        if kind == "object":
            decl = target[1].fields.get(node.name)
            if decl is None:
                return self._error(node.offset, f"undefined field '{node.name}'")
            found: Type = decl.type
            return found
        if kind in ("dyn", "!error!", "param"):
            return DYN
        shown = self._shown(target)
        return self._error(node.offset, f"type '{shown}' does not support field selection")

    def _call(self, node: FunctionCall) -> Type:
        if node.target is not None:
            qualified = _qualified(node.target)
            name = f"{qualified}.{node.function}"
            root = qualified.partition(".")[0]
            if qualified and name in FUNCTIONS and self._lookup(root) is None:
                node.function, node.target = name, None
        for arg in node.args if node.function == "format" else ():
            if isinstance(arg, ListExpr):
                arg.is_mixed = True
        args = [node.target] if node.target is not None else []
        types = [self.check(arg) for arg in [*args, *node.args]]
        is_member = node.target is not None
        found = FUNCTIONS.get(node.function)
        if found is None:
            message = f"undeclared reference to '{node.function}' (in container '')"
            return self._error(node.offset, message)
        if node.function in ("_==_", "_!=_", "_?_:_", "@in") and ERROR in types:
            return ERROR if node.function == "_?_:_" else BOOL
        return self._overload(node, found, types, member=is_member)

    def _overload(
        self, node: FunctionCall, found: list[Overload], types: list[Type], *, member: bool
    ) -> Type:
        result: Type | None = None
        for overload in found:
            if overload.is_member != member or len(overload.args) != len(types):
                continue
            names: dict[str, Type] = {}
            args = [self._instance(arg, names) for arg in overload.args]
            before = dict(self._bound)
            if not all(self._fits(arg, given) for arg, given in zip(args, types, strict=True)):
                self._bound = before
                continue
            node.overloads.append(overload)
            this = self._instance(overload.result, names)
            if result is None:
                result = this
            elif self._final(result) != self._final(this):
                result = DYN
        if result is None:
            if ERROR in types:
                return ERROR
            shown = [self._shown(given) for given in types]
            listed = f"{shown[0]}.({', '.join(shown[1:])})" if member else f"({', '.join(shown)})"
            message = f"found no matching overload for '{node.function}' applied to '{listed}'"
            return self._error(node.offset, message)
        return result

    def _instance(self, found: Type, names: dict[str, Type]) -> Type:
        if found[0] == "param":
            if found[1] not in names:
                names[found[1]] = self._parameter()
            return names[found[1]]
        if found[0] == "object":
            return found
        return (found[0], *(self._instance(part, names) for part in found[1:]))

    def _fits(self, wanted: Type, given: Type) -> bool:
        """Tell whether a value of type `given` may stand where `wanted` is; binds parameters."""
        wanted, given = self.resolve(wanted), self.resolve(given)
        if wanted == given or "dyn" in (wanted[0], given[0]) or ERROR in (wanted, given):
            return True
        if wanted[0] == "param":
            self._bound[wanted[1]] = given
            return True
        if given[0] == "param":
            self._bound[given[1]] = wanted
            return True
        if wanted[0] == given[0] == "type":
            return True  # types are values of one type
        if given == NULL:
            return wanted[0] in (
                "object",
                "timestamp",
                "duration",
                "optional_type",
                "net.IP",
                "net.CIDR",
            )
        if wanted == NULL:
            return self._fits(given, wanted)
        if wanted[0] != given[0] or len(wanted) != len(given) or wanted[0] == "object":
            return False
        return all(self._fits(one, two) for one, two in zip(wanted[1:], given[1:], strict=True))

    def _joined(self, nodes: list[tuple[Expr, Type]]) -> Type:
        if not nodes:
            return self._parameter()
        first = nodes[0][1]
        for node, given in nodes[1:]:
            if not self._fits(first, given):
                message = f"expected type '{self._shown(first)}' but found '{self._shown(given)}'"
                self._error(node.offset, message)
            elif self.resolve(first) == DYN:
                first = given
        return first

    def _list(self, node: ListExpr) -> Type:
        found = []
        for at, element in enumerate(node.elements):
            given = self.check(element)
            if at in node.optional:
                given = self._unwrapped(element, given)
            found.append((element, given))
        return ("list", DYN if node.is_mixed else self._joined(found))

    def _unwrapped(self, node: Expr, given: Type) -> Type:
        if given[0] == "optional_type":
            return self.resolve(given[1])
        if given[0] in ("dyn", "!error!"):
            return DYN
        shown = self._shown(given)
        message = f"expected type 'optional_type({shown})' but found '{shown}'"
        return self._error(node.offset, message)

    def _map(self, node: MapExpr) -> Type:
        keys, values = [], []
        for key, value, is_optional in node.entries:
            keys.append((key, self.check(key)))
            given = self.check(value)
            values.append((value, self._unwrapped(value, given) if is_optional else given))
        return ("map", self._joined(keys), self._joined(values))

    def _loop(self, node: Loop) -> Type:
        source = self.check(node.source)
        with_two = len(node.names) == 2
        if source[0] == "list":
            variables: tuple[Type, ...] = (INT, source[1]) if with_two else (source[1],)
        elif source[0] == "map":
            variables = (source[1], source[2]) if with_two else (source[1],)
        elif source[0] in ("dyn", "!error!", "param"):
            variables = (DYN,) * len(node.names)
        else:
            shown = self._shown(source)
            message = (
                f"expression of type '{shown}' cannot be range of a comprehension "
                "(must be list, map, or dynamic)"
            )
            return self._error(node.source.offset, message)
        self._scopes.append(dict(zip(node.names, variables, strict=True)))
        try:
            return self._loop_body(node, source, variables)
        finally:
            self._scopes.pop()

    def _loop_body(self, node: Loop, source: Type, variables: tuple[Type, ...]) -> Type:
        if node.condition is not None:
            given = self.check(node.condition)
            if not self._fits(BOOL, given):
                function = {"all": "_&&_", "exists": "_||_"}.get(node.kind, "_?_:_")
                shown = self._shown(given)
                listed = {"_?_:_": f"({shown}, int, int)"}.get(function, f"(bool, {shown})")
                message = f"found no matching overload for '{function}' applied to '{listed}'"
                self._error(node.condition.offset, message)
        body = self.check(node.body) if node.body is not None else DYN
        if node.kind in ("all", "exists", "exists_one"):
            return BOOL
        if node.kind == "filter":
            return ("list", variables[0])
        if node.kind == "map":
            return ("list", body)
        if node.kind == "transformMap":
            return ("map", variables[0], body)
        return body if body[0] == "map" else ("map", DYN, DYN)

    def _bind(self, node: Bind) -> Type:
        target = self.check(node.target)
        wanted = "list" if node.kind == "sortBy" else "optional_type"
        inner: Type = DYN
        if target[0] == wanted:
            inner = self.resolve(target[1])
        elif target[0] not in ("dyn", "!error!", "param"):
            shown = self._shown(target)
            message = f"found no matching overload for '{node.kind}' applied to '{shown}.()'"
            return self._error(node.offset, message)
        self._scopes.append({node.name: inner})
        body = self.check(node.body)
        self._scopes.pop()
        if node.kind == "optMap":
            return ("optional_type", body)
        return target if node.kind == "sortBy" else body


def _qualified(node: Expr) -> str:
    """Return ``a.b.c`` if a node is nothing but names, else ""."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.is_test and not node.is_optional:
        left = _qualified(node.operand)
        return f"{left}.{node.name}" if left else ""
    return ""
