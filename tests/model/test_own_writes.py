"""A controller's reads see its own writes, whatever lags, in several namespaces.

The machine is in support.own_writes; test_seeded_bugs_version proves that it notices bugs.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from support.own_writes import OwnWrites

TestOwnWrites = OwnWrites.TestCase
TestOwnWrites.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.parametrize("by", ["ctx", "ctx.client"])
@pytest.mark.parametrize("is_deleted_before", [False, True])
def test_what_is_deleted_hides_the_incarnation_that_the_cache_still_holds(by, is_deleted_before):
    """Somebody made the object anew; the deletion tells only the uid of the new one."""
    machine = OwnWrites()
    machine.begin(queue="real")
    try:
        machine.apply(key="b/x", tag="red")
        machine.bring(place="b")
        if is_deleted_before:
            machine.delete_collection(place="b")
        machine.recreate(by="others", key="b/x", tag="red")
        machine.delete(by=by, key="b/x")
        machine.reads_see_what_was_written_and_never_go_back()
    finally:
        machine.teardown()
