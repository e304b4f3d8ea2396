"""Sources for views, without any machinery behind them: plain values that a test changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crlab.errors import ConfigError
from crlab.views.filter import Filter, FilterError
from crlab.views.state import (
    CallState,
    ColumnState,
    Diff,
    EventDetail,
    EventRow,
    EventsQuery,
    EventsState,
    FaultRow,
    FaultState,
    Item,
    PipelineQuery,
    PipelineState,
    QueueState,
    RateQuery,
    RateState,
    Reach,
    Row,
    Series,
    SideBySide,
    StageState,
    StatusState,
    StepperState,
    StepState,
    TableQuery,
    TableState,
    TimeState,
)

AT = 1_767_225_600.0


class Fake:
    """Listeners, a status, a text that goes wherever a cluster's string could."""

    def __init__(self, text: str = "web") -> None:
        self.text = text
        self.listeners: list[Callable[[], None]] = []
        self.status = StatusState(name="seed 0", writable="all", resource_version="7", at=AT)
        self.calls: list[tuple[object, ...]] = []
        self.fails: Exception | None = None

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(changed)
        return lambda: self.listeners.remove(changed)

    def changed(self) -> None:
        for listener in list(self.listeners):
            listener()

    def check(self) -> None:
        if self.fails is not None:
            raise self.fails


class FakeTable(Fake):
    """A table of `size` rows with a number that `bump` changes."""

    def __init__(self, text: str = "web", size: int = 3) -> None:
        super().__init__(text)
        self.values = dict.fromkeys((f"default/{text}-{i}" for i in range(size)), 1)
        self.bumped: set[str] = set()

    def bump(self, key: str) -> None:
        self.values[key] += 1
        self.bumped = {key}
        self.changed()

    def table_state(self, query: TableQuery) -> TableState:
        self.check()
        columns = (ColumnState("name", description=self.text), ColumnState("n", "number"))
        keys = sorted(self.values, reverse=query.is_descending)
        if query.filter:
            query.filter.check(("name", "n"))
            keys = [key for key in keys if self._matches(query.filter, key)]
        shown = keys[query.offset : query.offset + query.limit]
        rows = tuple(
            Row(
                key,
                (key.partition("/")[2], self.values[key]),
                "modified" if key in self.bumped else "",
                frozenset({1}),
            )
            for key in shown
        )
        return TableState(
            self.text,
            columns,
            rows,
            len(keys),
            len(self.values),
            self.status,
            query.offset,
            query.sort,
            query.is_descending,
        )

    def _matches(self, wanted: Filter, key: str) -> bool:
        row = {"name": key.split("/")[-1], "n": self.values[key]}
        return wanted.matches(row.__getitem__, lambda: [key])


class FakeEvents(Fake):
    """A stream of two events; either can be opened."""

    def events_state(self, query: EventsQuery) -> EventsState:
        self.check()
        t = self.text
        rows = (
            EventRow(2, AT, "MODIFIED", t, f"default/{t}", "8", (f".spec.{t}",), t, 0.002),
            EventRow(1, AT, "ADDED", t, f"default/{t}", "7", (), t),
        )
        opened = next((row for row in rows if row.seq == query.opened), None)
        detail = None if opened is None else self._detail(opened)
        return EventsState(t, rows, 2, 2, self.status, query.offset, detail)

    def _detail(self, row: EventRow) -> EventDetail:
        t = self.text
        return EventDetail(
            row,
            (Diff("~", f".spec.{t}", t, f"{t}!"), Diff("+", t, "", t), Diff("-", t, t)),
            t,
            t,
            (Reach(3, "handler", t, t, 0.001),),
            SideBySide(f"rv 7 {t}", f"rv 8 {t}", ((" ", t, t), ("~", t, f"{t}!"))),
            f"{t} did it",
        )


class FakeRate(Fake):
    """Counts per second of two groups."""

    def rate_state(self, query: RateQuery) -> RateState:
        self.check()
        series = (Series("MODIFIED", (1, 2, 3)), Series(self.text, (0, 1, 0)))
        return RateState(self.text, series, query.bin_seconds, AT, query.by, self.status, self.text)


