"""What all views share: one line, three forms, commands in order, silence after close."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from support.fake_source import (
    FakeEvents,
    FakeFaults,
    FakePipeline,
    FakeRate,
    FakeStepper,
    FakeTable,
    FakeTime,
)
from support.hostile import PAYLOAD
from support.recorder_comm import Recorder, recorded

from crlab.errors import ConfigError
from crlab.runtime import notebook_cell
from crlab.widgets import display
from crlab.widgets import view as views
from crlab.widgets.event import EventsView
from crlab.widgets.fault import FaultView
from crlab.widgets.pipeline import PipelineView
from crlab.widgets.rate import RateView
from crlab.widgets.stepper import StepperView
from crlab.widgets.table import TableView
from crlab.widgets.time_slider import TimeSliderView
from crlab.widgets.view import View, halved

MAKERS: dict[str, Callable[[], View]] = {
    "table": lambda: TableView(FakeTable(), title="pods"),
    "events": lambda: EventsView(FakeEvents(), title="pods"),
    "rate": lambda: RateView(FakeRate(), title="pods"),
    "pipeline": lambda: PipelineView(FakePipeline(), title="pods"),
    "stepper": lambda: StepperView(FakeStepper(), title="web"),
    "fault": lambda: FaultView(FakeFaults(), title="sandbox"),
    "time": lambda: TimeSliderView(
        FakeTime(), title="sandbox", pipeline=FakePipeline(), table=FakeTable()
    ),
}


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recorded() as made:
        yield made
        views.close_all()


def until(predicate: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for a thread to get there; fails if it does not."""
    end = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < end, "did not happen in time"
        threading.Event().wait(0.01)


@pytest.mark.parametrize("name", MAKERS)
def test_repr_is_one_line_of_its_title(name: str) -> None:
    """The same on every run and in every state."""
    view = MAKERS[name]()
    text = repr(view)
    assert "\n" not in text
    assert text == repr(MAKERS[name]())
    assert text.endswith("View(pods)") or text.endswith("View(web)") or "sandbox" in text


@pytest.mark.parametrize("name", MAKERS)
def test_text_and_html_need_no_front_end(name: str) -> None:
    """Without IPython: text and static HTML, no thread, no widget."""
    view = MAKERS[name]()
    assert "as of 00:00:00Z rv 7" in view.to_text()
    assert "<section" in view.to_html()
    assert view.to_text() == MAKERS[name]().to_text()
    view.show()
    assert not view.is_live


@pytest.mark.parametrize("name", MAKERS)
def test_live_then_closed(name: str, recorder: Recorder) -> None:
    """A live view follows its source; after close nothing is sent and nothing subscribed."""
    view = MAKERS[name]()
    assert view.widget is view.widget
    until(lambda: view._sent.get("body"))
    view.close()
    view.close()
    assert view.is_closed
    assert not view._source.listeners  # type: ignore[attr-defined]
    count = len(recorder.messages)
    view._source.changed()  # type: ignore[attr-defined]
    view.render()
    threading.Event().wait(0.05)
    assert len(recorder.messages) == count
    assert "as of 00:00:00Z" in view.to_text()


def test_only_the_render_thread_writes_panes(recorder: Recorder) -> None:
    """After the first picture, which the cell draws itself."""
    source = FakeTable()
    view = TableView(source, title="pods")
    assert view.widget
    count = len(recorder.messages)
    source.bump("default/web-1")
    until(lambda: ">2<" in view._sent["body"])
    assert {m.thread for m in recorder.messages[count:]} == {"crlab-render"}


def test_many_changes_are_few_messages(recorder: Recorder) -> None:
    """A thousand changes in a second are at most three ticks."""
    source = FakeTable(size=50)
    view = TableView(source, title="pods", limit=50)
    assert view.widget
    count = len(recorder.messages)
    for i in range(1000):
        source.bump(f"default/web-{i % 50}")
        threading.Event().wait(0.001)
    until(lambda: ">21<" in view._sent["body"])
    updates = [m for m in recorder.messages[count:] if m.kind == "comm_msg"]
    assert len(updates) <= 12
    assert max(m.size for m in updates) < 64 * 1024 + 200


