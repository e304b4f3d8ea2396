"""Failures are told: each kind once, as a log line and in `lab.problems`, until it heals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pandas as pd
import pytest
from support.told_failure import CONFIG, SCENARIOS, Switch, controller, touch

import crlab
from crlab.examples import myservice
from crlab.runtime import teller as telling
from crlab.runtime.clock import FakeClock
from crlab.runtime.thread import StageThread
from crlab.testing import NotConverged, assert_converges
from crlab.trace.failure import KINDS, Failures

NUMBER = "[0-9]+"


@pytest.fixture
def lab() -> Iterator[crlab.Lab]:
    """A manual sandbox with one ConfigMap."""
    with crlab.sandbox(seed=0, driver="manual", controllers=["namespace"]) as opened:
        opened.apply(CONFIG)
        yield opened


class Curious(logging.Handler):
    """Looks at everything from another thread: hangs if it is told under a lock."""

    def __init__(self, lab: crlab.Lab) -> None:
        super().__init__()
        self._lab = lab
        self.lines: list[logging.LogRecord] = []
        self.hung: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record)
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        thread.join(5)
        if thread.is_alive():
            self.hung.append(record.getMessage())

    def _look(self) -> None:
        lab = self._lab
        assert lab.problems.df is not None
        lab.trace.append("lab", "looked")
        for informer in lab.informers:
            assert informer.df is not None
            assert informer.status
            assert informer.shared.registrations is not None
        for each in lab.controllers:
            assert each.queue.snapshot()
            assert each.controller.stuck is not None
            assert each.history is not None


@pytest.fixture
def curious(lab: crlab.Lab) -> Iterator[Curious]:
    """Hear what is logged from the level of warnings on."""
    handler = Curious(lab)
    handler.setLevel(logging.WARNING)
    logger = logging.getLogger("crlab")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_failure_is_told_and_leaves_when_it_is_healed(
    lab: crlab.Lab, curious: Curious, name: str
) -> None:
    """A row and a line with who, key and cause; under no lock; gone once it works."""
    scenario = SCENARIOS[name](lab)

    where_told, kind, where, key = next(scenario)
    rows = [(row.kind, row.where, row.key) for row in where_told.problems]
    lines = [record.getMessage() for record in curious.lines]
    list(scenario)

    assert (kind, where, key) in rows
    assert [x for x in lines if x.startswith(f"{where}:") and key in x], lines
    assert all("\n" not in line for line in lines)
    assert not curious.hung
    assert str(where_told.problems) == "no problems"
    assert where_told.problems.df.empty
    assert not where_told.problems


def test_every_kind_has_a_scenario_or_a_test_of_its_own() -> None:
    """A kind that nobody brings about is a kind that nobody knows to be told."""
    own = {"recorder", "credentials", "stuck", "listener"}  # below, and in test_command
    with crlab.sandbox(seed=0, driver="manual", controllers=["namespace"]) as lab:
        lab.apply(CONFIG)
        kinds = set()
        for name, scenario in SCENARIOS.items():
            if name.startswith("a_controller_of") or "informer" in name or "worker" in name:
                continue
            with crlab.sandbox(driver="manual", controllers=["namespace"]) as other:
                other.apply(CONFIG)
                kinds.add(next(scenario(other))[1])

    assert kinds | own | {"informer", "thread"} == set(KINDS)


def test_nothing_is_told_when_all_is_well(lab: crlab.Lab, curious: Curious) -> None:
    """A log that is noisy on good days is not read on bad ones."""
    lab.apply([myservice.CRD, myservice.EXAMPLE])
    lab.informer("pods", indexers={"node": lambda pod: ()})
    reconcile = myservice.controller(lab)
    lab.settle()
    reconcile.run()
    lab.advance(300)
    lab.settle()
    problems = lab.problems

    assert curious.lines == []
    assert (len(problems), str(problems), problems._repr_html_()) == (
        0,
        "no problems",
        "<pre>no problems</pre>",
    )
    assert problems.df.dtypes.astype(str).to_dict() == {
        "since": "datetime64[us, UTC]",
        "time": "datetime64[us, UTC]",
        "kind": "str",
        "where": "str",
        "key": "str",
        "count": "int64",
        "cause": "str",
        "then": "str",
    }
    assert "no rows" in problems.watch().to_text()


def test_a_conflict_that_is_tried_again_is_no_warning(lab: crlab.Lab, curious: Curious) -> None:
    """Two writers take turns: that is how updates work, and what retries are for."""

    def reconcile(request: object, ctx: crlab.Context) -> None:
        ctx.update({**ctx.object.to_dict(), "data": {"n": "9"}})

    made = controller(lab, reconcile)
    lab.faults.conflict("configmaps")
    made.step()
    lab.advance(1)
    made.run()

    assert curious.lines == []
    assert not lab.problems


def test_the_first_traceback_of_a_kind_is_told_and_floods_are_counted(
    lab: crlab.Lab, curious: Curious
) -> None:
    """A hundred keys that fail alike are ten lines, one traceback and a number."""
    for n in range(100):
        lab.apply({**CONFIG, "metadata": {"name": f"c{n}", "namespace": "default"}})
    made = controller(lab, lambda request, ctx: 1 / 0)
    for _ in range(101):
        made.step()
    lines = list(curious.lines)
    lab.advance(telling.WINDOW_SECONDS)
    made.step()

    assert len(lines) == telling.BURST
    assert [bool(line.exc_text) for line in lines] == [True, *[False] * (telling.BURST - 1)]
    assert "ZeroDivisionError" in str(lines[0].exc_text)
    assert "more like it are counted" in lines[-1].getMessage()
    assert curious.lines[-1].getMessage().endswith("… and 91 more like it")
    assert lab.problems.df["key"].nunique() == 101


def test_what_was_only_counted_is_told_at_the_end(lab: crlab.Lab, curious: Curious) -> None:
    """No failure is left out of the log because its controller was closed."""
    made = controller(lab, lambda request, ctx: 1 / 0, max_retries=None)
    for _ in range(13):
        made.step("default/a")
    made.close()

    assert curious.lines[-1].getMessage() == "controller/c: … and 3 more like ZeroDivisionError"
    assert not lab.problems


def test_a_second_fault_at_another_place_has_its_own_traceback(
    lab: crlab.Lab, curious: Curious
) -> None:
    """The same type from another line is another bug."""
    first = [True]

    def reconcile(request: object, ctx: object) -> None:
        if first.pop() if first else False:
            raise ValueError("here")
        raise ValueError("there")

    made = controller(lab, reconcile)
    for _ in range(3):
        made.step()
        lab.advance(1)

    assert [bool(line.exc_text) for line in curious.lines] == [True, True, False]


HOSTILE = "bad\nE0101 forged]\x1b[31m red Authorization: Bearer abcdefghijklmnop \u202eevil"


@pytest.mark.parametrize("shown", ["line", "traceback", "text", "frame", "html", "table"])
def test_no_text_of_a_cluster_forges_a_line_or_shows_a_secret(
    lab: crlab.Lab, curious: Curious, shown: str
) -> None:
    """Whoever can write an object's message does not write our log."""

    def reconcile(request: object, ctx: object) -> None:
        raise RuntimeError(HOSTILE)

    controller(lab, reconcile).step()
    record = curious.lines[0]
    text = {
        "line": record.getMessage,
        "traceback": lambda: str(record.exc_text),
        "text": lambda: str(lab.problems),
        "frame": lambda: lab.problems.df["cause"].iloc[0],
        "html": lab.problems._repr_html_,
        "table": lab.problems.watch().to_text,
    }[shown]()

    assert "abcdefghijklmnop" not in text
    assert "redacted" in text or shown == "table"  # whose cells are short
    assert "\x1b" not in text
    assert "\u202e" not in text
    if shown in ("line", "frame"):
        assert "\n" not in text
        assert "\\nE0101" in text


