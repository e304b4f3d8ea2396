"""The two informers of the comparison, behind one set of words."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

import kubernetes
from kubernetes.informer import informer as official_module

from crlab.cache import SharedInformer
from crlab.cache.reflector import Timing
from crlab.client import HttpTransport, ResourceListerWatcher
from crlab.client.endpoint import parse_endpoint
from crlab.runtime.clock import RealClock
from crlab.runtime.driver import ThreadDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace
from support.fault_rig import CONFIG_MAPS

logging.getLogger("kubernetes").setLevel(logging.CRITICAL)
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

IDLE_SECONDS = 1.5  # 75 / 50
Rows = dict[str, tuple[str, Any]]


class Crlab:
    """crlab at its default back-off and request budget; only silence is scaled down by 50."""

    name = "crlab"

    def __init__(self, url: str, list_mode: Literal["auto", "list"] = "auto") -> None:
        clock = RealClock()
        self._transport = HttpTransport(
            parse_endpoint(url, env={}),
            clock=clock,
            connect_seconds=0.5,
            first_byte_seconds=0.6,
            silence_seconds=0.6,
        )
        self._informer = SharedInformer(
            ResourceListerWatcher(self._transport, CONFIG_MAPS, "default"),
            driver=ThreadDriver(clock),
            clock=clock,
            ids=Ids(0),
            trace=Trace(clock, max_records=1000),
            list_mode=list_mode,
            timing=Timing(idle_seconds=IDLE_SECONDS, stream_deadline_seconds=1.5),
        )

    def start(self) -> None:
        self._informer.start()

    def rows(self) -> Rows:
        return {
            obj.name: (obj.resource_version, _right(obj["kind"], obj.get("data")))
            for obj in self._informer.indexer.list()
        }

    def on_update(self, function: Callable[[Any], None]) -> None:
        self._informer.add_event_handler(on_update=lambda old, new: function(new))

    @staticmethod
    def spoil(obj: Any) -> None:
        """Try to rename what a handler was given."""
        obj["metadata"]["name"] = "spoilt"

    def state(self) -> str:
        return str(self._informer.status.state.value)

    def stop(self) -> None:
        self._informer.close(2)
        self._transport.close()


class Official:
    """kubernetes.informer.SharedInformer as it comes."""

    name = "official"

    def __init__(self, url: str, list_mode: str = "") -> None:
        configuration = kubernetes.client.Configuration()
        configuration.host = url
        self._api = kubernetes.client.ApiClient(configuration)
        core = kubernetes.client.CoreV1Api(self._api)
        self._informer = official_module.SharedInformer(
            core.list_namespaced_config_map, namespace="default"
        )

    def start(self) -> None:
        self._informer.start()

    def rows(self) -> Rows:
        found: Rows = {}
        for key in self._informer.cache.list_keys():
            obj = self._informer.cache.get_by_key(key)
            found[obj.metadata.name] = (obj.metadata.resource_version, _right(obj.kind, obj.data))
        return found

    def on_update(self, function: Callable[[Any], None]) -> None:
        self._informer.add_event_handler(official_module.MODIFIED, function)

    @staticmethod
    def spoil(obj: Any) -> None:
        obj.metadata.name = "spoilt"

    def state(self) -> str:
        return "-"

    def stop(self) -> None:
        self._informer.stop()
        self._api.close()


def _right(kind: str | None, data: Any) -> Any:
    """Return the data of a ConfigMap; the official client leaves the kind out of lists."""
    return dict(data or {}) if kind in (None, "ConfigMap") else f"a {kind}"


SUBJECTS = {"crlab": Crlab, "official": Official}


def stop_seconds(subject: Any, limit_seconds: float) -> float | None:
    """Stop it; return how long that took, None if it had not returned by the limit."""
    began = time.monotonic()
    done = threading.Event()

    def stop() -> None:
        try:
            subject.stop()
        finally:
            done.set()

    threading.Thread(target=stop, daemon=True).start()
    return time.monotonic() - began if done.wait(limit_seconds) else None
