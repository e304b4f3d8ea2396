"""The filter box's language."""

import datetime
import time

import pytest

from crlab.views.filter import FilterError, duration_seconds, glob, parse

ROW = {
    "name": "web-1",
    "phase": "Running",
    "replicas": 3,
    "ok": True,
    "note": None,
    "label.app": "web",
    "paths": (".spec.replicas", ".status.phase"),
    "created": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
}
NOW = datetime.datetime(2026, 1, 1, 0, 10, tzinfo=datetime.UTC).timestamp()


def holds(text: str) -> bool:
    wanted = parse(text)
    return wanted is None or wanted.matches(ROW.__getitem__, ROW.values, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "phase=Running",
        "phase=Pending,Running",
        "phase!=Pending",
        "phase=Run*",
        "phase=*nn*g",
        "name~EB",
        "name!~db",
        "-name~db",
        "!phase=Pending",
        "replicas>2 replicas<=3 replicas=3 replicas=3.0",
        "ok=true",
        "note=",
        "label.app=web,api",
        "running",
        '"Running"',
        "phase='Running'",
        "created>5m",
        "created<1h",
        "created>=2026-01-01",
        "missing!=x",
        "paths=.spec.replicas",
        "paths~status",
        "name=web-1",
    ],
)
def test_these_hold(text: str) -> None:
    """Every operator, on the values it is for."""
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "phase=Pending",
        "phase!=Running",
        "name~db",
        "-phase=Running",
        "replicas>3",
        "missing=x",
        "missing>1",
        "note=x",
        "phase=Runn",
        "phase=*x",
        "created>1h",
        "paths=.spec",
        "nowhere",
        "phase>2",
        "phase=Running phase=Pending",
    ],
)
def test_these_do_not(text: str) -> None:
    """And all words must hold."""
    assert not holds(text)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ('name="x', 5),
        ("=x", 0),
        ("ok=1 >5", 5),
        ("name~", 4),
        ("replicas>many", 8),
        ("x" * 1001, 1000),
    ],
)
def test_a_bad_filter_says_where(text: str, position: int) -> None:
    """The error carries the position."""
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert caught.value.position == position


def test_an_unknown_field_names_the_nearest() -> None:
    """Labels are open, other names are not."""
    wanted = parse("phse=Running label.any=x")
    assert wanted
    with pytest.raises(FilterError, match="nearest: phase"):
        wanted.check(["phase", "name"])


def test_matching_takes_linear_time() -> None:
    """A pattern of a thousand stars over a long text ends at once."""
    started = time.perf_counter()
    assert not glob("a" * 200_000, "*a" * 450 + "*b")
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("1h30m", 5400), ("2d", 172800), ("1.5s", 1.5), ("", None), ("5x", None)],
)
def test_durations(text: str, seconds: float | None) -> None:
    """kubectl's short durations."""
    assert duration_seconds(text) == seconds
