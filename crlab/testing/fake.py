"""A fresh sandbox in milliseconds, deterministic, without sockets or threads.

Thread: the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crlab.lab.lab import Lab


@contextmanager
def fake_lab(
    *manifests: object, seed: int = 0, controllers: Sequence[str] | bool = True
) -> Iterator[Lab]:
    """Give a manual sandbox with `manifests` applied; close it afterwards.

    Args:
        manifests: paths, YAML texts, mappings or lists, as `Lab.apply` takes them.
        seed: the same uids and names on every run.
        controllers: of the server's own: "namespace", "gc", "workloads"; True for all.
    """
    from crlab.lab.opening import sandbox

    lab = sandbox(seed=seed, driver="manual", controllers=controllers)
    try:
        for manifest in manifests:
            lab.apply(manifest)
        yield lab
    finally:
        lab.close()