def test_equal_pictures_are_not_sent(recorder: Recorder) -> None:
    """A change that shows nothing new sends nothing."""
    source = FakeTable()
    view = TableView(source, title="pods")
    assert view.widget
    until(lambda: view._sent.get("body"))
    count = len(recorder.messages)
    for _ in range(3):
        source.changed()
        assert view.render().messages == 0
    assert len(recorder.messages) == count


def test_a_bad_filter_keeps_the_last_good_rows() -> None:
    """The error stands beside the box, with its place; the rows stay."""
    view = TableView(FakeTable(), title="pods", filter="name=web-1")
    assert view.state().matching == 1
    view.filter.value = "nam=x"
    state = view.state()
    assert state.matching == 1
    assert "nearest: name" in state.filter_error
    assert "nearest: name" in view.to_text()
    view.filter.value = 'name="x'
    assert "not closed" in view.state().filter_error
    view.filter.value = "n=1"
    assert view.state().matching == 3
    assert not view.state().filter_error


def test_pause_holds_the_picture_and_counts() -> None:
    """ "+2 new" while paused, the newest after."""
    source = FakeTable()
    view = TableView(source, title="pods")
    view.pause.value = True
    source.bump("default/web-1")
    source.bump("default/web-1")
    state = view.state()
    assert (state.pending, state.rows[1].cells[1], state.is_paused) == (2, 1, True)
    assert "paused, +2 new" in view.to_text()
    view.pause.value = False
    assert view.state().rows[1].cells[1] == 3
    assert not source.listeners


def test_pages_turn_and_come_back() -> None:
    """And a page whose rows went away is left."""
    source = FakeTable(size=45)
    view = TableView(source, title="pods")
    view.next.click()
    view.next.click()
    assert "rows 41-45 of 45" in view.to_text()
    view.previous.click()
    assert view.state().offset == 20
    for key in list(source.values)[:40]:
        del source.values[key]
    assert "rows 1-5 of 5" in view.to_text()


def test_clicks_run_in_order_on_the_command_thread() -> None:
    """And `to_text` sees them all."""
    source = FakePipeline()
    names: list[str] = []
    step = source.step
    source.step = lambda: (names.append(threading.current_thread().name), step())  # type: ignore
    view = PipelineView(source, title="pods")
    view.step_button.click()
    view.step_button.click()
    assert "1 left" in view.to_text()
    view.settle_button.click()
    assert "0 left" in view.to_text()
    assert names == ["crlab-cmd", "crlab-cmd"]


def test_methods_raise_what_buttons_show() -> None:
    """A button shows the error in the view, the method raises it."""
    view = StepperView(FakeStepper(), title="web")
    view.fork_button.click()
    assert "ConfigError: nothing to fork" in view.to_text()
    with pytest.raises(ConfigError, match="nothing to fork"):
        view.fork()
    view.step()
    assert "nothing to fork" not in view.to_text()
    view.breakpoint.value = "a!"
    assert "is no breakpoint" in view.to_text()


def test_a_reconcile_s_traceback_shows_the_user_s_frames_only() -> None:
    """crlab's own frames are left out."""
    source = FakeStepper()

    def step() -> None:
        raise ValueError(f"<script>{PAYLOAD}</script>")

    source.step = step  # type: ignore[method-assign]
    view = StepperView(source, title="web")
    view.step_button.click()
    text = view.to_text()
    assert "ValueError" in text
    assert "test_view.py" in text
    assert "loop.py" not in text
    assert "<script>" not in view.to_html().replace("<style>", "")


def test_stepper_s_buttons_reach_the_source() -> None:
    """Each does what it says."""
    source = FakeStepper()
    view = StepperView(source, title="web")
    view.step10_button.click()
    assert view.state().step.number == 3
    view.back_button.click()
    view.dry_run.value = True
    for name in ("conflict", "requeue", "forget"):
        getattr(view, f"{name}_button").click()
    view.wait()
    assert (source.taken, source.is_dry_run) == (2, True)
    assert [call[0] for call in source.calls] == ["conflict", "requeue", "forget"]


