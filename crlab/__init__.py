"""crlab: Kubernetes' controller machinery, something you can see, touch and use.

    import crlab

    lab = crlab.sandbox()                  # an embedded API server; connect() for a real one
    lab.apply("crd.yaml")
    services = lab.informer("myservices")
    services.wait_for_sync(timeout_seconds=10)
    services.df                            # an ordinary DataFrame, always current

Everything named here is public; everything else may change. Importing this package
imports nothing heavy: pandas, ipywidgets and matplotlib come when they are first needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crlab.cache import DeletedFinalStateUnknown, SharedInformer
    from crlab.controller import Controller, Request, Result
    from crlab.errors import CrlabError, TerminalError
    from crlab.frame.export import style, to_csv, to_parquet
    from crlab.frame.join import concat_clusters, join_nodes, join_owners
    from crlab.lab.informer import Informer
    from crlab.lab.lab import Lab
    from crlab.lab.opening import (
        close_all,
        connect,
        doctor,
        envtest,
        open_labs,
        replay,
        sandbox,
    )
    from crlab.lab.sandbox import Sandbox
    from crlab.lab.wait import wait_for_cache_sync
    from crlab.model.object import KubeObject

__version__ = "0.1.0"

_HOMES = {
    "Controller": "crlab.controller",
    "CrlabError": "crlab.errors",
    "DeletedFinalStateUnknown": "crlab.cache",
    "Informer": "crlab.lab.informer",
    "KubeObject": "crlab.model.object",
    "Lab": "crlab.lab.lab",
    "Request": "crlab.controller",
    "Result": "crlab.controller",
    "Sandbox": "crlab.lab.sandbox",
    "SharedInformer": "crlab.cache",
    "TerminalError": "crlab.errors",
    "close_all": "crlab.lab.opening",
    "concat_clusters": "crlab.frame.join",
    "connect": "crlab.lab.opening",
    "doctor": "crlab.lab.opening",
    "envtest": "crlab.lab.opening",
    "join_nodes": "crlab.frame.join",
    "join_owners": "crlab.frame.join",
    "open_labs": "crlab.lab.opening",
    "replay": "crlab.lab.opening",
    "sandbox": "crlab.lab.opening",
    "style": "crlab.frame.export",
    "to_csv": "crlab.frame.export",
    "to_parquet": "crlab.frame.export",
    "wait_for_cache_sync": "crlab.lab.wait",
}

__all__ = [  # noqa: RUF022 - the order of a first session
    "sandbox",
    "connect",
    "envtest",
    "replay",
    "Lab",
    "Sandbox",
    "Informer",
    "SharedInformer",
    "Controller",
    "Request",
    "Result",
    "KubeObject",
    "DeletedFinalStateUnknown",
    "CrlabError",
    "TerminalError",
    "wait_for_cache_sync",
    "join_owners",
    "join_nodes",
    "concat_clusters",
    "to_csv",
    "to_parquet",
    "style",
    "doctor",
    "open_labs",
    "close_all",
]


_ROOMS = ("errors", "examples", "testing")  # ``except crlab.errors.NotFound`` needs no import


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if name in _ROOMS:
        return importlib.import_module(f"crlab.{name}")
    if home is None:
        raise AttributeError(f"module 'crlab' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_ROOMS})
