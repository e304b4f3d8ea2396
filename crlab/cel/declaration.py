"""Every function and operator of Kubernetes' CEL environment, with its overloads.

Written as ``name(argument, …) result``; a member function as ``target.name(argument, …) result``;
A and B are type parameters.

Thread: constants.
Source: google/cel-go:common/stdlib and ext, k8s.io/apiserver/pkg/cel/{library,environment}.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from crlab.cel.type import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    ObjectType,
    Type,
)

QUANTITY: Type = ("object", ObjectType("kubernetes.Quantity"))
URL: Type = ("object", ObjectType("kubernetes.URL"))
SEMVER: Type = ("object", ObjectType("kubernetes.Semver"))
FORMAT: Type = ("object", ObjectType("kubernetes.NamedFormat"))
IP: Type = ("net.IP",)
CIDR: Type = ("net.CIDR",)

_NAMED: dict[str, Type] = {
    "bool": BOOL, "int": INT, "uint": UINT, "double": DOUBLE, "string": STRING, "bytes": BYTES,
    "null": NULL, "dyn": DYN, "timestamp": TIMESTAMP, "duration": DURATION,
    "quantity": QUANTITY, "url": URL, "semver": SEMVER, "format": FORMAT, "ip": IP, "cidr": CIDR,
}  # fmt: skip


@dataclass(frozen=True)
class Overload:
    """One signature; the target of a member function is the first of `args`."""

    args: tuple[Type, ...]
    result: Type
    is_member: bool


_ORDERED = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
_NUMBERS = ("int", "uint", "double")
_CROSS = [(left, right) for left in _NUMBERS for right in _NUMBERS if left != right]

_TABLE = [
    *(f"{op}(bool, bool) bool" for op in ("_&&_", "_||_")),
    "!_(bool) bool",
    "_?_:_(bool, A, A) A",
    *(f"{op}(A, A) bool" for op in ("_==_", "_!=_")),
    *(
        f"{op}({kind}, {kind}) bool"
        for op in ("_<_", "_<=_", "_>_", "_>=_")
        for kind in _ORDERED
    ),
    *(
        f"{op}({left}, {right}) bool"
        for op in ("_<_", "_<=_", "_>_", "_>=_")
        for left, right in _CROSS
    ),
    *(f"_+_({kind}, {kind}) {kind}" for kind in ("int", "uint", "double", "string", "bytes")),
    "_+_(list<A>, list<A>) list<A>",
    "_+_(timestamp, duration) timestamp",
    "_+_(duration, timestamp) timestamp",
    "_+_(duration, duration) duration",
    *(f"_-_({kind}, {kind}) {kind}" for kind in (*_NUMBERS, "duration")),
    "_-_(timestamp, timestamp) duration",
    "_-_(timestamp, duration) timestamp",
    *(f"{op}({kind}, {kind}) {kind}" for op in ("_*_", "_/_") for kind in _NUMBERS),
    "_%_(int, int) int",
    "_%_(uint, uint) uint",
    "-_(int) int",
    "-_(double) double",
    "_[_](list<A>, int) A",
    "_[_](map<A, B>, A) B",
    "_[_](optional_type<list<A>>, int) optional_type<A>",
    "_[_](optional_type<map<A, B>>, A) optional_type<B>",
    "_[?_](list<A>, int) optional_type<A>",
    "_[?_](map<A, B>, A) optional_type<B>",
    "_[?_](optional_type<list<A>>, int) optional_type<A>",
    "_[?_](optional_type<map<A, B>>, A) optional_type<B>",
    "@in(A, list<A>) bool",
    "@in(A, map<A, B>) bool",
    *(f"size({kind}) int" for kind in ("string", "bytes", "list<A>", "map<A, B>")),
    *(f"{kind}.size() int" for kind in ("string", "bytes", "list<A>", "map<A, B>")),
    "type(A) type<A>",
    "dyn(A) dyn",
    *(f"int({kind}) int" for kind in ("int", "uint", "double", "string", "timestamp", "duration")),
    *(f"uint({kind}) uint" for kind in ("int", "uint", "double", "string")),
    *(f"double({kind}) double" for kind in ("int", "uint", "double", "string")),
    *(
        f"string({kind}) string"
        for kind in ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
    ),
    "bytes(bytes) bytes",
    "bytes(string) bytes",
    "bool(bool) bool",
    "bool(string) bool",
    *(f"timestamp({kind}) timestamp" for kind in ("timestamp", "string", "int")),
    *(f"duration({kind}) duration" for kind in ("duration", "string")),
    *(f"string.{name}(string) bool" for name in ("contains", "startsWith", "endsWith", "matches")),
    "matches(string, string) bool",
    *(
        f"timestamp.{name}({zone}) int"
        for name in (
            "getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek",
            "getHours", "getMinutes", "getSeconds", "getMilliseconds",
        )
        for zone in ("", "string")
    ),
    *(
        f"duration.{name}() int"
        for name in ("getHours", "getMinutes", "getSeconds", "getMilliseconds")
    ),
    # optionals
    "optional.of(A) optional_type<A>",
    "optional.ofNonZeroValue(A) optional_type<A>",
    "optional.none() optional_type<A>",
    "optional.unwrap(list<optional_type<A>>) list<A>",
    "list<optional_type<A>>.unwrapOpt() list<A>",
    "optional_type<A>.hasValue() bool",
    "optional_type<A>.value() A",
    "optional_type<A>.or(optional_type<A>) optional_type<A>",
    "optional_type<A>.orValue(A) A",
    "list<A>.first() optional_type<A>",
    "list<A>.last() optional_type<A>",
    # strings
    "string.charAt(int) string",
    *(f"string.{name}(string{more}) int" for name in ("indexOf", "lastIndexOf")
      for more in ("", ", int")),
    "list<string>.join() string",
    "list<string>.join(string) string",
    *(f"string.{name}() string" for name in ("lowerAscii", "upperAscii", "trim")),
    "strings.quote(string) string",
    "string.replace(string, string) string",
    "string.replace(string, string, int) string",
    "string.split(string) list<string>",
    "string.split(string, int) list<string>",
    "string.substring(int) string",
    "string.substring(int, int) string",
    "string.format(list<dyn>) string",
    "string.find(string) string",
    "string.findAll(string) list<string>",
    "string.findAll(string, int) list<string>",
    # lists
    *(f"list<{kind}>.isSorted() bool" for kind in _ORDERED),
    *(f"list<{kind}>.sum() {kind}" for kind in (*_NUMBERS, "duration")),
    *(f"list<{kind}>.{name}() {kind}" for name in ("min", "max") for kind in _ORDERED),
    "list<A>.indexOf(A) int",
    "list<A>.lastIndexOf(A) int",
    "list<A>.slice(int, int) list<A>",
    "list<A>.flatten() list<dyn>",
    "list<A>.flatten(int) list<dyn>",
    *(f"list<{kind}>.sort() list<{kind}>" for kind in _ORDERED),
    "list<A>.distinct() list<A>",
    "list<A>.reverse() list<A>",
    "lists.range(int) list<int>",
    # sets
    *(f"sets.{name}(list<A>, list<A>) bool" for name in ("contains", "equivalent", "intersects")),
    # URLs
    "url(string) url",
    "isURL(string) bool",
    *(f"url.{name}() string" for name in
      ("getScheme", "getHost", "getHostname", "getPort", "getEscapedPath")),
    "url.getQuery() map<string, list<string>>",
    # quantities
    "quantity(string) quantity",
    "isQuantity(string) bool",
    "quantity.sign() int",
    "quantity.isInteger() bool",
    "quantity.asInteger() int",
    "quantity.asApproximateFloat() double",
    *(f"quantity.{name}(quantity) bool" for name in ("isLessThan", "isGreaterThan")),
    "quantity.compareTo(quantity) int",
    *(f"quantity.{name}({kind}) quantity" for name in ("add", "sub")
      for kind in ("quantity", "int")),
    # addresses
    "ip(string) ip",
    "isIP(string) bool",
    "ip.isCanonical(string) bool",
    "ip.family() int",
    *(f"ip.{name}() bool" for name in
      ("isUnspecified", "isLoopback", "isLinkLocalMulticast", "isLinkLocalUnicast",
       "isGlobalUnicast")),
    "cidr(string) cidr",
    "isCIDR(string) bool",
    *(f"cidr.containsIP({kind}) bool" for kind in ("ip", "string")),
    *(f"cidr.containsCIDR({kind}) bool" for kind in ("cidr", "string")),
    "cidr.ip() ip",
    "cidr.masked() cidr",
    "cidr.prefixLength() int",
    "string(ip) string",
    "string(cidr) string",
    # formats
    *(f"format.{name}() format" for name in
      ("dns1123Label", "dns1123Subdomain", "dns1035Label", "qualifiedName", "dns1123LabelPrefix",
       "dns1123SubdomainPrefix", "dns1035LabelPrefix", "labelValue", "uri", "uuid", "byte",
       "date", "datetime")),
    "format.named(string) optional_type<format>",
    "format.validate(string) optional_type<list<string>>",
    # versions
    "semver(string) semver",
    "semver(string, bool) semver",
    "isSemver(string) bool",
    "isSemver(string, bool) bool",
    *(f"semver.{name}() int" for name in ("major", "minor", "patch")),
    *(f"semver.{name}(semver) bool" for name in ("isLessThan", "isGreaterThan")),
    "semver.compareTo(semver) int",
]  # fmt: skip

_NAMESPACES = frozenset({"optional", "strings", "lists", "sets"})
# these words are types in front of some names and namespaces in front of others
_STATIC = frozenset({"ip.isCanonical", "format.named"})


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "<") - (char == ">")
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def _type(text: str) -> Type:
    name, _, inner = text.partition("<")
    if inner:
        return (name, *(_type(part) for part in _split(inner[:-1])))
    return _NAMED.get(name) or ("param", name)


def _declare() -> dict[str, list[Overload]]:
    found: dict[str, list[Overload]] = {}
    for line in _TABLE:
        match = re.fullmatch(r"(?:(.+?)\.)?([^.()]+|_\[\??_\]|_\?_:_)\((.*)\) (.+)", line)
        assert match is not None, line
        target, name, args, result = match[1], match[2], match[3], match[4]
        parts = [_type(part) for part in _split(args)]
        is_static = target in _NAMESPACES or f"{target}.{name}" in _STATIC
        is_static = is_static or (target == "format" and name != "validate")
        if target and is_static:
            name = f"{target}.{name}"
        elif target:
            parts.insert(0, _type(target))
        is_member = bool(target) and not is_static
        found.setdefault(name, []).append(Overload(tuple(parts), _type(result), is_member))
    return found


FUNCTIONS = _declare()
