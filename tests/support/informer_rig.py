"""An informer on a scripted server, moved by hand on a clock that stands still."""

from __future__ import annotations

from collections.abc import Sequence

from crlab.cache import SharedInformer
from crlab.cache.reflector import Timing
from crlab.runtime.clock import FakeClock
from crlab.runtime.driver import ManualDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace
from support.scripted import ScriptedListerWatcher


class Calls:
    """A handler that notes its calls as (type, key, resourceVersions or flags)."""

    def __init__(self) -> None:
        self.seen: list[tuple] = []

    def on_add(self, obj, is_in_initial_list):
        self.seen.append(("add", obj.key, is_in_initial_list))

    def on_update(self, old, new):
        self.seen.append(("update", new.key, old.resource_version, new.resource_version))

    def on_delete(self, obj):
        self.seen.append(("delete", obj.key, type(obj).__name__))

    def handlers(self) -> dict:
        return {"on_add": self.on_add, "on_update": self.on_update, "on_delete": self.on_delete}

    def kinds(self) -> list[tuple[str, str]]:
        return [(call[0], call[1]) for call in self.seen]

    def clear(self) -> None:
        self.seen.clear()


class Rig:
    """One informer, its server, clock, driver, trace and one noted handler."""

    def __init__(self, *, is_started: bool = True, seed: int = 0, **options) -> None:
        self.clock = FakeClock()
        self.driver = ManualDriver()
        self.trace = Trace(self.clock)
        self.server = ScriptedListerWatcher()
        self.calls = Calls()
        options.setdefault("list_mode", "list")
        self.errors: list = []
        self.informer = SharedInformer(
            self.server,
            driver=self.driver,
            clock=self.clock,
            ids=Ids(seed),
            trace=self.trace,
            watch_error_handler=self.errors.append,
            **options,
        )
        self.handler = self.informer.add_event_handler(**self.calls.handlers())
        self._is_started = is_started

    def lists(self, *answers) -> Rig:
        self.server.lists.extend(answers)
        return self

    def watches(self, *answers) -> Rig:
        self.server.watches.extend(answers)
        return self

    def start(self) -> Rig:
        self.informer.start()
        self.driver.settle()
        return self

    def feed(self, *what) -> Rig:
        """Let the newest stream bring something, and settle."""
        self.server.stream.feed(*what)
        self.driver.settle()
        return self

    def advance(self, seconds: float) -> Rig:
        self.clock.advance(seconds)
        self.driver.settle()
        return self

    def run(self, seconds: float, step_seconds: float = 0.05) -> Rig:
        """Let time pass in small steps."""
        for _ in range(int(seconds / step_seconds)):
            self.advance(step_seconds)
        return self

    def retry(self) -> float:
        """Let the present back-off pass; return how long it was."""
        delay = self.informer.status.retry_in_seconds
        assert delay is not None
        self.advance(delay)
        return delay

    def keys(self) -> list[str]:
        return self.informer.indexer.list_keys()

    @property
    def version(self) -> str:
        return self.informer.last_sync_resource_version

    @property
    def state(self) -> str:
        return self.informer.status.state.value

    @property
    def phase(self) -> str:
        return self.informer.status.phase

    def asked(self, number: int = -1):
        """Return the options of a request."""
        return self.server.asked[number][1]

    def verbs(self) -> Sequence[str]:
        return self.server.verbs()


def quick(**changes) -> Timing:
    """Return limits that do not get in the way of counting requests."""
    return Timing(**{"max_requests_per_second": 1e9, "request_burst": 10**6, **changes})
