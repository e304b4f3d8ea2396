"""Kubernetes' own CEL libraries: URLs, quantities, addresses, versions, formats, regex.

Thread: immutable values and pure functions.
Source: k8s.io/apiserver/pkg/cel/library/{urls,quantity,ip,cidr,semverlib,format,regex}.go.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import total_ordering
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

from crlab.cel.operator import show
from crlab.cel.string import search
from crlab.cel.value import NONE, CelError, Optional
from crlab.model.name import (
    dns_1035_label,
    dns_1123_label,
    dns_1123_subdomain,
    label_key,
    label_value,
)
from crlab.model.quantity import QuantityError, add_quantities, is_quantity, parse_quantity
from crlab.model.string_format import STRING_FORMATS, is_uri

_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """A number such as 250m or 10Gi."""

    cel_type: ClassVar[str] = "kubernetes.Quantity"
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Url:
    """A parsed URL."""

    cel_type: ClassVar[str] = "kubernetes.URL"
    text: str


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address."""

    cel_type: ClassVar[str] = "net.IP"
    value: ipaddress.IPv4Address | ipaddress.IPv6Address

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Cidr:
    """An IP prefix; the address keeps its host bits."""

    cel_type: ClassVar[str] = "net.CIDR"
    value: ipaddress.IPv4Interface | ipaddress.IPv6Interface

    def __str__(self) -> str:
        return str(self.value)


@total_ordering
@dataclass(frozen=True, slots=True)
class Semver:
    """A semantic version."""

    cel_type: ClassVar[str] = "kubernetes.Semver"
    numbers: tuple[int, int, int]
    pre_release: str = ""

    def _key(self) -> tuple[Any, ...]:
        parts = [
            (0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in self.pre_release.split(".")
        ]
        return (*self.numbers, 0 if self.pre_release else 1, parts)

    def __lt__(self, other: Semver) -> bool:
        return self._key() < other._key()


@dataclass(frozen=True, slots=True)
class Format:
    """A named check of strings."""

    cel_type: ClassVar[str] = "kubernetes.NamedFormat"
    name: str
    check: Callable[[str], list[str]]


def quantity(text: str) -> Quantity:
    """``quantity(text)``."""
    try:
        return Quantity(parse_quantity(text))
    except QuantityError as error:
        raise CelError(error.reason) from None


def _is_integer(value: Quantity) -> bool:
    # The size first: writing 1e2147483647 out as an integer would take hours.
    amount = value.amount
    return -(2**63) <= amount < 2**63 and amount == amount.to_integral_value()


def _as_integer(value: Quantity) -> int:
    if not _is_integer(value):
        raise CelError("cannot convert value to integer")
    return int(value.amount)


def _plus(left: Quantity, right: Quantity | int) -> Quantity:
    amount = right.amount if isinstance(right, Quantity) else Decimal(right)
    return Quantity(add_quantities([left.amount, amount]))


def _minus(left: Quantity, right: Quantity | int) -> Quantity:
    amount = right.amount if isinstance(right, Quantity) else Decimal(right)
    # copy_negate is exact; unary minus rounds to the 28 digits of the default context.
    return Quantity(add_quantities([left.amount, amount.copy_negate()]))


def _compare(left: Any, right: Any) -> int:
    return -1 if left < right else int(right < left)


def url(text: str) -> Url:
    """``url(text)``."""
    if not is_uri(text):
        problem = f'parse "{text}": invalid URI for request'
        raise CelError(f"URL parse error during conversion from string: {problem}")
    return Url(text)


def _is_url(text: str) -> bool:
    return is_uri(text)


def _escaped_path(found: Url) -> str:
    return quote(urlsplit(found.text).path, safe="/%:@!$&'()*+,;=~-._")


def _host(found: Url) -> str:
    return urlsplit(found.text).netloc.rpartition("@")[2]


def _hostname(found: Url) -> str:
    host = _host(found)
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _port(found: Url) -> str:
    host = _host(found)
    tail = host.rpartition("]")[2]
    return tail.rpartition(":")[2] if ":" in tail else ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text)
    if "%" in text:
        raise ValueError("zones are not allowed")
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        raise ValueError("IPv4-mapped IPv6 addresses are not allowed")
    return found


def ip(found: Any) -> Address:
    """``ip(text)`` and ``cidr.ip()``."""
    if isinstance(found, Cidr):
        return Address(found.value.ip)
    try:
        return Address(_address(found))
    except ValueError:
        raise CelError(
            f'IP Address "{found}" parse error during conversion from string: '
            f'ParseAddr("{found}"): unable to parse IP'
        ) from None


def _is_ip(text: str) -> bool:
    try:
        _address(text)
    except ValueError:
        return False
    return True


def cidr(text: str) -> Cidr:
    """``cidr(text)``."""
    if not STRING_FORMATS["cidr"](text) or not _is_ip(text.partition("/")[0]):
        raise CelError(f"network address parse error during conversion from string: {text}")
    return Cidr(ipaddress.ip_interface(text))


def _is_cidr(text: str) -> bool:
    try:
        cidr(text)
    except CelError:
        return False
    return True


def _contains_ip(found: Cidr, address: Any) -> bool:
    other = address if isinstance(address, Address) else ip(address)
    return other.value in found.value.network


