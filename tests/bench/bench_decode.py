"""List pages and watch lines, decoded by crlab beside the raw floor, in one run.

    python tests/bench/bench_decode.py [objects]

The floor keeps the bytes of each object and reads four metadata fields, nothing else: no
check of kinds, of UTF-8, of framing. Targets: a list costs at most 1.5 times the floor's
CPU, a watch reaches at least 60 % of its events per CPU second. CPU seconds, the best of
several rounds; bytes are made beforehand.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable

import msgspec

from crlab.client.list_decoder import decode_page
from crlab.client.object_decoder import ObjectDecoder
from crlab.client.watch_decoder import WatchDecoder
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionResource

ROUNDS = 5
PAGE = 500
CHUNK_BYTES = 256 * 1024
PODS = ApiResource(GroupVersionResource("", "v1", "pods"), "Pod", True)
MYSERVICES = ApiResource(
    GroupVersionResource("example.com", "v1alpha1", "myservices"), "MyService", True
)


class _Metadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""


class _Header(msgspec.Struct, gc=False):
    metadata: _Metadata


class _List(msgspec.Struct, gc=False):
    items: list[msgspec.Raw]


class _Line(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


_header = msgspec.json.Decoder(_Header).decode
_list = msgspec.json.Decoder(_List).decode
_line = msgspec.json.Decoder(_Line).decode


def make_object(resource: ApiResource, number: int, size_bytes: int) -> dict:
    """Return an object of about a size, with managedFields as real ones have."""
    fields: dict = {}
    obj = {
        "kind": resource.kind,
        "apiVersion": resource.gvr.api_version,
        "metadata": {
            "name": f"object-{number}",
            "namespace": f"ns-{number % 50}",
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "resourceVersion": str(number + 1000),
            "labels": {"app": f"app-{number % 20}", "tier": "web"},
            "managedFields": [{"manager": "m", "operation": "Update", "fieldsV1": fields}],
        },
        "spec": {"image": "nginx:1.27", "replicas": number % 5, "port": 80, "env": []},
        "status": {"phase": "Running", "readyReplicas": 1},
    }
    count = 0
    while len(json.dumps(obj)) < size_bytes:
        fields[f"f:field-{count}"] = {".": {}, f"f:inner-{count}": {}}
        obj["spec"]["env"].append({"name": f"NAME_{count}", "value": "some value"})
        count += 1
    return obj


def floor_list(bodies: list[bytes]) -> list[KubeObject]:
    """Take pages apart and keep bytes and metadata."""
    kept = []
    for body in bodies:
        for raw in _list(body).items:
            data = bytes(raw)
            kept.append((data, _header(data).metadata))
    return kept


def floor_watch(chunks: list[bytes]) -> list[KubeObject]:
    """Cut lines in one buffer and keep bytes and metadata."""
    kept = []
    rest = b""
    for chunk in chunks:
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for text in lines:
            line = _line(text)
            data = bytes(line.object)
            kept.append((line.type, data, _header(data).metadata))
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


def measure(resource: ApiResource, size_bytes: int, count: int) -> list[tuple[str, float, float]]:
    """Return (what, floor µs per object, crlab µs per object)."""
    objects = ObjectDecoder(resource)
    texts = [
        json.dumps(make_object(resource, n, size_bytes), separators=(",", ":")).encode()
        for n in range(count)
    ]
    head = (
        f'{{"kind":"{resource.kind}List","apiVersion":"{resource.gvr.api_version}",'
        '"metadata":{"resourceVersion":"9"},"items":['
    ).encode()
    pages = [head + b",".join(texts[at : at + PAGE]) + b"]}\n" for at in range(0, count, PAGE)]
    whole = [head + b",".join(texts) + b"]}\n"]
    stream = b"".join(b'{"type":"MODIFIED","object":%s}\n' % text for text in texts)
    chunks = [stream[at : at + CHUNK_BYTES] for at in range(0, len(stream), CHUNK_BYTES)]

    def our_watch() -> list[object]:
        decoder = WatchDecoder(objects)
        return [event for chunk in chunks for event in decoder.feed(chunk)]

    rows = []
    for what, floor, ours in (
        ("list, pages of 500", lambda: floor_list(pages),
         lambda: [decode_page(page, objects) for page in pages]),
        ("list, one page", lambda: floor_list(whole),
         lambda: [decode_page(page, objects) for page in whole]),
        ("watch", lambda: floor_watch(chunks), our_watch),
    ):  # fmt: skip
        rows.append((what, cpu_seconds(floor) / count * 1e6, cpu_seconds(ours) / count * 1e6))
    return rows


def main(count: int) -> None:
    """Print the table."""
    print(f"{count} objects, Python {sys.version.split()[0]}, msgspec {msgspec.__version__}")
    print(f"{'':28}{'floor µs':>10}{'crlab µs':>10}{'× floor':>9}{'% of floor':>12}")
    for name, resource, size_bytes in (
        ("pods 5.2 KB", PODS, 5200),
        ("custom resources 1.7 KB", MYSERVICES, 1700),
    ):
        print(name)
        for what, floor, ours in measure(resource, size_bytes, count):
            print(
                f"  {what:26}{floor:10.1f}{ours:10.1f}{ours / floor:9.2f}{100 * floor / ours:12.0f}"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
