"""Say what a recording holds: its resources, its span, and its last frames.

crlab replay session.jsonl.gz
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=20, help="of each frame")


def perform(options: argparse.Namespace) -> int:
    """Replay to the end and print each frame."""
    from crlab.lab.opening import replay

    with replay(options.file) as lab:
        sys.stdout.write(f"{lab!r}\n")
        informers = lab.recorded_informers()
        lab.settle()
        for informer in informers:
            sys.stdout.write(f"\n{informer!r}\n{informer.df.head(options.rows).to_string()}\n")
    return 0
