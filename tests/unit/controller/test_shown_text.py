"""S3, S38: no name and no message of a cluster forges a line or steers a terminal."""

from __future__ import annotations

import logging
import pickle
import re
from pathlib import Path

import pytest

import crlab
from crlab.errors import ApiError, ConfigError, UnknownResource, api_error
from crlab.runtime.teller import traceback_of

FORGED = "a\x1b[31m\x9b2J\u202e\u200b\r\nINFO forged"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def assert_plain(text: str, lines: int = 1) -> None:
    """Nothing that acts, and no line more."""
    assert not UNSAFE.search(text), text
    assert len(text.splitlines()) == lines, text
    assert not any(line.startswith("INFO") for line in text.splitlines())


def test_an_error_is_one_line() -> None:
    """Whatever the server, a file or a name put into it."""
    refused = api_error(409, {"reason": FORGED, "message": FORGED}, tried=f"get pods {FORGED}")

    for error in (refused, ConfigError(FORGED), UnknownResource(FORGED, nearest=[FORGED])):
        assert_plain(str(error))
        assert_plain(repr(error))
    assert isinstance(refused, ApiError)
    assert refused.message == FORGED


def test_an_errors_text_survives_a_pickle() -> None:
    """Escaped when it is shown, not when it is made."""
    error = UnknownResource("a\\n" + FORGED)

    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_error_in_a_log_line_forges_none(caplog: pytest.LogCaptureFixture) -> None:
    """`log.error("failed: %s", error)` is what everybody writes."""
    logging.getLogger("user").error("failed: %s", api_error(404, {"message": FORGED}))

    assert_plain(caplog.records[0].getMessage())


def test_a_step_and_its_story_keep_their_lines() -> None:
    """What a reconcile logs and raises may come from an object."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:

        @lab.controller("configmaps")
        def careless(request, ctx):  # type: ignore[no-untyped-def]
            ctx.log(ctx.object["data"]["k"])
            raise ValueError(ctx.object["data"]["k"])

        body = {"metadata": {"name": "a", "namespace": "default"}, "data": {"k": FORGED}}
        lab.client.create("configmaps", body)
        record = careless.step()

        assert_plain(str(record), len(str(record).split("\n")))
        assert_plain(record.sentence)
        assert_plain(repr(record))
        assert all(not UNSAFE.search(sentence) for sentence in lab.explain("default/a").sentences)
        assert str(lab.explain("default/a")).count("\n") == 3
        for row in lab.explain("default/a").df["text"]:
            assert_plain(str(row), len(str(row).splitlines()))


def test_a_traceback_is_the_users_wherever_they_work(tmp_path: Path) -> None:
    """A project that lies in a folder called crlab is not taken for the package."""
    folder = tmp_path / "crlab"
    folder.mkdir()
    source = folder / "mine.py"
    source.write_text("def fail():\n    raise ValueError('x')\n")
    names: dict[str, object] = {}
    exec(compile(source.read_text(), str(source), "exec"), names)

    with pytest.raises(ValueError, match="x") as caught:
        names["fail"]()  # type: ignore[operator]

    assert "mine.py" in traceback_of(caught.value)
