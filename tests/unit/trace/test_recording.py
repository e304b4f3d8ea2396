"""Recordings: whole, cut, altered, newer, hostile."""

import gzip
import json
import os
import threading

import pytest
from support.frame_rig import thing

from crlab.errors import RecordingError
from crlab.model.object import KubeObject
from crlab.model.resource import ApiResource, GroupVersionResource
from crlab.runtime.clock import FakeClock
from crlab.trace.record import Trace
from crlab.trace.recording import Recorder, Recording, RecordingLimits
from crlab.trace.recording_format import chained

CANARY = "c4n4ryc4n4ryc4n4ry"
SECRETS = ApiResource(GroupVersionResource("", "v1", "secrets"), "Secret", True, short_names=("x",))


def secret(name="s"):
    body = {"metadata": {"name": name, "namespace": "d"}, "data": {"p": CANARY}}
    return KubeObject(json.dumps(body).encode())


def filled(trace):
    """Every kind of value a record's data may hold."""
    obj = thing("a", 1, spec={"image": "x"})
    listed = {"count": 1, "objects": (obj, thing("b"))}
    trace.append("reflector", "listed", resource="t", resource_version="1", data=listed)
    data = {"type": "ADDED", "object": obj, "old": None, "n": 1.5, "big": 10**30, "bytes": b"\xff"}
    trace.append("reflector", "watch_event", resource="t", key="d/a", causes=(1,), data=data)
    trace.append(
        "lab", "note", data={"$odd": {"$o": [1, (2, {"x": True})]}, "text": "\ud800\n\x00"}
    )
    return trace


def written(tmp_path, trace, name="run", **options):
    path = tmp_path / name
    with Recorder(trace, path, clock=FakeClock(), threaded=False, **options):
        pass
    return path


@pytest.fixture
def path(tmp_path):
    return written(tmp_path, filled(Trace(FakeClock())), resources=[SECRETS])


def test_what_was_recorded_is_read_back(path):
    """Objects, tuples, bytes and odd keys."""
    recording = Recording.open(path)
    first, second, third = recording.records
    assert first.get("objects")[0].key == "d/a"
    assert second.get("object") is first.get("objects")[0]  # held once
    assert (second.causes, second.get("bytes"), second.get("old")) == ((1,), b"\xff", None)
    assert third.get("$odd") == {"$o": (1, (2, {"x": True}))}
    assert recording.resources == (SECRETS,)
    assert recording.is_complete
    assert repr(recording) == "Recording('run', 3 records, whole)"


def test_a_recording_is_a_trace(path):
    """With its seqs and times."""
    trace = Recording.open(path).trace(FakeClock())
    assert [r.seq for r in trace.records(after=1)] == [2, 3]
    assert (trace.first_seq, trace.last_seq, len(trace)) == (1, 3, 3)
    assert trace.get(2).key == "d/a"


def test_the_same_run_gives_the_same_bytes(tmp_path):
    """No time, name or order of chance is in the file."""
    files = [written(tmp_path, filled(Trace(FakeClock())), name).read_bytes() for name in "ab"]
    assert files[0] == files[1]


def test_a_file_is_never_overwritten_and_is_private(path):
    """0600, exclusive."""
    assert os.stat(path).st_mode & 0o777 == 0o600
    with pytest.raises(RecordingError, match="never overwrites"):
        Recorder(Trace(FakeClock()), path, clock=FakeClock())
    with pytest.raises(RecordingError, match="cannot create"):
        Recorder(Trace(FakeClock()), path / "x", clock=FakeClock())


def test_a_cut_file_gives_what_is_whole_at_every_byte(path, tmp_path):
    """And says where it ends."""
    whole = path.read_bytes()
    found = [opened(tmp_path, whole[:cut]) for cut in range(0, len(whole), 7)]
    counts = [len(recording.records) for recording in found if recording is not None]
    assert found[0] is None  # nothing to read
    assert counts == sorted(counts)
    assert counts[-1] == 3
    assert all(r.is_complete or "cut after" in r.ends or not r.records for r in found if r)


def opened(tmp_path, data):
    """The recording in these bytes, None if there is none."""
    path = tmp_path / "part"
    path.write_bytes(data)
    try:
        return Recording.open(path)
    except RecordingError:
        return None


def test_any_altered_byte_is_noticed(path, tmp_path):
    """In the data, through the chain; in the file, through gzip."""
    whole = path.read_bytes()
    for place in range(12, len(whole) - 8, 11):
        data = bytearray(whole)
        data[place] ^= 0x41
        recording = opened(tmp_path, data)
        assert recording is None or not recording.is_complete  # a flipped bit may end the data


def rewritten(tmp_path, lines):
    """Lines with a chain that fits again: a forger knows the format too."""
    before, out = "", []
    for line in lines:
        payload = line if isinstance(line, bytes) else json.dumps(line).encode()
        before = chained(before, payload)
        out.append(b'{"r":' + payload + b',"h":"' + before.encode() + b'"}\n')
    path = tmp_path / "forged"
    path.write_bytes(gzip.compress(b"".join(out)))
    return path


