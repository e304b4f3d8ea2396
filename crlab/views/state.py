"""What a view shows, as small frozen values; what it was asked for, as queries.

From: sources (floor 6 Protocols, adapted from informer, controller and trace). To: the
renderers beside this file. A state is one moment: nothing in it changes afterwards, and
nothing in it can act. All times are wall seconds since the epoch on the lab's clock;
renderers show them in UTC, so that the same state gives the same output everywhere.

Strings come from clusters: they are stored as they are and escaped when rendered.

Thread: immutable values.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crlab.views.filter import Filter

ROWS = 20  # a page
MAX_ROWS = 50  # the widest window a view sends


@dataclass(frozen=True, slots=True)
class StatusState:
    """The header of every view: where this is, what may be done, how fresh it is.

    Attributes:
        place: "sandbox", "cluster", "envtest" or "replay".
        name: context name, seed or file; "" if there is none.
        server: host of the API server, without credentials or secret prefix.
        writable: "" read-only; "all"; or the namespaces that may be written.
        state: starting | live | stale | degraded | failed | gone | stopping | stopped | closed.
        cause: why it is not live, one sentence.
        age_seconds: since when the state holds.
        resource_version: newest one seen, "" if unknown.
        at: the moment the state describes.
        moment: None for now, else the trace seq that is looked at.
    """

    place: str = "sandbox"
    name: str = ""
    server: str = ""
    writable: str = ""
    state: str = "live"
    cause: str = ""
    age_seconds: float | None = None
    resource_version: str = ""
    at: float = 0.0
    moment: int | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the lab behind the view is closed."""
        return self.state == "closed"


# --- live table -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ColumnState:
    """A column's name, and what it holds ("text", "number", "time" or "bool")."""

    name: str
    kind: str = "text"
    description: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the window.

    Attributes:
        cells: one value per column: str, int, float, bool, None, or seconds since the
            epoch for a "time" column.
        mark: "" | "added" | "modified" | "deleted"; what happened lately.
        changed: indices of the cells that changed with it.
        mark_age_seconds: how long ago; marks fade and are left out after some seconds.
    """

    key: str
    cells: tuple[object, ...]
    mark: str = ""
    changed: frozenset[int] = frozenset()
    mark_age_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TableQuery:
    """Which window of which rows. `filter` is parsed; None means all."""

    filter: Filter | None = None
    sort: str = ""
    is_descending: bool = False
    offset: int = 0
    limit: int = ROWS
    moment: int | None = None


@dataclass(frozen=True, slots=True)
class TableState:
    """A window over a table.

    Attributes:
        matching: rows that pass the filter; `total`: all rows.
        filter_error: why the last filter was refused; the rows are of the one before.
        pending: changes since the view was paused.
    """

    title: str
    columns: tuple[ColumnState, ...]
    rows: tuple[Row, ...]
    matching: int
    total: int
    status: StatusState = StatusState()
    offset: int = 0
    sort: str = ""
    is_descending: bool = False
    filter_text: str = ""
    filter_error: str = ""
    is_paused: bool = False
    pending: int = 0


# --- events -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Diff:
    """One field: op "+" added, "-" removed, "~" changed; values as short JSON."""

    op: str
    path: str
    old: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One watch event."""

    seq: int
    at: float
    type: str
    resource: str
    key: str
    resource_version: str = ""
    paths: tuple[str, ...] = ()
    writer: str = ""
    lag_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """Something an event led to: a handler, a queue add, a reconcile, a write."""

    seq: int
    stage: str
    name: str
    detail: str = ""
    lag_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two forms of one object, line by line: op " ", "+", "-" or "~", left, right."""

    left_title: str
    right_title: str
    lines: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class EventDetail:
    """One event, opened."""

    row: EventRow
    diff: tuple[Diff, ...] = ()
    writer: str = ""
    delta: str = ""
    reached: tuple[Reach, ...] = ()
    side_by_side: SideBySide | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class EventsQuery:
    """Which events, newest first; `opened` is the seq of the one to open."""

    filter: Filter | None = None
    offset: int = 0
    limit: int = ROWS
    opened: int | None = None
    left_resource_version: str = ""
    right_resource_version: str = ""
    moment: int | None = None


@dataclass(frozen=True, slots=True)
class EventsState:
    """A window over the stream of watch events, newest first."""

    title: str
    rows: tuple[EventRow, ...]
    matching: int
    total: int
    status: StatusState = StatusState()
    offset: int = 0
    opened: EventDetail | None = None
    filter_text: str = ""
    filter_error: str = ""
    is_paused: bool = False
    pending: int = 0
    dropped: int = 0


# --- rates ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RateQuery:
    """How to count: by "type", "kind", "namespace", "key" or "writer"."""

    by: str = "type"
    window_seconds: float = 60.0
    bin_seconds: float = 1.0
    moment: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of one group, one per bin, oldest first."""

    name: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RateState:
    """Events per bin, stacked; `end` is the wall time at the right edge."""

    title: str
    series: tuple[Series, ...]
    bin_seconds: float
    end: float
    by: str = "type"
    status: StatusState = StatusState()
    note: str = ""


# --- pipeline ---------------------------------------------------------------------------