def _contains_cidr(found: Cidr, other: Any) -> bool:
    inner = (other if isinstance(other, Cidr) else cidr(other)).value.network
    outer = found.value.network
    if outer.version != inner.version:
        return False
    return bool(inner.subnet_of(outer))  # type: ignore[arg-type]


def semver(text: str, lenient: bool = False) -> Semver:
    """``semver(text)`` and ``semver(text, normalize)``."""
    given = text
    if lenient:
        text = re.sub("^v", "", text.strip())
        head, dash, tail = re.fullmatch(r"([^-+]*)([-+]?)(.*)", text).groups()  # type: ignore[union-attr]
        parts = [part.lstrip("0") or "0" for part in head.split(".")] if head else []
        parts += ["0"] * (3 - len(parts))
        text = ".".join(parts) + dash + tail
    found = _SEMVER.fullmatch(text)
    if found is None:
        why = "No Major.Minor.Patch elements found"
        if given.count(".") >= 2:
            why = "Invalid character(s) found"
        raise CelError(why)
    numeric = [
        found[1],
        found[2],
        found[3],
        *(part for part in (found[4] or "").split(".") if part.isdigit()),
    ]
    for number in numeric:
        # Python refuses to read more than 4300 digits; Go reads an uint64.
        if len(number) > 20 or int(number) >= 2**64:
            raise CelError(f'strconv.ParseUint: parsing "{number}": value out of range')
    return Semver((int(found[1]), int(found[2]), int(found[3])), found[4] or "")


def _is_semver(text: str, lenient: bool = False) -> bool:
    try:
        semver(text, lenient)
    except CelError:
        return False
    return True


def _prefix(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    return lambda text: check(text[:-1] + "a" if text.endswith("-") else text)


def _by_format(name: str, problem: str) -> Callable[[str], list[str]]:
    check = STRING_FORMATS[name]
    return lambda text: [] if check(text) else [problem]


_FORMATS: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": dns_1123_label,
    "dns1123Subdomain": dns_1123_subdomain,
    "dns1035Label": dns_1035_label,
    "qualifiedName": label_key,
    "dns1123LabelPrefix": _prefix(dns_1123_label),
    "dns1123SubdomainPrefix": _prefix(dns_1123_subdomain),
    "dns1035LabelPrefix": _prefix(dns_1035_label),
    "labelValue": label_value,
    "uri": _by_format("uri", "invalid URI"),
    "uuid": _by_format("uuid", "does not match the UUID format"),
    "byte": _by_format("byte", "invalid base64"),
    "date": _by_format("date", "invalid date"),
    "datetime": _by_format("datetime", "invalid datetime"),
}


def _named(name: str) -> Optional:
    check = _FORMATS.get(name)
    return NONE if check is None else Optional(True, Format(name, check))


def _validate(form: Format, text: str) -> Optional:
    errors = form.check(text)
    return Optional(True, errors) if errors else NONE


def _find(text: str, pattern: str) -> str:
    found = search(pattern).search(text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in search(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


def _formats() -> dict[str, Callable[..., Any]]:
    return {
        f"format.{name}": (lambda form: lambda: form)(Format(name, check))
        for name, check in _FORMATS.items()
    }


LIBRARY: dict[str, Callable[..., Any]] = {
    "find": _find,
    "findAll": _find_all,
    "url": url,
    "isURL": _is_url,
    "getScheme": lambda found: urlsplit(found.text).scheme,
    "getHost": _host,
    "getHostname": _hostname,
    "getPort": _port,
    "getEscapedPath": _escaped_path,
    "getQuery": lambda found: parse_qs(urlsplit(found.text).query, keep_blank_values=True),
    "quantity": quantity,
    "isQuantity": is_quantity,
    "sign": lambda value: _compare(value.amount, 0),
    "isInteger": _is_integer,
    "asInteger": _as_integer,
    "asApproximateFloat": lambda value: float(value.amount),
    "isLessThan": lambda left, right: left < right,
    "isGreaterThan": lambda left, right: right < left,
    "compareTo": _compare,
    "add": _plus,
    "sub": _minus,
    "ip": ip,
    "isIP": _is_ip,
    "ip.isCanonical": lambda text: str(ip(text)) == text,
    "family": lambda found: found.value.version,
    "isUnspecified": lambda found: found.value.is_unspecified,
    "isLoopback": lambda found: found.value.is_loopback,
    "isLinkLocalMulticast": lambda found: (
        found.value in ipaddress.ip_network("224.0.0.0/24")
        if found.value.version == 4
        else found.value in ipaddress.ip_network("ff02::/16")
    ),
    "isLinkLocalUnicast": lambda found: found.value.is_link_local,
    "isGlobalUnicast": lambda found: (
        not (
            found.value.is_unspecified
            or found.value.is_loopback
            or found.value.is_multicast
            or found.value.is_link_local
            or str(found.value) == "255.255.255.255"
        )
    ),
    "cidr": cidr,
    "isCIDR": _is_cidr,
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "masked": lambda found: Cidr(ipaddress.ip_interface(str(found.value.network))),
    "prefixLength": lambda found: found.value.network.prefixlen,
    "semver": semver,
    "isSemver": _is_semver,
    "major": lambda version: version.numbers[0],
    "minor": lambda version: version.numbers[1],
    "patch": lambda version: version.numbers[2],
    "format.named": _named,
    "validate": _validate,
    "string": lambda value: str(value) if isinstance(value, Address | Cidr) else show(value),
    **_formats(),
}