HEAD = {"format": "crlab-recording", "version": 1}
ONE = {"seq": 1, "at": 0.0, "stage": "lab", "kind": "x"}


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([{**HEAD, "version": 2}], "newer crlab"),
        ([{**HEAD, "format": "x"}], "another format"),
        ([{"version": 1}], "no manifest"),
        ([{**HEAD, "version": "1"}], "no manifest"),
        ([{**HEAD, "resources": [{"gvr": {"group": 5}}]}], "resources are malformed"),
        ([{**HEAD, "resources": ["x"]}], "no manifest"),
        ([HEAD, {"seq": "1"}], "not a record"),
        ([HEAD, ONE, ONE], "out of order"),
        ([HEAD, {"end": 5}], "says it has 5"),
        ([HEAD, ONE, {"end": 1}, ONE], "follows the end"),
        ([HEAD, {**ONE, "data": {"x": {"$r": 9}}}], "did not come"),
        ([HEAD, {**ONE, "data": {"x": {"$r": {}}}}], "line 2"),
        ([HEAD, {**ONE, "data": {"x": {"$b": "?"}}}], "not a record"),
        ([HEAD, {**ONE, "data": {"x": {"$o": {}, "$n": 1}}}], "line 2"),
        ([HEAD, {**ONE, "data": {"x": {"$o": {"metadata": {"name": "a"}}, "$n": "z"}}}], "line 2"),
        ([HEAD, {**ONE, "data": {"x": json.loads("[" * 200 + "]" * 200)}}], "deep|line 2"),
        ([HEAD, b"[" * 100_000], "line 2|first line"),
        ([b"null"], "no manifest"),
    ],
)
def test_a_hostile_recording_is_a_typed_error(tmp_path, lines, why):
    """Whatever its chain says (S26-S30)."""
    with pytest.raises(RecordingError, match=why):
        Recording.open(rewritten(tmp_path, lines))


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (gzip.compress(b"x" * 5_000_000), RecordingLimits(max_line_bytes=1_000_000)),
        (gzip.compress(b"x\n" * 20_000_000), RecordingLimits()),
        (gzip.compress(b"hello\n"), RecordingLimits(max_file_bytes=5)),
        (b"PK\x03\x04 a zip", RecordingLimits()),
        (b'{"r":{},"h":""}', RecordingLimits()),
    ],
)
def test_limits_hold_before_memory_is_used(tmp_path, data, limits):
    """Bombs, long lines, other formats."""
    path = tmp_path / "bomb"
    path.write_bytes(data)
    with pytest.raises(RecordingError):
        Recording.open(path, limits=limits)


def test_what_is_no_regular_file_is_refused(tmp_path):
    """Folders, pipes and devices; without blocking."""
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", tmp_path / "absent", "/dev/zero", "a\0b"):
        with pytest.raises(RecordingError):
            Recording.open(place)


def test_no_secret_is_in_a_recording_unless_asked_for(tmp_path):
    """Objects, texts and bodies; its head says what was done."""
    trace = Trace(FakeClock())
    data = {"object": secret(), "old": secret("o"), "type": "ADDED"}
    trace.append("reflector", "watch_event", resource="secrets", data=data)
    body = {"request_body": {"data": {"p": CANARY}}, "note": f"Bearer {CANARY}"}
    trace.append("client", "request", resource="secrets", data=body)
    trace.append(
        "client",
        "request",
        resource="secrets",
        data={"request_body": b'{"data":{"a":"%s"}}' % CANARY.encode()},
    )
    safe = written(tmp_path, trace)
    assert CANARY.encode() not in gzip.decompress(safe.read_bytes())
    assert Recording.open(safe).manifest.redaction == "crlab/1"
    loud = written(tmp_path, trace, "loud", include_secrets=True)
    assert CANARY.encode() in gzip.decompress(loud.read_bytes())
    assert "WARNING" in Recording.open(loud).manifest.banner


def test_records_of_many_threads_are_written_in_order(tmp_path):
    """The tap may be reached out of order; the file is in order of seq."""
    trace = filled(Trace(FakeClock()))
    with Recorder(trace, tmp_path / "run", clock=FakeClock()) as recorder:
        threads = [
            threading.Thread(target=lambda: [trace.append("lab", "note") for _ in range(500)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        recorder.flush()
    recorder.close()  # idempotent
    recording = Recording.open(tmp_path / "run")
    assert [r.seq for r in recording.records] == list(range(1, 2004))


def test_without_history_it_begins_now(tmp_path):
    """For those who want the next minutes only."""
    trace = filled(Trace(FakeClock()))
    with Recorder(trace, tmp_path / "r", clock=FakeClock(), include_history=False, threaded=False):
        trace.append("lab", "later")
    assert [r.kind for r in Recording.open(tmp_path / "r").records] == ["later"]
