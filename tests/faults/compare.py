"""crlab beside the official SharedInformer: the same faults, one harness, one run.

    python tests/faults/compare.py                 the table, as markdown
    python tests/faults/compare.py --only 42 44    some faults
    python tests/faults/compare.py --write         put it into docs/reliability.md

Each fault has its own embedded server and proxy. Both clients get the same steps: sync,
break, change one object, create one, delete one, keep it broken for some seconds, heal,
and then at most `WINDOW_SECONDS` to hold exactly what the server holds.

    ok n      equal n seconds after the fault ended
    DIV       not equal at the end of the window
    HOT n     n requests a second while it failed, more than a burst of 5 and 1 a second
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script

import support.compare_subject as subjects
from support.cycle import rss_kib
from support.fault_proxy import FaultProxy, semantic, toxic
from support.poll import pause
from support.server import make_server

from crlab.apiserver import watch as server_watch
from crlab.runtime.clock import RealClock

PATH = "/api/v1/namespaces/default/configmaps"
WINDOW_SECONDS = 12.0
FAILING_SECONDS = 4.0
DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- comparison -->", "<!-- /comparison -->"
Inject, error_line, Status, Edit = (
    semantic.Inject,
    semantic.error_line,
    semantic.Status,
    semantic.Edit,
)


class World:
    """A server, a proxy and one client of it."""

    def __init__(self, client: str, list_mode: str = "auto") -> None:
        self.server = make_server(RealClock())
        self.server.start()
        self.proxy = FaultProxy(self.server.url)
        self.others: list[Any] = []
        self.put("a", n="1", pad="x" * 400)
        self.put("b", n="1", pad="x" * 400)
        self.subject = subjects.SUBJECTS[client](self.proxy.url, list_mode)

    def put(self, name: str, **data: str) -> None:
        body = {"metadata": {"name": name}, "data": data}
        if self.server.request("POST", PATH, body)[0] == 409:
            self.server.request("PUT", f"{PATH}/{name}", body)

    def change(self) -> None:
        self.put("a", n="2", pad="x" * 400)
        self.put("c", n="1", pad="x" * 400)
        self.server.request("DELETE", f"{PATH}/b")

    def truth(self) -> subjects.Rows:
        items = self.server.request("GET", PATH)[1]["items"]
        return {
            i["metadata"]["name"]: (i["metadata"]["resourceVersion"], i.get("data") or {})
            for i in items
        }

    def is_equal(self) -> bool:
        try:
            return bool(self.subject.rows() == self.truth())
        except Exception:
            return False  # a row that is None, and the like

    def waits_for(self, predicate: Callable[[], Any], seconds: float) -> float | None:
        began = time.monotonic()
        while not predicate():
            if time.monotonic() - began > seconds:
                return None
            pause(0.01)
        return time.monotonic() - began

    def close(self) -> None:
        self.proxy.close()
        for server in (self.server, *self.others):
            server.close()


@dataclass
class Scenario:
    """One fault: what breaks it, and for how long it stays broken."""

    number: int
    what: str
    breaks: Callable[[World], Any]
    seconds: float = 0.5
    is_first: bool = False  # it is broken before the client starts
    heals: Callable[[World], Any] = field(default=lambda world: world.proxy.clear())


def stream(*faults: Any) -> Callable[[World], Any]:
    """Faults put into the open stream, then the changes."""

    def breaks(world: World) -> None:
        for make in faults:
            world.proxy.inject(make())
        world.change()

    return breaks


def lists(make: Any, **when: Any) -> Callable[[World], Any]:
    """The first list is answered otherwise."""
    return lambda world: world.proxy.add(make(), "list", **when)


def ended(make: Any, match: str = "watch", **when: Any) -> Callable[[World], Any]:
    """The same with a stream that merely ended."""

    def breaks(world: World) -> None:
        world.proxy.add(make(), match, **when)
        world.proxy.inject(semantic.End())
        world.change()

    return breaks


def down(world: World) -> None:
    world.proxy.down()
    world.change()


def restored(world: World) -> None:
    """Another server with a lower revision, silent about the future."""
    for n in range(20):
        world.put("a", n=str(n))
    pause(0.5)
    secret = world.server.url.rpartition("/")[2]
    other = make_server(RealClock(), seed=5, secret=secret)
    other.start()
    other.request("POST", PATH, {"metadata": {"name": "restored"}})
    other.faults.no_bookmarks("configmaps")
    world.others.append(world.server)
    world.server, world.proxy.upstream = other, other.url
    world.proxy.inject(semantic.End())


def bad_bookmark(world: World) -> None:
    line = b'{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{%s}}}\n'
    world.proxy.inject(Inject(line % b'"resourceVersion":"garbage"'))
    pause(0.1)
    world.proxy.inject(semantic.End())
    world.change()


def stale(world: World) -> None:
    world.proxy.inject(semantic.Stale())
    world.put("a", n="2", pad="x" * 400)
    world.put("a", n="3", pad="x" * 400)


def handler(function: Callable[[World, Any], None]) -> Callable[[World], Any]:
    def breaks(world: World) -> None:
        world.subject.on_update(lambda obj: function(world, obj))
        for n in range(6):
            world.put("a", n=str(n), pad="x" * 400)
        pause(0.3)
        world.change()

    return breaks


def raises(error: type[BaseException]) -> Callable[[World, Any], None]:
    def function(world: World, obj: Any) -> None:
        raise error("no")

    return function


def lost(world: World) -> None:
    """Events the server sent that never came, and the 410 after them."""
    world.proxy.inject(semantic.Drop(None))
    world.change()
    pause(0.3)
    world.proxy.inject(Inject(error_line(410, "Expired")))


def pop(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        for name in names:
            tree.pop(name, None)

    return change


html = Status(200, b"<html>Log in</html>", content_type="text/html").body
LONG = FAILING_SECONDS
SCENARIOS = [
    Scenario(1, "half-open watch", stream(toxic.HalfOpen), 1),
    Scenario(2, "half-open list", lists(toxic.Blackhole, times=1), 1, True),
    Scenario(4, "RST mid-line", stream(toxic.RstMidLine)),
    Scenario(5, "FIN mid-line", stream(toxic.FinMidLine)),
    Scenario(
        5,
        "all of a line but its newline",
        stream(lambda: toxic.FinMidLine(is_clean=True, is_whole=True)),
    ),
    Scenario(6, "FIN between events", stream(semantic.End)),
    Scenario(7, "slowloris", stream(toxic.Trickle), 1),
    Scenario(8, "a byte at a time", stream(lambda: toxic.Slicer(1))),
    Scenario(9, "invalid UTF-8 in an event", stream(toxic.Corrupt)),
    Scenario(10, "blank lines, CRLF, BOM", stream(semantic.Framing)),
    Scenario(15, "200 and closed at once", ended(lambda: semantic.CloseAfter(0)), LONG),
    Scenario(16, "connection refused", down, LONG, heals=lambda world: world.proxy.up()),
    Scenario(18, "502 with HTML", ended(lambda: Status(502, b"<html>"), "any"), LONG),
    Scenario(18, "a buffering proxy", ended(semantic.Buffered), 2),
    Scenario(20, "truncated gzip", lists(lambda: semantic.Gzip("truncated")), LONG, True),
    Scenario(21, "redirect", ended(lambda: semantic.Redirect("http://127.0.0.1:9/"), "any"), LONG),
    Scenario(23, "410 at watch start", ended(lambda: Status(410), times=1)),
    Scenario(24, "410 in the stream, events lost", lost),
    Scenario(25, "410 for every watch", ended(lambda: Status(410)), LONG),
    Scenario(26, "504 too large on the list", lists(semantic.TooLarge), LONG, True),
    Scenario(29, "429 with Retry-After", ended(lambda: semantic.RetryAfter("seconds")), LONG),
    Scenario(30, "429 without it", ended(lambda: Status(429), "any"), LONG),
    Scenario(31, "500", ended(lambda: Status(500), "any"), LONG),
    Scenario(31, "503", ended(lambda: Status(503), "any"), LONG),
    Scenario(32, "one 401", ended(lambda: Status(401), times=1)),
    Scenario(33, "401 for ever", ended(lambda: Status(401), "any"), LONG),
    Scenario(34, "403", ended(lambda: Status(403), "any"), LONG),
    Scenario(36, "404: the definition is gone", ended(lambda: Status(404), "any"), LONG),
    Scenario(39, "HTML with 200, watch", ended(lambda: Status(200, html), "any"), LONG),
    Scenario(39, "HTML with 200, list", lists(lambda: Status(200, html)), LONG, True),
    Scenario(40, "a damaged line", stream(semantic.Garble)),
    Scenario(41, "no metadata", stream(semantic.StripMetadata)),
    Scenario(42, "object null", stream(lambda: Edit(lambda e: e.update(object=None)))),
    Scenario(43, "unknown event type", stream(lambda: Edit(lambda e: e.update(type="RENAMED")))),
    Scenario(44, "wrong kind", stream(lambda: Edit(lambda e: e["object"].update(kind="Secret")))),
    Scenario(
        45,
        "a list without items",
        lists(lambda: semantic.Body(pop("items"))),
        LONG,
        True,
    ),
    Scenario(46, "in-stream 500", stream(lambda: Inject(error_line(500)))),
    Scenario(46, "in-stream error without a code", stream(lambda: Inject(error_line(None)))),
    Scenario(47, "repeated events", stream(lambda: semantic.Duplicate(3))),
    Scenario(48, "an older state late", stale),
    Scenario(50, "the revision went back", restored, heals=lambda world: None),
    Scenario(51, "a version that is no number", stream(lambda: semantic.RewriteRv("x-9"))),
    Scenario(52, "bookmark of garbage, disconnect", bad_bookmark),
    Scenario(62, "a handler of 2 s each", handler(lambda world, obj: pause(2.0))),
    Scenario(63, "a handler raises", handler(raises(ValueError))),
    Scenario(64, "a handler raises SystemExit", handler(raises(SystemExit))),
    Scenario(65, "a handler renames its object", handler(lambda w, obj: w.subject.spoil(obj))),
    Scenario(67, "stop() in a handler", handler(lambda world, obj: world.subject.stop())),
]


@dataclass
class Result:
    """What one client did."""

    word: str
    seconds: float | None
    rate: float
    stop: float | None
    state: str


def run(scenario: Scenario, client: str) -> Result:
    """Run one fault with one client."""
    world = World(client, "list" if scenario.is_first else "auto")
    try:
        if not scenario.is_first:
            world.subject.start()
            if world.waits_for(world.is_equal, 20) is None:
                return Result("never synced", None, 0, None, "")
            world.waits_for(lambda: bool(world.proxy.streams()), 5)
            pause(0.2)
        if scenario.number == 67:
            return _stop_inside(world)
        began = world.proxy.journal.now_seconds
        scenario.breaks(world)
        if scenario.is_first:
            world.subject.start()
        pause(scenario.seconds)
        lasted = world.proxy.journal.now_seconds - began
        asked = _asked(world, began)
        state = world.subject.state()
        scenario.heals(world)
        took = world.waits_for(world.is_equal, WINDOW_SECONDS)
        is_hot = asked > 5 + lasted
        if scenario.number < 50 and not world.proxy.journal.count("fault"):
            return Result("not met", took, 0, None, state)
        word = "DIV" if took is None else f"HOT {asked / lasted:.0f}/s" if is_hot else "ok"
        return Result(word, took, asked / lasted, subjects.stop_seconds(world.subject, 6), state)
    finally:
        world.close()


def _asked(world: World, since: float) -> int:
    """Return requests; where none could be made, connections."""
    return world.proxy.journal.count("request", since_seconds=since)


def _stop_inside(world: World) -> Result:
    """`stop` called by a handler: it must return, and raise nothing."""
    errors: list[BaseException] = []
    returned = threading.Event()

    def stop(obj: Any) -> None:
        try:
            world.subject.stop()
        except BaseException as error:
            errors.append(error)
        returned.set()

    world.subject.on_update(stop)
    world.put("a", n="9")
    is_back = returned.wait(8)
    word = "hangs" if not is_back else type(errors[0]).__name__ if errors else "ok"
    return Result(word, 0.0 if word == "ok" else None, 0, 0.0 if word == "ok" else None, "")


def flood(client: str) -> int:
    """200 MiB of one line: return the rise of the peak resident memory, in MiB."""
    world = World(client)
    world.subject.start()
    world.waits_for(world.is_equal, 20)
    pause(0.3)
    before = peak = rss_kib()
    fault = toxic.Flood(200 << 20)
    world.proxy.inject(fault)
    until = time.monotonic() + 60
    while not fault.is_sent and world.proxy.streams() and time.monotonic() < until:
        peak = max(peak, rss_kib())
        pause(0.01)
    return (peak - before) >> 10


def floods() -> dict[str, str]:
    """Run the flood in a process each."""
    found = {}
    for client in subjects.SUBJECTS:
        command = [sys.executable, __file__, "--flood", client]
        out = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        found[client] = out.stdout.strip() or "failed"
    return found


def cell(result: Result) -> str:
    text = result.word
    if result.seconds is not None and result.word != "ok":
        text += f", then {result.seconds:.1f} s"
    elif result.word == "ok":
        text += f" {result.seconds:.1f} s"
    if result.stop is None and result.word not in ("RuntimeError", "hangs"):
        text += ", stop() blocked > 6 s"
    return text


def table(scenarios: list[Scenario], workers: int) -> tuple[str, dict[str, list[Result]]]:
    """Run everything; return the markdown table and the results."""
    jobs = [(scenario, client) for scenario in scenarios for client in subjects.SUBJECTS]
    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(lambda job: run(*job), jobs))
    results = {name: done[i :: len(subjects.SUBJECTS)] for i, name in enumerate(subjects.SUBJECTS)}
    lines = [
        "| # | Fault | crlab | requests/s | its state meanwhile | official | requests/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for scenario, ours, theirs in zip(scenarios, *results.values(), strict=True):
        lines.append(
            f"| {scenario.number} | {scenario.what} | {cell(ours)} | {ours.rate:.1f} | "
            f"{ours.state} | {cell(theirs)} | {theirs.rate:.1f} |"
        )
    return "\n".join(lines), results


def summary(name: str, results: list[Result]) -> str:
    words = [result.word.split(" ")[0] for result in results]
    other = sum(word not in ("ok", "DIV", "HOT") for word in words)
    stops = sorted(result.stop for result in results if result.stop is not None)
    blocked = sum(r.stop is None and r.word not in ("RuntimeError", "hangs") for r in results)
    return (
        f"{name}: of {len(words)}, {words.count('ok')} ok, {words.count('DIV')} not converged, "
        f"{words.count('HOT')} hot, {other} otherwise; stop() p50 "
        f"{stops[len(stops) // 2] * 1e3:.0f} ms, max {stops[-1] * 1e3:.0f} ms, "
        f"not back after 6 s {blocked} times"
    )


def report(only: list[int], workers: int) -> str:
    chosen = [s for s in SCENARIOS if not only or s.number in only]
    began = time.monotonic()
    text, results = table(chosen, workers)
    parts = [text, "", *(f"- {summary(name, found)}" for name, found in results.items())]
    if not only or 11 in only:
        rise = floods()
        parts.append(
            "- fault 11, 200 MiB without a newline: peak memory "
            + ", ".join(f"{name} +{mib} MiB" for name, mib in rise.items())
        )
    parts.append(
        f"- {datetime.now(UTC):%Y-%m-%d}, kubernetes {version('kubernetes')}, CPython "
        f"{sys.version.split()[0]}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, "
        f"{time.monotonic() - began:.0f} s in all"
    )
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=int, nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md")
    parser.add_argument("--flood", choices=list(subjects.SUBJECTS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    server_watch.BOOKMARK_SECONDS = 0.5  # 60 s, scaled as the idle limit is
    if args.flood:
        print(flood(args.flood), flush=True)
        os._exit(0)  # the official client's thread may never end
    text = report(args.only, args.workers)
    print(text, flush=True)
    if args.write:
        page = DOCUMENT.read_text()
        head, tail = page.split(BEGIN)[0], page.split(END)[1]
        DOCUMENT.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")
    os._exit(0)  # for the same reason


if __name__ == "__main__":
    sys.exit(main())
