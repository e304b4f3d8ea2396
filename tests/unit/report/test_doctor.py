"""S40: the self-report says what is dangerous, and holds no secret."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import crlab

TOKEN = "canary-token-5f1d"


@pytest.fixture(autouse=True)
def no_other_lab() -> Iterator[None]:
    """The report is about all open labs."""
    crlab.close_all()
    yield
    crlab.close_all()


def test_a_sandbox_in_this_process_is_well() -> None:
    """The report, line by line, but for the libraries'."""
    crlab.sandbox(seed=0, driver="manual")

    report = str(crlab.doctor()).split("libraries\n")[0].splitlines()

    assert report[0] == "crlab"
    assert report[3:] == [
        "  recordings   redaction profile crlab/1",
        "Lab(sandbox seed=0, writable, 0 informers)",
        "  server       embedded, on no socket",
        "  tls          not needed: in this process",
        "  credentials  none",
        "  writes       everywhere",
        "  redaction    on",
    ]
    assert crlab.doctor().is_well


def test_a_served_sandbox_keeps_its_path() -> None:
    """Who has the path is the administrator; the report may be pasted anywhere."""
    lab = crlab.sandbox()
    secret = lab.url.rstrip("/").rpartition("/")[2]

    report = crlab.doctor()

    assert len(secret) >= 22
    assert secret not in repr(report) + report._repr_html_()
    assert "127.0.0.1" in repr(report)


def test_what_is_dangerous_is_warned_of() -> None:
    """No verification, writes everywhere, secrets on request."""
    lab = crlab.connect(url="https://127.0.0.1:1", token=TOKEN, insecure=True, allow_writes=True)
    crlab.sandbox(driver="manual").informer("secrets", include_secrets=True)

    report = crlab.doctor()

    assert [finding.item for finding in report.warnings] == ["tls", "writes", "redaction"]
    assert "token" in str(report)
    assert TOKEN not in repr(report) + report._repr_html_()
    assert not report.is_well
    lab.close()


def test_a_connection_without_risk_says_how_it_is_proved() -> None:
    """Read-only, verified: nothing to warn of."""
    crlab.connect(url="https://127.0.0.1:1", token=TOKEN)

    report = crlab.doctor()

    assert report.is_well
    assert "verified, 1.2 or newer, by the system authority" in str(report)
    assert "writes       off" in str(report)


def test_every_library_is_held_against_its_lower_bound() -> None:
    """The bounds are those of the package itself, fixed CVEs included (S19, S36)."""
    values = {f.item: f.value for f in crlab.doctor().findings if f.about == "libraries"}

    assert values["urllib3"].endswith("(at least 2.7.0)")
    assert {"kubernetes", "aiohttp", "msgspec", "pandas"} <= values.keys()
    assert not any("extra" in value for value in values.values())


def test_an_old_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """urllib3 2.6 forwards credentials on some redirects (CVE-2026-44432)."""
    from crlab.report import doctor

    monkeypatch.setattr(doctor, "_version", lambda name: "2.6.9")

    assert "older than 2.7.0" in str(crlab.doctor())
