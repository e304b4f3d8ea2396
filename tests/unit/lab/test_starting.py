"""Register first, start then: client-go's order of an informer's life."""

from __future__ import annotations

import pytest

import crlab
from crlab.errors import AlreadyStopped, SyncTimeout


def test_an_informer_that_was_not_started_starts_when_told(lab: crlab.Lab) -> None:
    """Handlers that were added before see the first list; a second start is none."""
    lab.client.create("configmaps", {"metadata": {"name": "a"}})
    seen: list[str] = []
    maps = lab.informer("configmaps", start=False)
    maps.add_event_handler(on_add=lambda obj, is_initial: seen.append(obj.name))
    lab.settle()
    assert seen == []

    assert maps.start() is maps
    assert maps.start().wait_for_sync().has_synced
    assert seen == ["a"]


@pytest.mark.parametrize("options", [{}, {"columns": {"x": ".data.x"}}])
def test_asking_again_starts_it(lab: crlab.Lab, options: dict[str, object]) -> None:
    """The same arguments are the same informer; asking for it unstarted stops nothing."""
    first = lab.informer("configmaps", start=False)
    assert lab.informer("configmaps", start=False).shared is first.shared
    assert not first.shared.is_started

    again = lab.informer("configmaps", **options)  # type: ignore[arg-type]

    assert again.shared is first.shared
    assert first.wait_for_sync().has_synced
    assert lab.informer("configmaps", start=False).shared.is_started


def test_a_controller_of_a_name_starts_its_informer(lab: crlab.Lab) -> None:
    """It asks as anybody does."""
    maps = lab.informer("configmaps", start=False)
    lab.controller("configmaps")(lambda request, ctx: None)
    assert maps.wait_for_sync().has_synced


def test_a_wait_for_what_was_never_started_says_what_to_call(threaded: crlab.Lab) -> None:
    """Every wait, and the status; nothing that is under way is held up by it."""
    maps = threaded.informer("configmaps", start=False)
    for wait in (maps.wait_for_sync, threaded.wait_for_cache_sync):
        with pytest.raises(SyncTimeout, match=r"not started: call start\(\)"):
            wait(0.01)
    with pytest.raises(SyncTimeout, match=r"not started: call start\(\)"):
        crlab.wait_for_cache_sync(maps, timeout_seconds=0.01)
    assert "call start()" in str(maps.status)
    assert threaded.settle() == 0
    assert maps.start().wait_for_sync().has_synced


def test_what_was_stopped_does_not_start_again(lab: crlab.Lab) -> None:
    """A new one does."""
    maps = lab.informer("configmaps", start=False)
    maps.stop()
    with pytest.raises(AlreadyStopped):
        maps.start()
    assert lab.informer("configmaps").shared is not maps.shared
    lab.close()
    with pytest.raises(AlreadyStopped):
        maps.start()
