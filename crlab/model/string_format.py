"""The string and number formats that CRD schemas may name, and how each is checked.

A format that is not listed is ignored by validation and warned about when a CRD is written.

Thread: pure functions.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/validation/formats.go,
k8s.io/kube-openapi/pkg/validation/strfmt, Go net, net/mail, net/url and time.
"""

from __future__ import annotations

import base64
import binascii
import functools
import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from crlab.model.name import dns_1123_label, dns_1123_subdomain
from crlab.model.quantity import is_quantity
from crlab.model.timestamp import is_date, is_date_time


def _full(pattern: str, flags: re.RegexFlag = re.ASCII) -> Callable[[str], bool]:
    """Return a check of the whole text; the pattern is compiled when first used."""

    @functools.cache
    def compiled() -> re.Pattern[str]:
        return re.compile(pattern, flags)

    return lambda text: compiled().fullmatch(text) is not None


_UUID = "[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"
_is_card_number = _full(
    r"(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})"
)
_RGB_PART = r"(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])"
_is_rgb = _full(rf"rgb\(\s*{_RGB_PART}\s*,\s*{_RGB_PART}\s*,\s*{_RGB_PART}\s*\)")
_is_go_duration = _full(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
_is_scala_duration = _full(
    r"(?:\d+\s*(?:ns|nanos?|nanoseconds?|us|µs|μs|micros?|microseconds?|ms|millis?|milliseconds?"
    r"|s|secs?|seconds?|m|mins?|minutes?|h|hr|hours?|d|days?|w|weeks?)\s*)+",
    re.IGNORECASE,
)
_is_host_label = _full(
    r"[a-zA-Z0-9\u0080-\uffff](?:[-a-zA-Z0-9\u0080-\uffff]{0,61}[a-zA-Z0-9\u0080-\uffff])?",
    re.NOFLAG,
)
_EMAIL_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\uffff-]+"
_is_mailbox = _full(
    rf"(?:{_EMAIL_ATOM}(?:\.{_EMAIL_ATOM})*|\"[^\"\\\r\n]+\")@{_EMAIL_ATOM}(?:\.{_EMAIL_ATOM})*",
    re.NOFLAG,
)


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def is_cidr(text: str) -> bool:
    """Tell whether Go's net.ParseCIDR accepts the text (host bits may be set)."""
    address, slash, bits = text.partition("/")
    if not slash or not re.fullmatch("0|[1-9][0-9]{0,2}", bits):
        return False
    if _is_ipv4(address):
        return int(bits) <= 32
    return _is_ipv6(address) and int(bits) <= 128


def is_duration(text: str) -> bool:
    """Tell whether Go's time.ParseDuration or a Scala duration parser accepts the text."""
    is_go = text in ("0", "+0", "-0") or _is_go_duration(text)
    return is_go or _is_scala_duration(text)


def _is_byte(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(text) % 4 == 0


def is_uri(text: str) -> bool:
    """Tell whether Go's url.ParseRequestURI accepts the text: a scheme, or an absolute path."""
    if not text or any(char < " " or char == "\x7f" for char in text):
        return False
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    if " " in parts.netloc:
        return False
    if text.startswith("/"):
        return True
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text) is not None and not text.startswith(":")


def _is_email(text: str) -> bool:
    name, opening, rest = text.rpartition("<")
    if opening and rest.endswith(">") and not set(name) & set("<>@"):
        text = rest[:-1]
    return _is_mailbox(text)


def _is_hostname(text: str) -> bool:
    name = text[:-1] if text.endswith(".") else text
    if not name or len(text) > 255:
        return False
    labels = name.split(".")
    is_named = all(_is_host_label(label) for label in labels)
    return is_named and not (len(labels) > 1 and len(labels[-1]) < 2)


def _isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{9}[\dX]", digits, re.ASCII):
        return False
    values = [10 if char == "X" else int(char) for char in digits]
    return sum((10 - at) * value for at, value in enumerate(values)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{13}", digits, re.ASCII):
        return False
    return sum(int(char) * (3 if at % 2 else 1) for at, char in enumerate(digits)) % 10 == 0


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    if not _is_card_number(digits):
        return False
    total = 0
    for at, char in enumerate(reversed(digits)):
        value = int(char) * (2 if at % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_mac_forms = "|".join(
    f"(?:[0-9a-f]{{2}}{sep}){{{count - 1}}}[0-9a-f]{{2}}"
    for sep in (":", "-")
    for count in (6, 8, 20)
)
_mac_dots = "|".join(rf"(?:[0-9a-f]{{4}}\.){{{count - 1}}}[0-9a-f]{{4}}" for count in (3, 4, 10))

STRING_FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _full("[0-9a-fA-F]{24}"),
    "uri": is_uri,
    "email": _is_email,
    "hostname": _is_hostname,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "cidr": is_cidr,
    "mac": _full(f"{_mac_forms}|{_mac_dots}", re.ASCII | re.IGNORECASE),
    "uuid": _full(_UUID % ("[0-9a-f]", "[0-9a-f]"), re.ASCII | re.IGNORECASE),
    "uuid3": _full(_UUID % ("3", "[0-9a-f]"), re.ASCII | re.IGNORECASE),
    "uuid4": _full(_UUID % ("4", "[89ab]"), re.ASCII | re.IGNORECASE),
    "uuid5": _full(_UUID % ("5", "[89ab]"), re.ASCII | re.IGNORECASE),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _is_card,
    "ssn": _full(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _full("#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _is_rgb,
    "byte": _is_byte,
    "password": lambda text: True,
    "date": is_date,
    "duration": is_duration,
    "datetime": is_date_time,
    "quantity": is_quantity,
    "k8sshortname": lambda text: not dns_1123_label(text),
    "k8slongname": lambda text: not dns_1123_subdomain(text),
}


def string_format(name: str) -> Callable[[str], bool] | None:
    """Return the check of a string format, None if Kubernetes does not know it."""
    return STRING_FORMATS.get(name.replace("-", ""))


def is_recognized(schema_type: str, name: str) -> bool:
    """Tell whether Kubernetes checks the format on this type (it warns otherwise)."""
    if schema_type in ("", "string"):
        return string_format(name) is not None
    if schema_type == "integer":
        return name in ("int32", "int64")
    return schema_type == "number" and name in ("float", "double")
