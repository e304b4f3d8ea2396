"""List pages and watch lines, decoded by crlab beside the raw floor, in one process.

The floor keeps the bytes of each object and reads four metadata fields, nothing else: no
check of kinds, of UTF-8, of framing. CPU seconds, the best of several rounds.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable

import pytest
from support.bench import floor, payload
from support.bench.table import Table

from crlab.client.list_decoder import decode_page
from crlab.client.object_decoder import ObjectDecoder
from crlab.client.watch_decoder import WatchDecoder
from crlab.model.resource import ApiResource, GroupVersionResource

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

OBJECTS = min(10_000, int(os.environ.get("CRLAB_BENCH_OBJECTS", "10000")))
ROUNDS = 5
CHUNK_BYTES = 256 * 1024


def floor_list(bodies: list[bytes]) -> list[object]:
    """Take pages apart and keep bytes and metadata."""
    return [pair for body in bodies for pair in floor.page(body)[0]]


def floor_watch(chunks: list[bytes]) -> list[object]:
    """Cut lines in one buffer and keep bytes and metadata."""
    kept: list[object] = []
    rest = b""
    for chunk in chunks:
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        kept += [floor.line(text) for text in lines]
    return kept


def cpu_seconds(function: Callable[[], object]) -> float:
    """Return the CPU seconds of the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        gc.collect()
        started = time.process_time()
        kept = function()
        best = min(best, time.process_time() - started)
        del kept
    return best


def resource_of(kind: payload.Kind) -> ApiResource:
    group, _, version = kind.api_version.rpartition("/")
    return ApiResource(GroupVersionResource(group, version, kind.plural), kind.kind, True)


@pytest.mark.parametrize("name", payload.KINDS)
def test_decode(name: str, table: Table):
    """A list in pages, a list in one piece, and a watch."""
    kind = payload.KINDS[name]
    objects = ObjectDecoder(resource_of(kind))
    texts = payload.objects(kind, OBJECTS)
    pages = list(payload.pages(kind, texts, 500).values())
    whole = list(payload.pages(kind, texts, OBJECTS).values())
    stream = b"".join(payload.lines(texts))
    chunks = [stream[at : at + CHUNK_BYTES] for at in range(0, len(stream), CHUNK_BYTES)]

    def our_watch() -> list[object]:
        decoder = WatchDecoder(objects)
        return [event for chunk in chunks for event in decoder.feed(chunk)]

    for what, floor_does, we_do in (
        ("list in pages", lambda: floor_list(pages),
         lambda: [decode_page(page, objects) for page in pages]),
        ("list in one page", lambda: floor_list(whole),
         lambda: [decode_page(page, objects) for page in whole]),
        ("watch", lambda: floor_watch(chunks), our_watch),
    ):  # fmt: skip
        lowest, ours = cpu_seconds(floor_does), cpu_seconds(we_do)
        table.add(f"  decoding {name}, {what}", ours / OBJECTS * 1e6, "µs/object",
                  floor=lowest / OBJECTS * 1e6)  # fmt: skip
