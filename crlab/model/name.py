"""Kubernetes' rules for names, label keys and label values, in the API server's words.

From: whoever checks a name: the server, selectors, CEL, string formats. To: nobody.

Thread: pure functions; each returns the list of broken rules, [] if the name is good.
Source: k8s.io/apimachinery/pkg/util/validation (names: limits in "characters"),
pkg/api/validate/content (label keys and values: limits in "bytes").
"""

from __future__ import annotations

import re

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_RE = re.compile(_LABEL)
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_RE = re.compile(_SUBDOMAIN)
_LABEL_1035_RE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_KEY_RE = re.compile(_KEY)
_VALUE = f"({_KEY})?"
_VALUE_RE = re.compile(_VALUE)

_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_KEY_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    f"validation is '{_KEY}')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    f"or '12345', regex used for validation is '{_VALUE}')"
)


def _length_fault(text: str, limit: int, unit: str = "characters") -> list[str]:
    return [f"must be no more than {limit} {unit}"] if len(text) > limit else []


def dns_1123_label(name: str) -> list[str]:
    """Check a lower-case DNS label of up to 63 characters."""
    errors = _length_fault(name, 63)
    if not _LABEL_RE.fullmatch(name):
        is_subdomain = _SUBDOMAIN_RE.fullmatch(name) is not None
        errors.append("must not contain dots" if is_subdomain else _LABEL_TEXT)
    return errors


def dns_1123_subdomain(name: str) -> list[str]:
    """Check a lower-case DNS name of up to 253 characters."""
    return _length_fault(name, 253) + _subdomain_faults(name)


def _subdomain_faults(name: str) -> list[str]:
    return [] if _SUBDOMAIN_RE.fullmatch(name) else [_SUBDOMAIN_TEXT]


def dns_1035_label(name: str) -> list[str]:
    """Check a DNS label that starts with a letter."""
    errors = _length_fault(name, 63)
    return errors if _LABEL_1035_RE.fullmatch(name) else [*errors, _LABEL_1035_TEXT]


def label_key(key: str) -> list[str]:
    """Check a label or annotation key, a qualified name: [prefix/]name."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return [
            f"a qualified name {_KEY_TEXT} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    errors = []
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    elif slash:
        faults = _length_fault(prefix, 253, "bytes") + _subdomain_faults(prefix)
        errors += [f"prefix part {fault}" for fault in faults]
    if not name:
        errors.append("name part must be non-empty")
    errors += [f"name part {fault}" for fault in _length_fault(name, 63, "bytes")]
    if not _KEY_RE.fullmatch(name):
        errors.append(f"name part {_KEY_TEXT}")
    return errors


def label_value(value: str) -> list[str]:
    """Check a label's value."""
    errors = _length_fault(value, 63, "bytes")
    return errors if _VALUE_RE.fullmatch(value) else [*errors, _VALUE_TEXT]


def path_segment(name: str) -> list[str]:
    """Check a name that only has to stand in a path."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{bad}'" for bad in ("/", "%") if bad in name]
