"""``python -m crlab``: serve, run, lab, record, replay.

    crlab serve --port 8001 --kubeconfig kubeconfig   an API server alone, until SIGTERM
    crlab run module:controller                       a controller as a process
    crlab lab                                         JupyterLab on the first notebook
    crlab record FILE pods deployments                what happens, into a file
    crlab replay FILE                                 what a recording holds

Exit codes: 0 done, 1 failed, 2 cannot work as asked (the message says why).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from crlab.errors import CrlabError


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    from crlab.lab.command import lab, record, replay, run, serve

    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="crlab", description=__doc__, formatter_class=raw)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (serve, run, lab, record, replay):
        name = module.__name__.rpartition(".")[2]
        about = (module.__doc__ or "").splitlines()[0]
        sub = commands.add_parser(name, help=about, description=module.__doc__, formatter_class=raw)
        module.add_arguments(sub)
        sub.set_defaults(perform=module.perform)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(options.perform(options) or 0)
    except CrlabError as error:
        sys.stderr.write(f"crlab {options.command}: {error}\n")
        for note in getattr(error, "__notes__", ()):
            sys.stderr.write(f"  {note}\n")
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
