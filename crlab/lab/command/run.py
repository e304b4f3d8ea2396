"""Run a controller as a process: ``crlab run module:controller``.

`module` is imported (the working folder comes first on the path); `controller` is what
``@lab.controller(...)`` made, or a function that takes a lab and returns one. Ends on
SIGTERM and SIGINT: the runs in hand are finished, the rest stays queued on the server.

Failures are told on stderr as they happen, one line each: keys that fail or are given up,
informers that are refused or do not sync, handlers that raise; and what `ctx.log` says. A
key that is given up ends nothing: others go on, and it is tried again when it changes.
Caches that do not sync within --sync-timeout-seconds end it with 1 and the reason.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

from crlab.errors import ConfigError
from crlab.lab.command.log_level import add_log_level, tell_on_stderr
from crlab.model.argument import checked_function, checked_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("target", metavar="MODULE:NAME")
    parser.add_argument("--workers", type=int, default=1, help="keys at a time")
    parser.add_argument("--kubeconfig", help="for a function; default: as crlab.connect()")
    parser.add_argument("--context")
    parser.add_argument("--url", help="an API server by URL, as `crlab serve` prints it")
    parser.add_argument(
        "--allow-writes",
        action="append",
        default=[],
        metavar="NAMESPACE",
        help='where the controller may write; "*" is everywhere. Repeatable',
    )
    parser.add_argument("--stop-timeout", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument(
        "--sync-timeout-seconds",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long its caches may take to sync before it gives up; 0 is for ever",
    )
    add_log_level(parser)


def perform(options: argparse.Namespace) -> int:
    """Run until a signal comes; 1 if the controller failed."""
    from crlab.lab.command.signals import wait_for_signal

    checked_number(options.sync_timeout_seconds, "--sync-timeout-seconds")
    tell_on_stderr(options.log_level)
    controller, lab = load(options)
    controller.controller.pool.sync_timeout_seconds = options.sync_timeout_seconds or None
    controller.start(workers=options.workers)
    sys.stderr.write(f"{controller!r} runs in {lab!r}; SIGTERM or Ctrl-C ends it\n")
    try:
        wait_for_signal(lambda: controller.controller.error is not None)
        if controller.controller.error is not None:
            sys.stderr.write(f"the controller failed: {controller.controller.error}\n")
        controller.stop()
        left = controller.join(options.stop_timeout)
        if left:
            sys.stderr.write(f"still running, abandoned: {', '.join(left)}\n")
    finally:
        lab.close()
    return 1 if controller.controller.error is not None or left else 0


def load(options: argparse.Namespace) -> tuple[Any, Any]:
    """Return the controller and its lab.

    Raises:
        ConfigError: the target does not name one.
    """
    from crlab.lab.lab_controller import LabController
    from crlab.lab.opening import connect

    module_name, colon, name = options.target.partition(":")
    if not (module_name and colon and name):
        raise ConfigError(f"{options.target!r} is not MODULE:NAME")
    sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"cannot import {module_name!r}: {error}") from error
    found = getattr(module, name, None)
    if isinstance(found, LabController):
        return found, found.lab
    if not callable(found):
        raise ConfigError(f"{module_name} has no controller {name!r}, nor a function of that name")
    checked_function(found, options.target, ("lab",))
    lab = connect(
        options.kubeconfig,
        options.context,
        url=options.url,
        allow_writes=options.allow_writes,
    )
    try:
        made = found(lab)
    except BaseException:
        lab.close()
        raise
    if not isinstance(made, LabController):
        lab.close()
        raise ConfigError(f"{options.target} returned {type(made).__name__}, not a controller")
    return made, lab