STAGES = (
    "server",
    "reflector",
    "queue",
    "indexer",
    "handlers",
    "workqueue",
    "reconcile",
    "client",
)


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is in a stage: a delta, an object, a key, a handler."""

    name: str
    detail: str = ""
    mark: str = ""
    due_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StageState:
    """One box.

    Attributes:
        name: one of `STAGES`.
        state: a word for its badge ("watching", "back-off", "idle"), "" for none.
        tone: "" | "good" | "busy" | "warn" | "bad"; the badge's colour and sign.
        count: the number that matters, and `unit` what it counts.
        facts: further (label, value) pairs, at most four.
        items: what is in it, at most `MAX_ROWS`; `total` counts all.
        is_absent: there is no such box here (no controller), it is drawn as an outline.
    """

    name: str
    title: str = ""
    state: str = ""
    tone: str = ""
    count: int | None = None
    unit: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    items: tuple[Item, ...] = ()
    total: int = 0
    thread: str = ""
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class PipelineQuery:
    """Which lane (informer), which box is opened, which moment."""

    lane: str = ""
    selected: str = ""
    moment: int | None = None


@dataclass(frozen=True, slots=True)
class PipelineState:
    """One informer's way from the API server to a reconcile and back.

    Attributes:
        stages: the boxes, in the order of `STAGES`.
        active: names of the boxes that moved last.
        lanes: names of the informers to choose from; `lane` is the one shown.
        sentence: what happened last, in words; `rule`: why, in Kubernetes' terms.
        can: what the source can do: "step", "settle".
    """

    stages: tuple[StageState, ...]
    status: StatusState = StatusState()
    active: tuple[str, ...] = ()
    selected: str = ""
    lane: str = ""
    lanes: tuple[str, ...] = ()
    sentence: str = ""
    rule: str = ""
    steps: int = 0
    can: frozenset[str] = frozenset()


# --- stepper ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QueueState:
    """A workqueue at one moment: keys in order; delayed ones with their countdown."""

    ready: tuple[str, ...] = ()
    processing: tuple[str, ...] = ()
    delayed: tuple[tuple[str, float], ...] = ()
    attempts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class CallState:
    """A read or write that a reconcile made."""

    verb: str
    target: str
    code: int | None = None
    is_write: bool = False
    is_dry_run: bool = False
    is_cached: bool = False
    duration_seconds: float | None = None
    diff: tuple[Diff, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of a reconcile, taken by hand.

    Attributes:
        triggers: why the key was queued, oldest first; all coalesced ones.
        object_text: the object as it was cached, "" if it was gone.
        result: "done", "requeue after 5 s", "error, retry 2 in 0.01 s", ...
        error: the traceback, already trimmed to the user's frames, "" if none.
        log: what the reconcile logged.
        events_back: watch events that its writes brought back.
    """

    number: int
    key: str
    attempt: int = 1
    triggers: tuple[str, ...] = ()
    object_text: str = ""
    calls: tuple[CallState, ...] = ()
    result: str = ""
    error: str = ""
    log: tuple[str, ...] = ()
    events_back: tuple[str, ...] = ()
    before: QueueState = QueueState()
    after: QueueState = QueueState()
    sentence: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class StepperState:
    """A stepper between two steps.

    Attributes:
        step: the last step, None before the first.
        queue: the workqueue now.
        can: of "step", "run", "back", "fork", "dry_run", "conflict", "requeue", "forget";
            the other buttons are switched off.
        breakpoint_error: why the last breakpoint text was refused.
    """

    controller: str
    status: StatusState = StatusState()
    step: StepState | None = None
    history: tuple[tuple[int, str, str], ...] = ()
    queue: QueueState = QueueState()
    is_dry_run: bool = False
    breakpoint: str = ""
    breakpoint_error: str = ""
    can: frozenset[str] = frozenset()


# --- faults and time --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FaultRow:
    """A fault that can be injected; `is_legal`: a real API server may do this too."""

    name: str
    title: str
    description: str = ""
    is_legal: bool = True
    is_active: bool = False
    takes_target: bool = False
    count: int = 0


@dataclass(frozen=True, slots=True)
class FaultState:
    """The fault panel: what can be broken, what was, and what came of it."""

    faults: tuple[FaultRow, ...]
    targets: tuple[str, ...] = ()
    recent: tuple[tuple[float, str], ...] = ()
    status: StatusState = StatusState()


@dataclass(frozen=True, slots=True)
class TimeState:
    """Where the time slider may go and where it is (`seq` None: live).

    Attributes:
        activity: records per equal piece of the range, for the band (about 96 pieces).
        marks: (seq, sentence) of moments worth going to: faults, errors, conflicts.
    """

    first_seq: int
    last_seq: int
    seq: int | None = None
    at: float | None = None
    sentence: str = ""
    status: StatusState = StatusState()
    marks: tuple[tuple[int, str], ...] = ()
    activity: tuple[int, ...] = ()


# --- objects ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a description: pairs, or a small table when `columns` is given."""

    title: str
    pairs: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class DescribeState:
    """One object, readable."""

    kind: str
    key: str
    sections: tuple[Section, ...]
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class TreeNode:
    """An object with what it owns. `tone` as in `StageState`."""

    kind: str
    key: str
    status: str = ""
    tone: str = ""
    children: tuple[TreeNode, ...] = ()
    hidden: int = 0
    facts: tuple[tuple[str, str], ...] = field(default=())