def test_pressing_a_box_opens_and_closes_it() -> None:
    """The overlay's buttons select."""
    view = PipelineView(FakePipeline(), title="pods")
    view.boxes["queue"].click()
    assert view.state().selected == "queue"
    assert "in RealFIFO web" in view.to_text()
    view.boxes["queue"].click()
    assert view.state().selected == ""


def test_events_open_and_compare() -> None:
    """One event opened shows diff, reach and both objects."""
    view = EventsView(FakeEvents(), title="pods")
    view.opened.value = 2
    text = view.to_text()
    assert "event #2" in text
    assert "~ .spec.web: web → web!" in text
    assert "rv 7 web | rv 8 web" in text


def test_faults_are_injected_by_name() -> None:
    """A wrong name is told with the ones there are."""
    source = FakeFaults()
    view = FaultView(source, title="sandbox")
    view.target.value = "web"
    view.inject_button.click()
    view.clear_button.click()
    view.wait()
    assert source.calls == [("inject", "cut_watch", "web"), ("clear", "")]
    with pytest.raises(ConfigError, match="cut_watch"):
        view.inject("cut_wach")


def test_time_moves_by_box_band_and_button() -> None:
    """Forward, back, to a place of the band, live."""
    view = TimeSliderView(FakeTime(), title="sandbox", pipeline=FakePipeline())
    view.back_button.click()
    assert view.state().time.seq == 99
    view.seq.value = 40
    assert view.state().time.seq == 40
    view._places[0].click()
    assert view.state().time.seq == 1
    view.live_button.click()
    assert view.state().time.seq is None


def test_a_source_that_fails_keeps_the_last_picture() -> None:
    """And says why."""
    source = FakeTable()
    view = TableView(source, title="pods")
    assert view.state().total == 3
    source.fails = RuntimeError("gone <b>")
    assert "gone" in view.to_text()
    assert view.state().total == 3
    assert "gone <b>" not in view.to_html()


def test_a_closed_lab_is_told() -> None:
    """The header says so, in text and HTML."""
    source = FakeTable()
    source.status = source.status.__class__(state="closed")
    view = TableView(source, title="pods")
    assert "closed" in view.to_text()
    assert "This lab is closed" in view.to_html()


def test_running_a_cell_again_closes_its_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in one run stay together; the next run ends both."""
    with recorded():
        monkeypatch.setattr(notebook_cell, "current_cell", lambda: ("cell", "1"))
        first, second = MAKERS["table"](), MAKERS["rate"]()
        assert first.widget
        assert second.widget
        assert first.is_live
        monkeypatch.setattr(notebook_cell, "current_cell", lambda: ("cell", "2"))
        third = MAKERS["table"]()
        assert third.widget
        assert (first.is_closed, second.is_closed, third.is_live) == (True, True, True)
        views.close_all(owner=object())
        assert third.is_live
        views.close_all()
    assert views.open_views() == []


def test_a_view_too_large_is_cut_to_fit() -> None:
    """64 KB a message, however large the cells."""
    source = FakeTable("<" * 60, size=50)
    view = TableView(source, title="pods", limit=50)
    view._lock.acquire()
    try:
        assert len(view._fitted(view._current())) <= 64 * 1024
    finally:
        view._lock.release()
    assert halved(3) is None


def test_display_mode_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And refuses what it does not know."""
    for mode in ("widget", "html", "text"):
        monkeypatch.setenv("CRLAB_DISPLAY", mode)
        assert display.display_mode() == mode
    monkeypatch.setenv("CRLAB_DISPLAY", "fancy")
    with pytest.raises(ConfigError, match="auto, widget, html or text"):
        display.display_mode()
    monkeypatch.delenv("CRLAB_DISPLAY")
    assert display.display_mode() == "text"


def test_views_import_no_widgets() -> None:
    """Text and HTML of a view load neither ipywidgets nor IPython."""
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from support.fake_source import FakeTable\n"
        "from crlab.widgets.table import TableView\n"
        "TableView(FakeTable(), title='x').to_html()\n"
        "print([m for m in ('ipywidgets','IPython','pandas','matplotlib') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ran.stdout.strip() == "[]", ran.stderr