def test_a_line_for_a_formatter_is_one_line_then_the_traceback(
    lab: crlab.Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """The standard formatter writes what was masked, not the exception itself."""

    def reconcile(request: object, ctx: object) -> None:
        raise RuntimeError("Bearer abcdefghijklmnop")

    controller(lab, reconcile).step()

    assert "controller/c: reconcile default/a: RuntimeError" in caplog.text
    assert "Traceback (most recent call last):\n" in caplog.text
    assert "abcdefghijklmnop" not in caplog.text
    assert caplog.records[0].exc_info is None


def test_a_log_handler_that_raises_breaks_nothing(lab: crlab.Lab) -> None:
    """Whoever tells of a failure is not the next one."""

    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise RuntimeError("no")

    broken = Broken()
    logging.getLogger("crlab").addHandler(broken)
    try:
        record = controller(lab, Switch()).step()
    finally:
        logging.getLogger("crlab").removeHandler(broken)

    assert record is not None
    assert record.outcome.startswith("retry")
    assert len(lab.problems) == 1


def test_a_dry_run_that_fails_leaves_no_problem(lab: crlab.Lab) -> None:
    """Whoever looks by hand has the record; the key is as it was."""
    made = controller(lab, Switch())

    made.step(dry_run=True)

    assert not lab.problems


def test_what_is_closed_has_no_problems(lab: crlab.Lab) -> None:
    """A handler that was removed and a controller that was closed are nobody's any more."""
    informer = lab.informer("configmaps", namespace="default", indexers={"bad": Switch()})
    registration = informer.add_event_handler(on_add=Switch())
    made = controller(lab, Switch(), predicates=[Switch()])
    made.step()
    assert len(lab.problems) == 4
    registration.remove()
    made.close()
    assert [row.kind for row in lab.problems] == ["index"]
    informer.close()

    assert str(lab.problems) == "no problems"


def test_a_relist_forgets_the_index_errors_of_what_is_gone(lab: crlab.Lab) -> None:
    """An object that is no more cannot be missing from an index."""
    lab.informer("configmaps", namespace="default", indexers={"bad": Switch()})
    lab.settle()
    before = len(lab.problems)
    lab.delete("configmaps", "a", "default")
    lab.settle()

    assert (before, len(lab.problems)) == (1, 0)


def test_an_add_that_failed_is_not_healed_by_an_update_nobody_handles(lab: crlab.Lab) -> None:
    """Only a call that returned has healed anything."""
    lab.informer("configmaps", namespace="default").add_event_handler(on_add=Switch(), name="h")
    lab.settle()
    touch(lab)

    assert [row.where for row in lab.problems] == ["handler/h"]


def test_handlers_of_one_name_do_not_heal_each_other(lab: crlab.Lab) -> None:
    """Another informer's object of the same key is another object."""
    lab.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})
    lab.informer("configmaps").add_event_handler(on_add=Switch(), name="h")
    lab.settle()
    other = lab.informer("secrets").add_event_handler(on_add=lambda obj, initial: None, name="h")
    lab.settle()
    found = [(row.where, row.key) for row in lab.problems]
    other.remove()

    assert found == [("handler/h", "default/a")]
    assert len(lab.problems) == 1


