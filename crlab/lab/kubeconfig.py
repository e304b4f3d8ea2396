"""A kubeconfig for an embedded server.

Thread: any.
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from crlab.errors import ConfigError


def write_kubeconfig(path: Path, url: str, token: str | None) -> None:
    """Write a kubeconfig for `url`, readable by its owner only; replaces what was there.

    Raises:
        ConfigError: it cannot be written there.
    """
    user = {"token": token} if token is not None else {}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "crlab", "cluster": {"server": url}}],
        "users": [{"name": "crlab", "user": user}],
        "contexts": [{"name": "crlab", "context": {"cluster": "crlab", "user": "crlab"}}],
        "current-context": "crlab",
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(yaml.safe_dump(config, sort_keys=False))
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