class FakePipeline(Fake):
    """Boxes whose queue holds what was not stepped yet."""

    def __init__(self, text: str = "web") -> None:
        super().__init__(text)
        self.left = 3

    def pipeline_state(self, query: PipelineQuery) -> PipelineState:
        self.check()
        t = self.text
        stages = (
            StageState("server", state=t, tone="good", count=7, unit="revision", facts=((t, t),)),
            StageState("reflector", state="watching", tone="good", count=3, unit="watch events"),
            StageState(
                "queue",
                title=f"RealFIFO {t}",
                count=self.left,
                unit=t,
                items=(Item(t, t, "+", 1.0),),
                total=self.left,
                thread=t,
            ),
            StageState("indexer", count=3, unit="objects"),
            StageState("handlers", count=1, unit="handlers", facts=((t, t),)),
        )
        return PipelineState(
            stages,
            self.status,
            ("queue",),
            query.selected,
            query.lane or t,
            (t, "other"),
            f"{t}: {self.left} left",
            t,
            can=frozenset({"step", "settle"}),
        )

    def step(self) -> None:
        self.check()
        self.left = max(0, self.left - 1)
        self.calls.append(("step",))
        self.changed()

    def settle(self) -> None:
        self.check()
        self.left = 0
        self.changed()


class FakeStepper(Fake):
    """A controller with three keys."""

    def __init__(self, text: str = "web") -> None:
        super().__init__(text)
        self.taken = 0
        self.is_dry_run = False
        self.breakpoint = ""
        self.error = ""

    def stepper_state(self) -> StepperState:
        self.check()
        t = self.text
        keys = tuple(f"default/{t}-{i}" for i in range(3))
        queue = QueueState(keys[self.taken :], (), ((f"{t}-late", 2.0),), ((t, 2),))
        step = None
        if self.taken:
            step = StepState(
                self.taken,
                keys[self.taken - 1],
                2,
                (t, f"{t} again"),
                f"kind: {t}\nname: {t}",
                (
                    CallState("get", t, is_cached=True),
                    CallState("update", t, 409, True, diff=(Diff("~", t, t, t),), error=t),
                ),
                f"done {t}",
                self.error and f"{self.error}\n{t}",
                (t,),
                (t,),
                queue,
                queue,
                t,
                t,
            )
        can = {"step", "run", "back", "dry_run", "conflict", "requeue", "forget"}
        history = tuple((i + 1, keys[i], "done") for i in range(self.taken))
        return StepperState(
            t,
            self.status,
            step,
            history,
            queue,
            self.is_dry_run,
            self.breakpoint,
            "",
            frozenset(can),
        )

    def step(self) -> None:
        self.check()
        self.taken = min(3, self.taken + 1)
        self.changed()

    def run(self) -> None:
        self.taken = 3
        self.changed()

    def back(self) -> None:
        self.taken = max(0, self.taken - 1)
        self.changed()

    def fork(self) -> None:
        raise ConfigError(f"nothing to fork in {self.text}")

    def set_dry_run(self, is_dry_run: bool) -> None:
        self.is_dry_run = is_dry_run

    def set_breakpoint(self, text: str) -> None:
        if "!" in text:
            raise ConfigError(f"{text!r} is no breakpoint")
        self.breakpoint = text

    def conflict(self) -> None:
        self.calls.append(("conflict",))

    def requeue(self, key: str) -> None:
        self.calls.append(("requeue", key))

    def forget(self, key: str) -> None:
        self.calls.append(("forget", key))


class FakeFaults(Fake):
    """Two faults."""

    def fault_state(self) -> FaultState:
        self.check()
        t = self.text
        faults = (
            FaultRow("cut_watch", f"Cut the watch {t}", t, takes_target=True, count=1),
            FaultRow("gone", "410 Gone", t, is_legal=False, is_active=True),
        )
        return FaultState(faults, (t,), ((AT, t),), self.status)

    def inject(self, name: str, target: str) -> None:
        self.calls.append(("inject", name, target))
        self.changed()

    def clear(self, name: str) -> None:
        self.calls.append(("clear", name))


class FakeTime(Fake):
    """A trace of a hundred records."""

    def time_state(self, seq: int | None) -> TimeState:
        self.check()
        at = None if seq is None else max(1, min(seq, 100))
        status = replace(self.status, moment=at)
        marks = ((40, self.text),)
        return TimeState(1, 100, at, AT, self.text, status, marks, (1, 5, 2))


def failing(text: str) -> FilterError:
    """Return an error as a source raises it."""
    return FilterError(text)