def test_the_problems_of_many_rows_are_bounded() -> None:
    """A cluster of failing objects does not fill the memory."""
    failures = Failures(FakeClock())
    for n in range(10_003):
        failures.failed("handler", "handler/h", str(n), "no")

    assert len(failures.rows()) == 10_000
    assert failures.rows()[0].key == "3"


def test_the_doctor_points_to_the_problems(lab: crlab.Lab) -> None:
    """The report that people look at first says where to look next."""
    assert "problems" not in str(crlab.doctor())
    controller(lab, Switch()).step()

    assert "lab.problems says which" in str(crlab.doctor())


@pytest.mark.parametrize(
    ("break_it", "kind"),
    [
        (lambda lab: lab.informer("configmaps").add_event_handler(on_add=Switch()), "handler"),
        (lambda lab: lab.informer("configmaps", indexers={"bad": Switch()}), "index"),
        (lambda lab: lab.as_user("nobody").informer("pods") and None, ""),
    ],
    ids=["handler", "index", "another-lab"],
)
def test_assert_converges_fails_on_a_problem(lab: crlab.Lab, break_it, kind: str) -> None:
    """A controller that rests while its handlers raise has not converged."""
    made = lab.controller("configmaps", name="c")(lambda request, ctx: None)
    break_it(lab)

    if not kind:
        assert assert_converges(lab, made, lambda: True).runs > 0
        return
    with pytest.raises(NotConverged, match=f"not all is well: .*{kind}.*seeded failure"):
        assert_converges(lab, made, lambda: True)


def test_a_thread_that_ends_unseen_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A thread that nobody listens to still has somebody who hears its end."""

    def body() -> None:
        raise ValueError("no")

    thread = StageThread("unseen", body)
    thread.start()
    thread.join(5)

    assert [record.getMessage() for record in caplog.records] == [
        "crlab-unseen ended: ValueError: no"
    ]
    assert "ValueError: no" in str(caplog.records[0].exc_text)


def test_a_fault_of_the_server_is_told(
    lab: crlab.Lab, curious: Curious, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 500 of the embedded server is a bug of ours, and says where."""
    assert lab.server is not None
    with monkeypatch.context() as patch:
        patch.setattr(lab.server, "_answer", Switch())
        with pytest.raises(crlab.CrlabError):
            lab.get("configmaps", "a", "default")

    assert curious.lines[0].name == "crlab.apiserver"
    assert "Traceback" in str(curious.lines[0].exc_text)


def test_problems_have_times_and_counts(lab: crlab.Lab) -> None:
    """Since when, how often, when last."""
    made = controller(lab, Switch())
    made.step()
    lab.advance(5)
    made.step()
    row = lab.problems.df.iloc[0]

    assert row["count"] == 2
    assert row["time"] - row["since"] == pd.Timedelta(seconds=5)
    assert "(2 times)" in str(lab.problems)


def test_in_a_notebook_nothing_is_printed_unless_logging_was_set_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lines of threads would appear below whatever cell runs; `lab.problems` is there to ask."""
    told = []
    monkeypatch.setattr(logging.Logger, "handle", lambda self, record: told.append(record))
    monkeypatch.setattr(telling, "_is_notebook", lambda: True)
    telling.tell("lab", logging.ERROR, "logging is set up")
    monkeypatch.setattr(logging.Logger, "hasHandlers", lambda self: False)
    telling.tell("lab", logging.ERROR, "logging is not set up")

    assert [record.getMessage() for record in told] == ["logging is set up"]
