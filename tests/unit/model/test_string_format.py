"""String formats accept what Go's parsers accept."""

from __future__ import annotations

import pytest

from crlab.model.string_format import is_recognized, string_format

GOOD = {
    "date-time": ["2024-02-29T23:59:59Z", "2024-01-01T00:00:00.123+02:00", "2024-01-01t00:00:00z"],
    "date": ["2024-02-29"],
    "duration": ["1h30m", "-1.5s", "0", "22 ns", "5 minutes"],
    "ipv4": ["10.0.0.1"],
    "ipv6": ["::1", "2001:db8::"],
    "cidr": ["10.0.0.1/8", "::/0"],
    "mac": ["00:00:5e:00:53:01", "0000.5e00.5301"],
    "uuid": ["123E4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"],
    "uuid4": ["123e4567-e89b-42d3-a456-426614174000"],
    "email": ["a@b.dev", "Bob <bob@x.dev>"],
    "hostname": ["example.com", "a"],
    "uri": ["https://x.dev/p?q=1", "/abs/path", "mailto:x"],
    "byte": ["aGk=", ""],
    "hexcolor": ["#fff", "00ff00"],
    "rgbcolor": ["rgb(1,2,255)"],
    "isbn": ["0321751043", "978-0321751041"],
    "creditcard": ["4111 1111 1111 1111"],
    "ssn": ["111-11-1111"],
    "bsonobjectid": ["507f1f77bcf86cd799439011"],
    "quantity": ["10Gi", "250m", "-1.5e3"],
    "k8s-short-name": ["a-b"],
    "k8s-long-name": ["a.b.c"],
    "password": ["anything"],
}
BAD = {
    "date-time": ["2023-02-29T00:00:00Z", "2024-01-01", "2024-13-01T00:00:00Z", "nope"],
    "date": ["2023-02-29", "20240101"],
    "duration": ["1 fortnight", "", "5"],
    "ipv4": ["10.0.0", "::1", "01.2.3.4"],
    "ipv6": ["10.0.0.1", "fe80::1%eth0"],
    "cidr": ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/" + "9" * 5000],
    "mac": ["00:00"],
    "uuid": ["123"],
    "uuid4": ["123e4567-e89b-12d3-a456-426614174000"],
    "email": ["a", "a@"],
    "hostname": ["-a", "a..b", ""],
    "uri": ["no scheme", "rel/path", "%zz"],
    "byte": ["a", "a===", "$$$$"],
    "hexcolor": ["#ff"],
    "rgbcolor": ["rgb(1,2,256)"],
    "isbn": ["0321751044"],
    "creditcard": ["4111 1111 1111 1112"],
    "ssn": ["1"],
    "bsonobjectid": ["z"],
    "quantity": ["10gb", "", "\uff11"],
    "k8s-short-name": ["A", "a.b"],
    "k8s-long-name": ["a..b"],
}


@pytest.mark.parametrize("name", sorted(GOOD))
def test_good_values_pass_and_bad_ones_do_not(name: str) -> None:
    """A table per format."""
    check = string_format(name)
    assert check is not None

    assert [text for text in GOOD[name] if not check(text)] == []
    assert [text for text in BAD.get(name, []) if check(text)] == []


def test_recognized_formats_depend_on_the_type() -> None:
    """int32 is one of integers only."""
    assert is_recognized("integer", "int32")
    assert not is_recognized("string", "int32")
    assert not is_recognized("string", "colour")
    assert is_recognized("", "date-time")
