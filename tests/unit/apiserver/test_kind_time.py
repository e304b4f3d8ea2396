"""Times of core kinds: one form in, one form out."""

from __future__ import annotations

import pytest

from crlab.apiserver import ApiServer
from crlab.apiserver.kind.time import TimeFault, normal_time

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"


@pytest.mark.parametrize(
    ("text", "is_micro", "expected"),
    [
        ("2026-01-01T02:00:00+02:00", False, "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.987Z", False, "2026-01-01T00:00:00Z"),
        ("2026-01-01T02:00:00.123456+02:00", True, "2026-01-01T00:00:00.123456Z"),
    ],
)
def test_a_time_is_kept_in_utc(text: str, is_micro: bool, expected: str) -> None:
    """To the second, or to the microsecond."""
    assert normal_time(text, micro=is_micro) == expected


@pytest.mark.parametrize(
    ("text", "is_micro", "fault"),
    [
        ("soon", False, 'as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"'),
        (
            "2026-01-01T00:00:00Z",
            True,
            'as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
        ),
        ("2026-13-01T00:00:00Z", False, ": month out of range"),
        ("2026-02-30T00:00:00Z", False, ": day out of range"),
        ("2026-01-01T00:00:00Zzz", False, ': extra text: "zz"'),
        ("2026-01-01T00:00:00", False, 'cannot parse "" as "Z07:00"'),
    ],
)
def test_what_is_no_time_is_named_as_go_names_it(text: str, is_micro: bool, fault: str) -> None:
    """A MicroTime without six decimals is none: the classic trap of Python's isoformat."""
    with pytest.raises(TimeFault) as caught:
        normal_time(text, micro=is_micro)
    assert str(caught.value).startswith(f'parsing time "{text}"')
    assert fault in str(caught.value)


def test_a_lease_is_renewed_with_six_decimals(api_server: ApiServer) -> None:
    """Item 33."""
    body = {"metadata": {"name": "l"}, "spec": {"renewTime": "2026-01-01T01:00:00.000001+01:00"}}
    _, found = api_server.request("POST", LEASES, body)
    assert found["spec"]["renewTime"] == "2026-01-01T00:00:00.000001Z"
    body["spec"] = {"renewTime": "2026-01-01T00:00:00Z"}
    status, found = api_server.request("POST", LEASES, body)
    assert status == 400
    assert found["message"].startswith('Lease in version "v1" cannot be handled as a Lease: pars')
