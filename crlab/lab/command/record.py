"""Record what happens to some resources into a file, until SIGTERM or SIGINT.

    crlab record session.jsonl.gz pods deployments --namespace default

Secrets are redacted. Open the file with ``crlab.replay(FILE)`` or ``crlab replay FILE``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", type=Path)
    parser.add_argument("resources", nargs="+", metavar="RESOURCE")
    parser.add_argument("--namespace", help="only this one")
    parser.add_argument("--kubeconfig")
    parser.add_argument("--context")
    parser.add_argument("--url", help="an API server by URL")


def perform(options: argparse.Namespace) -> int:
    """Record until a signal comes."""
    from crlab.lab.command.signals import wait_for_signal
    from crlab.lab.opening import connect

    with connect(options.kubeconfig, options.context, url=options.url) as lab:
        recorder = lab.record(options.file)
        for name in options.resources:
            lab.informer(name, namespace=options.namespace)
        lab.wait_for_cache_sync(30.0)
        sys.stderr.write(f"recording {', '.join(options.resources)}; Ctrl-C ends it\n")
        wait_for_signal()
        recorder.close()
        sys.stderr.write(f"{options.file}: {recorder!r}\n")
    return 0
