"""Judging a controller: the least rights it needs, and what faults make of it.

Thread: the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from crlab.model.argument import checked_count, checked_list
from crlab.report.rbac import Rbac, derive_all
from crlab.report.stress import StressReport
from crlab.report.stress import stress as run_stress

if TYPE_CHECKING:
    import pandas as pd

    from crlab.cache import SharedInformer
    from crlab.controller import Controller
    from crlab.trace.record import Trace


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


def least_rights(
    trace: Trace,
    controllers: Sequence[Controller],
    informers: Sequence[SharedInformer],
    **options: Any,
) -> Rbac:
    """Derive the least role from the requests that were really made.

    Raises:
        ConfigError: a controller has not run yet.
    """
    name = "-".join(dict.fromkeys(each.name for each in controllers)) or "reader"
    return derive_all(trace, controllers, informers, name=name, **options)


def stressed(
    controller: Controller,
    fork: Callable[[], Any],
    scenario: Sequence[Callable[[Any], Any]],
    max_runs: int,
) -> Stress:
    """Run a controller once per fault, each in a fork of its sandbox."""
    checked_list(scenario, "scenario", "functions of a client")
    checked_count(max_runs, "max_runs", least=1)
    return Stress(run_stress(controller, fork, scenario=scenario, max_runs=max_runs))
