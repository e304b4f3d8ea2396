"""Events per second."""

import sys

import pytest
from support.frame_rig import thing

from crlab.errors import ConfigError, UnknownColumn
from crlab.frame import Rates
from crlab.runtime.clock import FakeClock
from crlab.trace.record import Trace

NAME = "myservices.example.com"


def scene(count=10, every=0.5, writers="ab", **options):
    clock = FakeClock()
    trace = Trace(clock)
    rates = Rates(trace, clock, NAME, **options)
    trace.append("reflector", "listed", resource=NAME, data={"objects": (thing("a"),)})
    for n in range(1, count + 1):
        clock.advance(every)
        writer = writers[n % len(writers)]
        entry = {"manager": writer, "operation": "Update", "time": f"2026-01-01T00:{n:02}:00Z"}
        metadata = {"managedFields": [entry], "generation": n}
        obj = thing("a", n, spec={"replicas": n % 2}, metadata=metadata)
        data = {"type": "MODIFIED", "object": obj}
        trace.append("reflector", "watch_event", resource=NAME, key=obj.key, data=data)
    return rates, trace, clock


def test_counts_fall_into_bins():
    """Two a second, over five seconds."""
    rates, _, _ = scene()
    frame = rates.frame(window_seconds=6, bin_seconds=2)
    assert frame["MODIFIED"].sum() * 2 == 10
    assert frame.index.name == "time"
    assert str(frame.index.dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("type", ["MODIFIED"]),
        ("kind", [NAME]),
        ("namespace", ["d"]),
        ("key", ["d/a"]),
        ("writer", ["a", "b"]),
    ],
)
def test_every_dimension_counts(by, names):
    """Type, kind, namespace, key and writer."""
    rates, _, _ = scene()
    assert list(rates.frame(by=by).columns) == names
    assert rates.top(by)["events"].sum() == 10


def test_what_the_trace_holds_already_is_counted_once():
    """A chart opened late shows the same."""
    rates, trace, clock = scene()
    late = Rates(trace, clock, NAME)
    assert late.df.to_numpy().sum() == rates.df.to_numpy().sum() == 10


def test_an_empty_window_is_an_empty_frame():
    """Before the first event, and long after the last."""
    clock = FakeClock()
    rates = Rates(Trace(clock), clock)
    assert rates.df.shape == (60, 0)
    assert len(rates.top()) == 0
    assert len(rates.anomalies()) == 0


def test_old_events_are_forgotten_by_halves():
    """Memory is bounded."""
    rates, _, _ = scene(count=50, max_events=20)
    assert rates._total == 0  # nothing is digested before it is asked for
    assert rates.top()["events"].sum() <= 20
    assert rates.total == 50


def test_many_groups_become_other():
    """A chart stays readable."""
    rates, _, clock = scene(0)
    for n in range(30):
        rates.add(clock.now() - 1, "ADDED", NAME, f"d/{n}")
    names, table, _ = rates.counts(by="key", limit=5)
    assert (len(names), names[-1], table.sum()) == (6, "other", 30)


def test_wrong_questions_are_typed_errors():
    """With the nearest dimension."""
    rates, _, _ = scene(0)
    with pytest.raises(UnknownColumn, match="nearest: writer"):
        rates.frame(by="writers")
    for bad in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError):
            rates.frame(window_seconds=bad)


def test_top_looks_back_from_now():
    """Whatever the time: a window that begins with the next bin would be empty."""
    rates, _, clock = scene(count=10, every=1.0)
    clock.advance(20.0)  # a whole number of windows since the epoch
    assert clock.now() % 30 == 0
    assert rates.top("key", window_seconds=30)["events"].to_list() == [10]


def test_a_hot_loop_and_a_fight_are_found():
    """Two writers in turns over one field."""
    rates, _, _ = scene(count=40)
    found = rates.anomalies()
    assert sorted(found["what"]) == ["fight", "hot loop"], "none over the server's own generation"
    fight = found[found["what"] == "fight"].iloc[0]
    assert (fight["path"], fight["writers"]) == (".spec.replicas", ["a", "b"])


def test_a_calm_cluster_has_no_anomalies():
    """One writer, few events."""
    rates, _, _ = scene(count=5, writers="a")
    assert len(rates.anomalies()) == 0


def test_the_figure_uses_no_pyplot_and_survives_hostile_names():
    """`$` is no formula, a leading _ is shown."""
    rates, _, clock = scene()
    for key in ("d/$\\undefined$", "d/_hidden", "d/\x1b[31m"):
        rates.add(clock.now() - 1, "ADDED", NAME, key)
    figure = rates.plot(by="key", title="$\\nope$")
    figure.canvas.draw()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert len(labels) == 4
    assert "matplotlib.pyplot" not in sys.modules


def test_the_figure_shows_itself_in_a_notebook():
    """IPython draws a Figure only after pyplot was imported, which is not done here."""
    rates = Rates(Trace(FakeClock()), FakeClock())
    rates.add(1_767_225_600.0, "ADDED", "pods", "default/a")

    picture = rates.plot()._repr_png_()

    assert picture.startswith(b"\x89PNG")
    assert picture == rates.plot()._repr_png_()
