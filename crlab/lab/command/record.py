"""Record what happens to some resources into a file, until SIGTERM or SIGINT.

    crlab record session.jsonl.gz pods deployments --namespace default

Secrets are redacted. Open the file with ``crlab.replay(FILE)`` or ``crlab replay FILE``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from crlab.lab.command.log_level import add_log_level, tell_on_stderr
from crlab.model.argument import checked_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", type=Path)
    parser.add_argument("resources", nargs="+", metavar="RESOURCE")
    parser.add_argument("--namespace", help="only this one")
    parser.add_argument("--kubeconfig")
    parser.add_argument("--context")
    parser.add_argument("--url", help="an API server by URL")
    parser.add_argument(
        "--sync-timeout-seconds",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long the first lists may take; 0 is for ever",
    )
    add_log_level(parser)


def perform(options: argparse.Namespace) -> int:
    """Record until a signal comes; 1 if the recorder stopped before."""
    from crlab.lab.command.signals import wait_for_signal
    from crlab.lab.opening import connect

    checked_number(options.sync_timeout_seconds, "--sync-timeout-seconds")
    tell_on_stderr(options.log_level)
    with connect(options.kubeconfig, options.context, url=options.url) as lab:
        recorder = lab.record(options.file)
        for name in options.resources:
            lab.informer(name, namespace=options.namespace)
        lab.wait_for_cache_sync(options.sync_timeout_seconds or None)
        sys.stderr.write(f"recording {', '.join(options.resources)}; Ctrl-C ends it\n")
        wait_for_signal(lambda: bool(stopped(lab)))
        failed = stopped(lab)
        recorder.close()
        sys.stderr.write(f"{options.file}: {recorder!r}\n")
    return 1 if failed else 0


def stopped(lab: Any) -> list[Any]:
    """Return why the recorder writes no more, [] while it does."""
    return [row for row in lab.trace.failures.rows() if row.kind == "recorder"]
