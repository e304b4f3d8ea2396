"""Does a controller end up in the same place whatever happens to it on the way?

From: a controller, and worlds to run it in (forks of one sandbox). To: a report. The clean
run is the oracle: every run with a fault must reach the same end state (liveness) with the
same number of creates and deletes of each object (safety).

A run plays a scenario, change by change, and lets the controller settle after each. When it
crashes, loses an event or restarts on an old list, it is started again, as a process would
be, with empty caches; what it remembered itself is gone.

Thread: the caller's; worlds have a manual driver.
Source: sieve-project/sieve (the oracle).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from crlab.cache import SharedInformer
from crlab.client.list_watch import ListerWatcher
from crlab.controller.controller import Controller
from crlab.controller.informer_like import InformerLike
from crlab.errors import ConfigError, CrlabError, UnknownResource, describe_error
from crlab.model.argument import checked_answer, checked_function
from crlab.model.diff import Change, diff
from crlab.model.plural import counted
from crlab.report.fault_plan import FaultPlan, FaultyListerWatcher

if TYPE_CHECKING:
    import pandas as pd

MAX_ADVANCES = 30
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_VOLATILE = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")

Action = Callable[[Any], Any]


class World(Protocol):
    """A server of its own, moved by hand; a forked `Lab` is one.

    Attributes are those of a lab: `client` (may do everything), `driver` (manual), `clock`
    (stands still), `ids`, `trace`.
    """

    client: Any
    driver: Any
    clock: Any
    ids: Any
    trace: Any

    def close(self) -> object:
        """End it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended.

    Attributes:
        fault: what went wrong on the way.
        has_fired: False if the fault never came about.
        state: the end state: "resource key" → object without what differs in every run.
        creates, deletes: how often the controller made or deleted each object.
        error: why the run did not settle, "" if it did.
    """

    fault: str
    has_fired: bool
    state: dict[str, Any] = field(repr=False)
    creates: Counter[str]
    deletes: Counter[str]
    error: str = ""
    steps: int = 0


@dataclass(frozen=True, slots=True)
class StressVerdict:
    """One faulty run beside the clean one.

    Attributes:
        differences: "resource key path: clean → faulty", [] if the end states agree.
        extra: objects created or deleted more or less often than in the clean run.
    """

    outcome: Outcome
    differences: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def is_ok(self) -> bool:
        """Whether the end was the same, in the same number of creates and deletes."""
        return not self.differences and not self.extra and not self.outcome.error


@dataclass(frozen=True, slots=True)
class StressReport:
    """Every run of a stress test."""

    controller: str
    clean: Outcome
    verdicts: tuple[StressVerdict, ...]
    skipped: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def is_ok(self) -> bool:
        """Whether no run ended differently."""
        return not self.clean.error and all(verdict.is_ok for verdict in self.verdicts)

    @property
    def df(self) -> pd.DataFrame:
        """The runs.

        Shape:
            RangeIndex; fault (str), fired, ok (boolean), differences, extra (list), error
            (str), steps (int64).
        """
        import pandas as pd

        columns = ["fault", "fired", "ok", "differences", "extra", "error", "steps"]
        rows = [
            (
                verdict.outcome.fault,
                verdict.outcome.has_fired,
                verdict.is_ok,
                list(verdict.differences),
                list(verdict.extra),
                verdict.outcome.error,
                verdict.outcome.steps,
            )
            for verdict in self.verdicts
        ]
        dtypes = {"fault": "str", "fired": "boolean", "ok": "boolean", "error": "str"}
        return pd.DataFrame(rows, columns=columns).astype({**dtypes, "steps": "int64"})

    def __str__(self) -> str:
        bad = [verdict for verdict in self.verdicts if not verdict.is_ok]
        runs = counted(len(self.verdicts), "runs")
        lines = [
            f"{self.controller}: {len(self.verdicts) - len(bad)} of {runs} "
            "ended as the clean one did"
            + (f" ({self.skipped} more were not tried)" if self.skipped else "")
        ]
        if self.clean.error:
            lines.append(f"the clean run itself: {self.clean.error}")
        for verdict in bad:
            lines.append(f"- {verdict.outcome.fault}: {verdict.outcome.error or 'differs'}")
            lines += [f"    {text}" for text in (*verdict.differences, *verdict.extra)][:8]
        return "\n".join(lines)

    def __repr__(self) -> str:
        bad = sum(not verdict.is_ok for verdict in self.verdicts)
        return f"<StressReport {self.controller}: {counted(len(self.verdicts), 'runs')}, {bad} bad>"


def stress(
    controller: Controller,
    new_world: Callable[[], World],
    *,
    scenario: Sequence[Action] = (),
    max_runs: int = 60,
    max_steps: int = 500,
) -> StressReport:
    """Run a controller cleanly and once with each fault, and compare the ends.

    Args:
        controller: what to build in each world: its reconcile, sources and settings.
        new_world: opens a fresh world; each time the same.
        scenario: functions of an all-powerful client, done one after the other with the
            controller settling after each; none: what the world holds already.
        max_runs: more faults than this are tried at even distances.
        max_steps: more reconciles than this without a rest are an error of the run.

    Raises:
        ConfigError: the worlds do not have a manual driver, or a part of the scenario is no
            function of a client.
    """
    for action in scenario:
        checked_function(action, "a part of the scenario", ("client",))
    clean_plan = FaultPlan(max_steps=max_steps)
    clean = _play(controller, new_world, scenario, clean_plan)
    plans = _plans(clean_plan, [i.resource.gvr.group_resource for i in controller.informers])
    chosen = _spread(plans, max_runs)
    for plan in chosen:
        plan.max_steps = max_steps
    verdicts = tuple(_judge(clean, _play(controller, new_world, scenario, plan)) for plan in chosen)
    return StressReport(controller.name, clean, verdicts, skipped=len(plans) - len(chosen))


def _plans(clean: FaultPlan, resources: Iterable[str]) -> list[FaultPlan]:
    plans = [FaultPlan(crash_after_write=n) for n in range(1, clean.writes + 1)]
    plans += [FaultPlan(drop_event=n) for n in range(1, clean.events + 1)]
    return plans + [FaultPlan(stale_resource=name) for name in dict.fromkeys(resources)]


def _spread(plans: list[FaultPlan], limit: int) -> list[FaultPlan]:
    if len(plans) <= limit:
        return plans
    return [plans[index * len(plans) // limit] for index in range(limit)]


def _judge(clean: Outcome, outcome: Outcome) -> StressVerdict:
    differences = []
    for name in sorted({*clean.state, *outcome.state}):
        for change in diff(clean.state.get(name), outcome.state.get(name), ignore=()):
            differences.append(f"{name} {_told(change)}")
    extra = [
        f"{verb} {name} ×{ours[name]} (clean: ×{theirs[name]})"
        for verb, ours, theirs in (
            ("created", outcome.creates, clean.creates),
            ("deleted", outcome.deletes, clean.deletes),
        )
        for name in sorted({*ours, *theirs})
        if ours[name] != theirs[name]
    ]
    return StressVerdict(outcome, tuple(differences), tuple(extra))


def _told(change: Change) -> str:
    if change.path == ".":
        return "is only there with the fault" if change.op == "add" else "is missing"
    return str(change)


# -- one run -------------------------------------------------------------------------------


class _Life:
    """One process of the controller in a world."""

    def __init__(self, model: Controller, world: World, plan: FaultPlan) -> None:
        self._world = world
        self._plan = plan
        self._informers = {id(each): self._informer(each) for each in model.informers}
        self.controller = model.twin(
            lambda informer: self._informers[id(informer)],
            client=world.client,
            driver=world.driver,
            clock=world.clock,
            ids=world.ids,
            trace=world.trace,
        )
        self.controller.add_hook(plan)
        for informer in self._informers.values():
            informer.start()

    def _informer(self, model: InformerLike) -> SharedInformer:
        assert isinstance(model, SharedInformer)  # as every informer of a lab is
        world = self._world
        inner = [self._like(each) for each in model.lister_watchers]
        return SharedInformer(
            inner[0] if len(inner) == 1 else inner,
            driver=world.driver,
            clock=world.clock,
            ids=world.ids,
            trace=world.trace,
            list_mode="list",
            idle_timeout_seconds=1e9,  # the clock is moved in long steps here
            name=f"stress-{self._plan.life}-{model.resource.gvr.resource}",
        )

    def _like(self, model: ListerWatcher) -> FaultyListerWatcher:
        inner = self._world.client.lister_watcher(
            model.resource,
            model.namespace,
            getattr(model, "label_selector", ""),
            getattr(model, "field_selector", ""),
        )
        return FaultyListerWatcher(inner, self._plan)

    def settle(self) -> int:
        """Reconcile until nothing is queued; return how many runs it took."""
        steps = advances = 0
        while not self._plan.is_crashed:
            if steps >= self._plan.max_steps:
                raise CrlabError(f"not settled after {steps} reconciles")
            if self.controller.step() is not None:
                steps += 1
                continue
            due = self.controller.queue.next_due_seconds()
            if due is None or advances >= MAX_ADVANCES:
                break
            advances += 1
            self._world.clock.advance(due)
        return steps

    def end(self) -> None:
        """End the process."""
        self.controller.close()
        for informer in self._informers.values():
            informer.stop()


def _play(
    model: Controller,
    new_world: Callable[[], World],
    scenario: Sequence[Action],
    plan: FaultPlan,
) -> Outcome:
    world = new_world()
    steps, error = 0, ""
    try:
        if not world.driver.is_manual:
            raise ConfigError('stress needs worlds that are moved by hand (driver="manual")')
        first = world.trace.last_seq
        life = _Life(model, world, plan)
        try:
            for action in scenario or (lambda client: None,):
                life, more = _settled(model, world, plan, life)
                checked_answer(action(world.client), "a part of the scenario")
                steps += more
            life, more = _settled(model, world, plan, life)
            steps += more
            life, more = _healed(model, world, plan, life)
            steps += more
        except CrlabError as raised:
            if isinstance(raised, ConfigError):
                raise
            error = describe_error(raised)
        life.end()
        resources = {i.resource.gvr.group_resource for i in model.informers}
        creates, deletes = _counts(world, f"controller/{model.name}", first, resources)
        state = _state(world, resources)
    finally:
        world.close()
    return Outcome(str(plan), plan.has_fired, state, creates, deletes, error, steps)


def _settled(model: Controller, world: World, plan: FaultPlan, life: _Life) -> tuple[_Life, int]:
    """Let the controller settle; start it again if it crashed."""
    steps = life.settle()
    while plan.is_crashed:
        life = _restarted(model, world, plan, life)
        steps += life.settle()
    return life, steps


def _healed(model: Controller, world: World, plan: FaultPlan, life: _Life) -> tuple[_Life, int]:
    """Restart once at the end: that is what ends a missed event, and begins a stale list."""
    life = _restarted(model, world, plan, life)
    steps = life.settle()
    if plan.is_holding:
        plan.is_holding = False
        steps += life.settle()
    return life, steps


def _restarted(model: Controller, world: World, plan: FaultPlan, life: _Life) -> _Life:
    life.end()
    plan.is_crashed = False
    plan.life += 1
    return _Life(model, world, plan)


def _counts(
    world: World, actor: str, first: int, resources: set[str]
) -> tuple[Counter[str], Counter[str]]:
    """Count creates and deletes by the controller; `resources` takes in what it created."""
    creates: Counter[str] = Counter()
    deletes: Counter[str] = Counter()
    for record in world.trace.records(after=first):
        if record.kind != "request" or record.get("actor") != actor or record.get("dry_run"):
            continue
        if record.resource in ("events", "events.events.k8s.io"):
            continue
        name = f"{record.resource} {record.key}"
        if record.get("status") == 201 and not record.get("subresource"):
            creates[name] += 1
            resources.add(record.resource)
        elif record.get("verb") == "delete" and record.get("status") in (200, 202):
            deletes[name] += 1
    return creates, deletes


def _state(world: World, resources: set[str]) -> dict[str, Any]:
    state = {}
    for plural in sorted(resources):
        try:
            items = world.client.list(plural)["items"]
        except UnknownResource:
            continue
        for item in items:
            metadata = item["metadata"]
            key = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
            state[f"{plural} {key}"] = _steady(item)
    return state


def _steady(value: object) -> object:
    """Return an object without what differs from run to run."""
    if isinstance(value, dict):
        return {
            name: _steady(item)
            for name, item in value.items()
            if name not in _VOLATILE and name != "observedGeneration"
        }
    if isinstance(value, list):
        return [_steady(item) for item in value]
    if isinstance(value, str):
        return _TIME.sub("T", value)
    return value
