"""What label keys and values may look like, in the API server's words.

Thread: pure functions.
Source: kubernetes/apimachinery:pkg/util/validation, pkg/api/validate/content.
"""

from __future__ import annotations

import string

_ALNUM = frozenset(string.ascii_letters + string.digits)
_NAME_CHARS = _ALNUM | frozenset("-_.")
_LABEL_CHARS = frozenset(string.ascii_lowercase + string.digits + "-")

_NAME_RULE = (
    "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
    "'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def _is_name(text: str) -> bool:
    return bool(text) and text[0] in _ALNUM and text[-1] in _ALNUM and _NAME_CHARS.issuperset(text)


def _is_subdomain(text: str) -> bool:
    return all(
        part and part[0] != "-" and part[-1] != "-" and _LABEL_CHARS.issuperset(part)
        for part in text.split(".")
    )


def label_key_faults(key: str) -> list[str]:
    """Return why `key` is not a label key, in the server's words; [] if it is one."""
    faults = []
    prefix, slash, name = key.partition("/")
    if "/" in name:
        return [
            f"a qualified name must consist of {_NAME_RULE} with an optional DNS subdomain prefix "
            "and '/' (e.g. 'example.com/MyName')"
        ]
    if not slash:
        name = key
    elif not prefix:
        faults.append("prefix part must be non-empty")
    else:
        if len(prefix) > 253:
            faults.append("prefix part must be no more than 253 characters")
        if not _is_subdomain(prefix):
            faults.append(f"prefix part {_SUBDOMAIN_RULE}")
    if not name:
        faults.append("name part must be non-empty")
    elif len(name) > 63:
        faults.append("name part must be no more than 63 bytes")
    if not _is_name(name):
        faults.append(f"name part must consist of {_NAME_RULE}")
    return faults


def label_value_faults(value: str) -> list[str]:
    """Return why `value` is not a label value, in the server's words; [] if it is one."""
    faults = []
    if len(value) > 63:
        faults.append("must be no more than 63 bytes")
    if value and not _is_name(value):
        faults.append(_VALUE_RULE)
    return faults
