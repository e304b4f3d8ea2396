"""Kubernetes' rules for names and the sentences that explain them.

Thread: pure functions; each returns the list of broken rules, [] if the name is good.
Source: k8s.io/apimachinery/pkg/util/validation.
"""

from __future__ import annotations

import re

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_RE = re.compile(_LABEL)
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_RE = re.compile(_SUBDOMAIN)
_LABEL_1035_RE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_QUALIFIED_RE = re.compile(_QUALIFIED)
_LABEL_VALUE = f"({_QUALIFIED})?"
_LABEL_VALUE_RE = re.compile(_LABEL_VALUE)

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
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    f"validation is '{_QUALIFIED}')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    f"or '12345', regex used for validation is '{_LABEL_VALUE}')"
)


def _at_most(length: int) -> str:
    return f"must be no more than {length} bytes"


def dns_1123_label(name: str) -> list[str]:
    """Check a lower-case DNS label of up to 63 characters."""
    errors = [] if len(name) <= 63 else [_at_most(63)]
    if not _LABEL_RE.fullmatch(name):
        is_subdomain = _SUBDOMAIN_RE.fullmatch(name) is not None
        errors.append("must not contain dots" if is_subdomain else _LABEL_TEXT)
    return errors


def dns_1123_subdomain(name: str) -> list[str]:
    """Check a lower-case DNS name of up to 253 characters."""
    errors = [] if len(name) <= 253 else [_at_most(253)]
    if not _SUBDOMAIN_RE.fullmatch(name):
        errors.append(_SUBDOMAIN_TEXT)
    return errors


def dns_1035_label(name: str) -> list[str]:
    """Check a DNS label that starts with a letter."""
    errors = [] if len(name) <= 63 else [_at_most(63)]
    if not _LABEL_1035_RE.fullmatch(name):
        errors.append(_LABEL_1035_TEXT)
    return errors


def qualified_name(name: str) -> list[str]:
    """Check a label or annotation key: [prefix/]name."""
    prefix, slash, rest = name.rpartition("/")
    errors: list[str] = []
    if slash and "/" in prefix:
        return [
            f"a qualified name {_QUALIFIED_TEXT} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    elif slash:
        errors += [f"prefix part {text}" for text in dns_1123_subdomain(prefix)]
    if not rest:
        errors.append("name part must be non-empty")
    elif len(rest) > 63:
        errors.append(f"name part {_at_most(63)}")
    if not _QUALIFIED_RE.fullmatch(rest):
        errors.append(f"name part {_QUALIFIED_TEXT}")
    return errors


def label_value(value: str) -> list[str]:
    """Check a label's value."""
    errors = [] if len(value) <= 63 else [_at_most(63)]
    if not _LABEL_VALUE_RE.fullmatch(value):
        errors.append(_LABEL_VALUE_TEXT)
    return errors
