"""A live expression follows whatever of a lab it reads, or says that it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crlab
from crlab.errors import ConfigError, NotFollowed

Read = Callable[[crlab.Lab, crlab.Informer], Any]

#: What of a lab can be read; each gives another value after one more object.
READS: dict[str, Read] = {
    "len": lambda lab, maps: len(maps),
    "iteration": lambda lab, maps: [obj.key for obj in maps],
    "membership": lambda lab, maps: f"default/m{_newest(maps)}" in maps,
    "objects": lambda lab, maps: [obj.key for obj in maps.objects()],
    "get": lambda lab, maps: maps.get("default/changing").resource_version,
    "item": lambda lab, maps: maps["default/changing"].resource_version,
    "describe": lambda lab, maps: str(maps.describe("default/changing")),
    "indexer.list": lambda lab, maps: len(maps.indexer.list()),
    "indexer.list_keys": lambda lab, maps: maps.indexer.list_keys(),
    "indexer.read": lambda lab, maps: sorted(maps.indexer.read().rows),
    "indexer.by_index": lambda lab, maps: len(maps.indexer.by_index("namespace", "default")),
    "indexer.index_keys": lambda lab, maps: maps.indexer.index_keys("namespace", "default"),
    "indexer.index": lambda lab, maps: len(maps.indexer.index("namespace", next(iter(maps)))),
    "indexer.len": lambda lab, maps: len(maps.indexer),
    "lister.list": lambda lab, maps: len(maps.lister.list()),
    "lister.get": lambda lab, maps: maps.lister.get("changing", "default").resource_version,
    "lister.namespace": lambda lab, maps: len(maps.lister.namespace("default").list()),
    "df": lambda lab, maps: list(maps.df.index),
    "with_columns": lambda lab, maps: list(maps.with_columns(labels=["a"]).df.index),
    "events.df": lambda lab, maps: len(maps.events.df),
    "events.len": lambda lab, maps: len(maps.events),
    "events.changes": lambda lab, maps: len(maps.events.changes),
    "rates.df": lambda lab, maps: maps.rates.df.sum().sum(),
    "rates.total": lambda lab, maps: maps.rates.total,
    "requests": lambda lab, maps: len(lab.requests),
    "client.requests": lambda lab, maps: len(lab.client.requests),
    "kube_events": lambda lab, maps: list(lab.kube_events()["reason"]),
    "timeline": lambda lab, maps: len(lab.timeline("default/changing")),
    "explain": lambda lab, maps: len(lab.explain("default/changing", resource="configmaps").df),
    "at": lambda lab, maps: len(maps.at().df),
    "diff": lambda lab, maps: len(maps.diff(maps.at(seq=maps.events.df.index[0]), maps.at())),
    "reflector_log": lambda lab, maps: len(maps.reflector_log),
    "handlers": lambda lab, maps: maps.handlers["delivered"].sum(),
    "status": lambda lab, maps: maps.status.objects,
    "version": lambda lab, maps: maps.last_sync_resource_version,
    "trace": lambda lab, maps: len(lab.trace),
    "queue": lambda lab, maps: len(lab.controllers[0].queue),
    "snapshot": lambda lab, maps: len(lab.controllers[0].queue.snapshot().queued),
    "history": lambda lab, maps: len(lab.controllers[0].history),
}


SAME = ("membership", "queue", "snapshot")  # what changes is not what is read of it


def _newest(maps: crlab.Informer) -> int:
    return _Writer.number


class _Writer:
    """Makes one more change, of every kind that `READS` look at."""

    number = 0

    @classmethod
    def write(cls, lab: crlab.Lab) -> None:
        cls.number += 1
        name = f"m{cls.number}"
        lab.client.create("configmaps", {"metadata": {"name": name}})
        data = {"data": {"n": name}}
        lab.client.patch("configmaps", "changing", data)
        about = {"kind": "ConfigMap", "name": name, "namespace": "default"}
        event = {"metadata": {"name": name}, "involvedObject": about, "reason": name}
        lab.client.create("events", {**event, "type": "Normal", "message": "m"})
        lab.settle()
        lab.controllers[0].step()
        lab.wait_until(lambda: f"default/{name}" in lab.informers[0])


def a_lab(driver: str) -> tuple[crlab.Lab, crlab.Informer]:
    lab = crlab.sandbox(seed=0, driver=driver)
    maps = lab.informer("configmaps").wait_for_sync()
    maps.add_event_handler(on_add=lambda obj, is_initial: None)

    @lab.controller(maps)
    def noop(request: Any, ctx: Any) -> None:
        """Do nothing."""

    lab.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "changing"}})
    lab.settle()
    assert lab.kube_events().empty
    return lab, maps


@pytest.mark.parametrize("driver", ["manual", "threads"])
def test_every_read_of_a_lab_is_followed(driver: str) -> None:
    """Each alone: it is told to be dirty, and is what it would be if read now."""
    lab, maps = a_lab(driver)
    with lab:
        lives = {
            name: lab.live(lambda read=read: read(lab, maps), name=name)
            for name, read in READS.items()
        }
        before = {name: each.value for name, each in lives.items()}
        told: set[str] = set()
        for name, each in lives.items():
            each.on_live_change(lambda name=name: told.add(name))
        _Writer.write(lab)
        for name, each in lives.items():
            assert each.is_dirty, name
            each._interval = 0.0
            lab.wait_until(lambda name=name, each=each: each.value == READS[name](lab, maps))
            assert each.error is None
            assert name in SAME or each.value != before[name], name
        assert told == set(READS)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(READS)), min_size=1, max_size=4, unique=True),
    st.lists(st.booleans(), min_size=1, max_size=4),
)
def test_any_mixture_of_reads_is_always_current(names: list[str], writes: list[bool]) -> None:
    """Whatever an expression reads, and however often it changes in between."""
    lab, maps = _kept()
    mixed = lab.live(lambda: [READS[name](lab, maps) for name in names])
    outer = lab.live(lambda: mixed.value)
    for is_write in writes:
        if is_write:
            _Writer.write(lab)
        expected = [READS[name](lab, maps) for name in names]
        assert outer.value == mixed.value == expected
    mixed.close()
    outer.close()


_held: list[tuple[crlab.Lab, crlab.Informer]] = []


def _kept() -> tuple[crlab.Lab, crlab.Informer]:
    """One lab for all examples."""
    if not _held:
        _held.append(a_lab("manual"))
    return _held[0]


@pytest.fixture(scope="module", autouse=True)
def _closed():
    yield
    while _held:
        _held.pop()[0].close()


SERVER: dict[str, Read] = {
    "client.list": lambda lab, maps: lab.client.list("configmaps"),
    "client.get": lambda lab, maps: lab.client.get("configmaps", "changing"),
    "get": lambda lab, maps: len(maps) and lab.get("configmaps", "changing"),
    "create": lambda lab, maps: lab.client.create("configmaps", {"metadata": {"name": "x"}}),
    "revision": lambda lab, maps: lab.revision,
    "audit_log": lambda lab, maps: lab.audit_log,
    "audit": lambda lab, maps: maps.audit(),
    "tree": lambda lab, maps: str(lab.tree("configmaps", "default/changing")),
}


@pytest.mark.parametrize("name", SERVER)
def test_a_read_of_the_server_is_refused(name: str) -> None:
    """Also where somebody between catches the error; nothing is asked or written."""
    lab, maps = _kept()
    asked = len(lab.client.requests)

    def caught() -> Any:
        try:
            return SERVER[name](lab, maps)
        except crlab.CrlabError:
            return "caught"

    for function in (lambda: SERVER[name](lab, maps), caught):
        live = lab.live(function)
        with pytest.raises(NotFollowed, match="asks the server"):
            _ = live.value
        assert "failed · NotFollowed" in live.watch().to_text()
    assert len(lab.client.requests) == asked


def test_a_function_that_reads_nothing_is_told() -> None:
    """What was read before it does not change with the lab."""
    lab, maps = _kept()
    frame = maps.df
    with pytest.raises(NotFollowed, match="reads nothing of a lab"):
        _ = lab.live(lambda: len(frame)).value
    with pytest.raises(ConfigError):
        lab.live(frame)


@pytest.mark.parametrize("driver", ["manual", "threads"])
def test_a_failing_expression_is_shown_as_failed(driver: str) -> None:
    """With its error, since when, and the time of the rows that are shown."""
    lab, maps = a_lab(driver)
    with lab:
        live = lab.live(lambda: 1 / len(maps))
        view = live.watch()
        assert live.value == 1.0
        assert " live ·" in view.to_text()
        good_at = view.state().status.at
        lab.delete("configmaps", "changing")
        lab.wait_until(lambda: len(maps) == 0)
        live.refresh()

        assert live.value == 1.0
        assert isinstance(live.error, ZeroDivisionError)
        assert live.error.__traceback__ is None
        status = view.state().status
        assert (status.state, status.at) == ("failed", live.good_at)
        assert live.good_at is not None
        assert live.good_at <= good_at
        assert "ZeroDivisionError: division by zero (since " in status.cause
        assert "failed" in view.to_html()

        lab.client.create("configmaps", {"metadata": {"name": "back"}})
        lab.wait_until(lambda: len(maps) == 1)
        live.refresh()
        assert (live.error, live.failed_at, view.state().status.state) == (None, None, "live")


def test_an_expression_that_never_worked_shows_why() -> None:
    """`value` raises; its view has no rows, and the error."""
    lab, maps = _kept()
    live = lab.live(lambda: maps["default/none"])
    with pytest.raises(crlab.CrlabError, match="no configmaps 'default/none'"):
        _ = live.value
    text = live.watch().to_text()
    assert "failed · NotCached" in text
    assert "rows 0" in text or "no rows" in text


def test_an_expression_is_not_more_live_than_what_it_reads() -> None:
    """A stopped informer's is shown as stopped."""
    lab, maps = a_lab("manual")
    with lab:
        live = lab.live(lambda: maps.df.groupby("namespace").size())
        assert " live ·" in live.watch().to_text()
        maps.stop()
        assert "stopped" in live.watch().to_text().splitlines()[1]
