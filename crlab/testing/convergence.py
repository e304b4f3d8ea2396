"""Does a controller come to rest where it should, and stay there?

Level-triggered reconciling has three promises a test can check: it converges, a run that
finds nothing to do writes nothing, and it does not matter how often it runs.

Thread: the caller's; for labs with the manual driver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crlab.errors import ConfigError, CrlabError
from crlab.lab.sandbox import Sandbox
from crlab.model.argument import checked_answer, checked_function
from crlab.model.plural import counted

if TYPE_CHECKING:
    from crlab.lab.lab import Lab
    from crlab.lab.lab_controller import LabController


class NotConverged(CrlabError, AssertionError):
    """A controller did not come to rest where it should."""


@dataclass(frozen=True, slots=True)
class Converged:
    """How it got there.

    Attributes:
        runs: reconciles that were made, retries included.
        writes: requests that changed something.
        seconds: virtual time that was waited for back-offs and requeues.
    """

    runs: int
    writes: int
    seconds: float


def assert_converges(
    lab: Lab,
    controller: LabController,
    holds: Callable[[], object],
    *,
    max_runs: int = 100,
    max_seconds: float = 3600.0,
) -> Converged:
    """Let a controller run until `holds()`, then check that it is at rest.

    Back-offs and requeues are waited for on the lab's own clock, so an hour passes in
    milliseconds.

    Args:
        holds: what should be true in the end.
        max_runs: reconciles that are allowed.
        max_seconds: virtual time that is allowed.

    Returns:
        How many runs and writes it took.

    Raises:
        NotConverged: it ran out of runs or time, one more run at rest still writes, or in the
            end `lab.problems` has something (a handler or mapper that raised, say).
        ConfigError: the lab runs in threads, or `holds` is no plain function.
    """
    checked_function(holds, "what assert_converges() waits for")
    if not lab.driver.is_manual:
        raise ConfigError('assert_converges needs a manual lab: fake_lab(), or driver="manual"')
    runs = writes = 0
    waited = 0.0
    last = ""
    while True:
        lab.settle()
        if controller.queue.peek() is None:
            is_retrying = any(key.attempts for key in controller.queue.snapshot().delayed)
            if checked_answer(holds(), "holds()") and not is_retrying and not controller.given_up:
                break
            pause = _next_due_seconds(controller)
            if pause is None or waited + pause > max_seconds:
                raise NotConverged(_told(controller, "came to rest elsewhere", runs, waited, last))
            lab.advance(pause)
            waited += pause
            continue
        if runs >= max_runs:
            raise NotConverged(_told(controller, "is still busy", runs, waited, last))
        record = controller.step(dry_run=False)
        if record is not None:
            runs += 1
            writes += sum(1 for call in record.writes if not call.error)
            last = f"; last: {record.key}: {record.outcome}"
    _check_rest(lab, controller)
    if problems := lab.problems.rows():
        found = "; ".join(map(str, problems))
        told = _told(controller, "came to rest", runs, waited, last)
        raise NotConverged(f"{told}, but not all is well: {found}")
    return Converged(runs, writes, waited)


def _check_rest(lab: Lab, controller: LabController) -> None:
    """Reconcile every key once more: at rest that changes nothing."""
    informer = next(i for i in lab.informers if i.resource == controller.controller.resource)
    for key in informer.indexer.list_keys():
        before = _revision(lab)
        controller.step(key, dry_run=False)
        after = _revision(lab)
        if after != before:
            raise NotConverged(
                f"{controller.name} still writes at rest: one more run of {key} made "
                f"{counted(after - before, 'changes')}; compare before you write, or use ctx.apply"
            )


def _next_due_seconds(controller: LabController) -> float | None:
    delayed = controller.queue.snapshot().delayed
    return min((key.due_in_seconds for key in delayed), default=None)


def _told(controller: LabController, what: str, runs: int, waited: float, last: str) -> str:
    given_up = controller.given_up
    extra = (
        f"; given up: {', '.join(f'{k} ({e})' for k, e in given_up.items())}" if given_up else ""
    )
    return f"{controller.name} {what} after {counted(runs, 'runs')} and {waited:g} s{last}{extra}"


def _revision(lab: Lab) -> int:
    """Return how far the embedded server is; 0 where the server is somebody else's."""
    return lab.revision if isinstance(lab, Sandbox) else 0
