"""A recorder that cannot write says so at once, stops, and hinders nobody."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading

import pytest
from support.poll import pause

import crlab
from crlab.errors import RecordingError
from crlab.trace.recording import Recorder, Recording

resource = pytest.importorskip("resource", reason="no limits of files on this system")


@contextlib.contextmanager
def disk_of(size_bytes):
    """Let no file of this process grow beyond a size: what a full disk does, with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(lab, count, size=12_000):
    for n in range(count):
        data = {"text": " ".join(os.urandom(3).hex() for _ in range(size // 7))}
        lab.client.create("configmaps", {"metadata": {"generateName": f"c{n}-"}, "data": data})
    lab.settle()


def until(predicate):
    for _ in range(400):
        if predicate():
            return
        pause(0.01)
    raise AssertionError("it did not come")


@pytest.mark.parametrize("driver", ["threads", "manual"])
def test_a_full_disk_stops_the_recording_and_nothing_else(tmp_path, caplog, driver):
    before = set(threading.enumerate())
    path = tmp_path / "run.gz"
    lab = crlab.sandbox(driver=driver, controllers=False)
    lab.informer("configmaps").wait_for_sync()
    with disk_of(20_000), caplog.at_level(logging.ERROR, "crlab.trace"):
        recorder = lab.record(path)
        fill(lab, 15, 3000)
        recorder.flush()
        until(lambda: recorder.error is not None)
        assert isinstance(recorder.error, RecordingError)
        assert str(path) in str(recorder.error)
        assert not lab.is_recording
        assert not recorder.is_recording
        assert "stopped: cannot write" in repr(recorder)
        warned = [f for f in crlab.doctor().warnings if f.item == "recording"]
        assert [f.value for f in warned] == ["run.gz"]
        assert len(caplog.records) == 1
        count = recorder.count
        fill(lab, 5, 3000)
        assert recorder.count == count  # nothing grows
        assert recorder._queued == []
        assert len(caplog.records) == 1
        assert lab.close() == []
    assert lab.is_closed
    cut = Recording.open(path)
    assert len(cut.records) > 3
    assert not cut.is_complete
    left = [t for t in threading.enumerate() if t not in before and "crlab" in t.name]
    until(lambda: not any(t.is_alive() for t in left))


class Failing:
    """A file whose n-th write, or close, fails."""

    def __init__(self, file, at, where="write"):
        self._file, self._at, self._where = file, at, where
        self.closed = False

    def write(self, data):
        self._at -= 1
        if self._where == "write" and self._at < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._file.write(bytes(data)[:1000])  # a short write is none that failed

    def close(self):
        self.closed = True
        self._file.close()
        if self._where == "close":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["write", "close"])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_failing_device_is_told_wherever_it_fails(tmp_path, where, at):
    """In a write, in the last flush, in the close."""
    with crlab.sandbox(driver="manual", controllers=False) as lab:
        recorder = lab.record(tmp_path / "run.gz")
        recorder._file = Failing(recorder._file, at, where)
        lab.informer("configmaps").wait_for_sync()
        fill(lab, 3, 4000)
        recorder.close()
        assert isinstance(recorder.error, RecordingError)
        assert not lab.is_recording
    assert lab.is_closed


def test_a_closed_descriptor_is_told(tmp_path):
    with crlab.sandbox(driver="manual", controllers=False) as lab:
        recorder = lab.record(tmp_path / "run.gz")
        os.close(recorder._file.fileno())
        recorder.flush()
        assert "Bad file descriptor" in str(recorder.error)


def test_where_no_file_can_be_made_nothing_is_recorded(tmp_path):
    with crlab.sandbox(driver="manual", controllers=False) as lab:
        (tmp_path / "there").mkdir()
        for path in (tmp_path / "there", tmp_path / "none" / "run.gz", "/dev/full", "/proc/x.gz"):
            with pytest.raises(RecordingError):
                lab.record(path)
        assert not lab.is_recording
        assert lab.recorders == []
        assert lab.trace._listeners == ()


def test_a_full_disk_at_the_first_line_leaves_no_recorder(tmp_path):
    with crlab.sandbox(controllers=False) as lab, disk_of(0):
        with pytest.raises(RecordingError, match="cannot write"):
            lab.record(tmp_path / "run.gz")
        assert not lab.is_recording
        assert lab.recorders == []


def test_a_recorder_that_goes_on_is_caught(tmp_path, monkeypatch):
    """The seeded bug: it notes the error, and neither stops nor lets go of the trace."""
    monkeypatch.setattr(Recorder, "_stop", lambda self, error: None)
    with pytest.raises((AssertionError, OSError)):
        test_a_closed_descriptor_is_told(tmp_path)
