"""Rules for names and labels, in the API server's words."""

from __future__ import annotations

import pytest

from crlab.model.name import dns_1035_label, dns_1123_label, dns_1123_subdomain, label_key
from crlab.model.name import label_value as value
from crlab.model.selector import parse_label_selector

LONG = "a" * 254


@pytest.mark.parametrize("check", [dns_1123_label, dns_1123_subdomain, dns_1035_label])
def test_names_are_measured_in_characters(check) -> None:
    """As recorded of a kube-apiserver 1.36."""
    (fault,) = check(LONG)
    assert fault.startswith("must be no more than ")
    assert fault.endswith(" characters")


def test_labels_are_measured_in_bytes() -> None:
    """Prefix, name and value."""
    assert label_key(f"{LONG}/a") == ["prefix part must be no more than 253 bytes"]
    assert label_key(LONG) == ["name part must be no more than 63 bytes"]
    assert value(LONG) == ["must be no more than 63 bytes"]


def test_a_selector_says_what_metadata_says() -> None:
    """One rule, one sentence."""
    with pytest.raises(Exception, match=r"prefix part must be no more than 253 bytes"):
        parse_label_selector(f"{LONG}/a=b")
