"""Judging a controller: the least rights it needs, and what faults make of it.

Thread: the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from crlab.errors import ConfigError
from crlab.model.argument import checked_count, checked_list
from crlab.report.rbac import Rbac, derive_all
from crlab.report.stress import StressReport
from crlab.report.stress import stress as run_stress

if TYPE_CHECKING:
    import pandas as pd

    from crlab.lab.lab import Lab
    from crlab.lab.lab_controller import LabController


class Stress:
    """Every run of a stress test, as sentences and as a frame."""

    def __init__(self, report: StressReport) -> None:
        self.report = report

    @property
    def is_ok(self) -> bool:
        """Whether every run ended as the clean one did."""
        return self.report.is_ok

    @property
    def df(self) -> pd.DataFrame:
        """The runs.

        Shape:
            RangeIndex; fault (str), fired, ok (boolean), differences, extra (list), error
            (str), steps (int64).
        """
        import pandas as pd

        columns = ["fault", "fired", "ok", "differences", "extra", "error", "steps"]
        rows = [[row[name] for name in columns] for row in self.report.rows]
        dtypes = {"fault": "str", "fired": "boolean", "ok": "boolean", "error": "str"}
        return pd.DataFrame(rows, columns=columns).astype({**dtypes, "steps": "int64"})

    def __str__(self) -> str:
        return str(self.report)

    def __repr__(self) -> str:
        return repr(self.report)


def least_rights(lab: Lab, what: Sequence[Any], **options: Any) -> Rbac:
    """Derive the least role from the requests that were really made.

    Raises:
        ConfigError: something that makes no requests, or nothing that does.
    """
    from crlab.lab.informer import Informer
    from crlab.lab.lab_controller import LabController

    for each in what:
        if not isinstance(each, LabController | Informer):
            raise ConfigError(f"rbac() takes controllers and informers, not {each!r}")
    chosen = what or [*(c for c in lab.controllers if c.history), *lab.informers]
    if not chosen:
        raise ConfigError(f"nothing runs in {lab!r}: make an informer or a controller first")
    controllers = [each.controller for each in chosen if isinstance(each, LabController)]
    informers = [each.shared for each in chosen if isinstance(each, Informer)]
    name = "-".join(dict.fromkeys(c.name for c in controllers)) or "reader"
    return derive_all(lab.trace, controllers, informers, name=name, **options)


def stressed(
    lab: Lab,
    controller: LabController,
    scenario: Sequence[Callable[[Any], Any]],
    max_runs: int,
) -> Stress:
    """Run a controller once per fault, each in a fork of this sandbox."""
    if not lab.driver.is_manual:
        raise ConfigError(
            'stress needs a sandbox that stands still: crlab.sandbox(driver="manual")'
        )
    from crlab.lab.lab_controller import LabController

    if not isinstance(controller, LabController):
        raise ConfigError(
            f"stress() takes a controller, as @lab.controller makes it, not {controller!r}"
        )
    checked_list(scenario, "scenario", "functions of a client")
    checked_count(max_runs, "max_runs", least=1)
    return Stress(run_stress(controller.controller, lab.fork, scenario=scenario, max_runs=max_runs))
