"""Run the embedded API server alone, until SIGTERM or SIGINT.

Prints its URL (which holds its secret: who has it may do everything, unless tokens are
given) and writes a kubeconfig if asked. With tokens, RBAC decides.

    crlab serve --port 8001 --kubeconfig ./kubeconfig
    kubectl --kubeconfig ./kubeconfig get namespaces

History can be dropped, as etcd's own interface would: POST {"revision": n} to
<url>/v3/kv/compaction.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from crlab.client.kubeconfig import write_kubeconfig
from crlab.errors import ConfigError
from crlab.lab.command.log_level import add_log_level, tell_on_stderr

MASTERS = "system:masters"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="write a kubeconfig there")
    parser.add_argument("--seed", type=int, help="the same uids and times on every run")
    parser.add_argument(
        "--controllers",
        default="namespace,gc",
        metavar="LIST",
        help='"namespace,gc" (default); with "workloads" too, Deployments become ready; or "none"',
    )
    parser.add_argument("--token", metavar="TOKEN", help="the administrator's; switches RBAC on")
    parser.add_argument(
        "--user-token",
        action="append",
        default=[],
        metavar="USER[:GROUP,...]=TOKEN",
        help="a further user's token; groups after a colon",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help='lines of token,user,uid,"group1,group2", as kube-apiserver reads them',
    )
    add_log_level(parser)


def perform(options: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from crlab.lab.command.signals import wait_for_signal
    from crlab.lab.opening import sandbox

    tell_on_stderr(options.log_level)
    tokens = read_tokens(options)
    names = [] if options.controllers == "none" else options.controllers.split(",")
    lab = sandbox(seed=options.seed, port=options.port, controllers=names, tokens=tokens)
    try:
        assert lab.server is not None
        lab.server.allow_compaction = True
        if options.kubeconfig is not None:
            write_kubeconfig(options.kubeconfig, lab.url, options.token)
        sys.stdout.write(f"{lab.url}\n")
        sys.stdout.flush()
        wait_for_signal()
    finally:
        lab.close()
    return 0


def read_tokens(options: argparse.Namespace) -> dict[str, tuple[str, list[str]]] | None:
    """Return token → (user, groups); None if no token was given.

    Raises:
        ConfigError: an option or a line of the file is malformed.
    """
    tokens: dict[str, tuple[str, list[str]]] = {}
    if options.token is not None:
        tokens[options.token] = ("crlab-admin", [MASTERS])
    for text in options.user_token:
        who, equals, token = text.rpartition("=")
        user, _, groups = who.partition(":")
        if not (user and equals and token):
            raise ConfigError("--user-token is USER=TOKEN or USER:GROUP,GROUP=TOKEN")
        tokens[token] = (user, [group for group in groups.split(",") if group])
    if options.token_file is not None:
        tokens.update(_token_file(options.token_file))
    return tokens or None


def _token_file(path: Path) -> dict[str, tuple[str, list[str]]]:
    import csv

    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    tokens: dict[str, tuple[str, list[str]]] = {}
    for number, row in enumerate(csv.reader(lines), start=1):
        if not row:
            continue
        if len(row) < 3 or not row[0] or not row[1]:
            raise ConfigError(f'{path} line {number} is not token,user,uid[,"groups"]')
        groups = row[3].split(",") if len(row) > 3 else []
        tokens[row[0]] = (row[1], [group.strip() for group in groups if group.strip()])
    return tokens
