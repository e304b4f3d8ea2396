"""A handler's backlog, full or not: whatever is merged, a handler's view stays possible."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted import pod

from crlab.cache import listener as module
from crlab.cache.listener import ADD, DELETE, UPDATE, Handler, Listener, Notification
from crlab.runtime.clock import FakeClock
from crlab.trace.record import Trace

CHANGES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "delete"])),
        st.tuples(st.just("take"), st.integers(1, 4)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("share", [1, 100])
@given(changes=CHANGES, max_backlog=st.integers(1, 5))
def test_a_handler_that_folds_its_calls_ends_with_what_there_is(changes, max_backlog, share):
    """No update or delete of what it does not know, no add of what it knows, newest at last."""
    known: dict[str, str] = {}

    def on_add(obj, initial):
        assert obj.key not in known
        known[obj.key] = obj.resource_version

    def on_update(old, new):
        assert known[new.key] == old.resource_version
        known[new.key] = new.resource_version

    def on_delete(obj):
        del known[obj.key]

    clock = FakeClock()
    backlog = Listener(
        "l",
        "h",
        Handler(on_add, on_update, on_delete),
        resource="pods",
        clock=clock,
        trace=Trace(clock),
        max_backlog=max_backlog,
    )
    held = {}
    with mock.patch.object(module, "_SHARE", share):
        for version, (name, what) in enumerate(changes, start=1):
            if name == "take":
                backlog.step(what)
                continue
            old = held.get(name)
            new = pod(name, version)
            if what == "put":
                held[name] = new
                backlog.push([Notification(UPDATE if old else ADD, new.key, new, old)])
            elif old is not None:
                backlog.push([Notification(DELETE, old.key, held.pop(name), old)])
        while backlog.step(1000):
            pass
    assert not backlog.errors
    assert known == {obj.key: obj.resource_version for obj in held.values()}
    assert backlog.is_idle
    assert backlog.backlog == 0
