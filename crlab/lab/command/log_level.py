"""Log lines of a command on stderr, in klog's form: level, date, time, logger, text.

    W1130 23:02:11.123 crlab.controller] controller/web: reconcile default/a: KeyError: 'x'

Logging that the process set up itself (handlers of the root logger, as `basicConfig` makes
one) is used instead, if there is any.

Thread: the main thread, before anything runs.
"""

from __future__ import annotations

import argparse
import logging

LEVELS = ("debug", "info", "warning", "error")


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """Add ``--log-level``."""
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        default="info",
        help="the least that is told on stderr (default info: failures, and ctx.log)",
    )


def tell_on_stderr(level: str) -> None:
    """Show what crlab logs from this level on."""
    handler = logging.StreamHandler()
    form = "%(levelname).1s%(asctime)s.%(msecs)03d %(name)s] %(message)s"
    handler.setFormatter(logging.Formatter(form, datefmt="%m%d %H:%M:%S"))
    handler.addFilter(lambda record: not logging.getLogger().handlers)
    logger = logging.getLogger("crlab")
    logger.setLevel(level.upper())
    logger.handlers = [handler]  # once, however often a process runs commands
