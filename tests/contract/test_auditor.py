"""Faults 54, 55: what the server lost is found by comparing, if that was asked for, and healed."""

from __future__ import annotations

import threading

import pytest
from support.informer_rig import Rig
from support.scripted import ScriptedListerWatcher, bookmark, event, pod

from crlab.cache import SharedInformer
from crlab.client.list_watch import ListPage
from crlab.errors import TransportError
from crlab.runtime.clock import FakeClock
from crlab.runtime.driver import ManualDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace


def page(*pods, rv):
    return ListPage(list(pods), str(rv))


def audited(*pods, rv=10, audit_seconds=60.0, **options):
    """An informer that lists `pods` once; what it is shown next is the test's."""
    return Rig(audit_seconds=audit_seconds, **options).lists(page(*pods, rv=rv)).start()


def quiet(rig, seconds):
    """Let time pass on a stream that shows that it lives."""
    for _ in range(int(seconds)):
        rig.advance(1.0)
        rig.feed(bookmark(rig.version))
    return rig


def found(rig):
    return [r for r in rig.informer.trace.records() if r.kind == "audited"]


def test_nobody_audits_who_did_not_ask_for_it():
    """Faults 54, 55: it costs a whole list."""
    rig = quiet(Rig().lists(page(rv=10)).start(), 600)

    assert rig.verbs().count("list") == 1
    assert rig.informer.last_audit is None


def test_an_audit_that_finds_nothing_asks_once_an_interval_and_tells_nobody():
    """Faults 54, 55: at exactly the cache's revision."""
    rig = audited(pod("a", 5))
    rig.server.default_page = page(pod("a", 5), rv=10)

    quiet(rig, 181)

    assert rig.verbs() == ["list", "watch", "list", "list", "list"]
    assert (rig.asked().resource_version, rig.asked().resource_version_match) == ("10", "Exact")
    assert (rig.informer.status.audits, rig.informer.status.drifted) == (3, 0)
    assert (len(found(rig)), rig.errors, len(rig.calls.seen)) == (3, [], 1)
    assert rig.informer.last_audit.is_clean


@pytest.mark.parametrize(
    ("truth", "calls"),
    [
        ([pod("a", 9)], [("update", "default/a", "5", "9")]),
        ([], [("delete", "default/a", "DeletedFinalStateUnknown")]),
        (
            [pod("a", 5), pod("b", 8)],
            [("update", "default/a", "5", "5"), ("add", "default/b", False)],
        ),
    ],
    ids=["an update", "a deletion", "an addition"],
)
def test_what_was_lost_is_reported_and_mended(truth, calls):
    """Faults 54, 55: confirmed by a second look, then listed from the newest, not a cache."""
    rig = audited(pod("a", 5))
    rig.calls.clear()
    rig.server.default_page = page(*truth, rv=10)

    quiet(rig, 70)

    assert rig.verbs() == ["list", "watch", "list", "list", "list", "watch"]
    assert rig.server.asked[4][1].resource_version is None
    assert rig.calls.seen == calls
    assert rig.informer.status.drifted == 1
    assert len(rig.errors) == 1
    assert "an audit found 1 key that the server holds otherwise: default/" in rig.errors[0]
    assert [len(r.get("wrong")) for r in found(rig)] == [1, 1]
    assert rig.state == "live"


def test_the_state_is_stale_until_the_list_is_there():
    """C8: a cache that is known to be wrong is not live."""
    rig = audited(pod("a", 5))
    rig.server.default_page = page(rv=10)
    quiet(rig, 61)
    rig.server.lists.extend([page(rv=10), TransportError("down", phase="connect")])

    quiet(rig, 2)

    states = [r for r in rig.informer.trace.records() if r.kind == "state"]
    assert [r.get("health") for r in states][-2:] == ["stale", "degraded"]


def test_an_event_on_its_way_is_no_drift():
    """Faults 54, 55: the second look finds the cache at another version of the key."""
    rig = audited(pod("a", 5))
    rig.server.lists.append(page(pod("a", 9), rv=10))
    quiet(rig, 60)
    assert rig.informer.last_audit.rows

    rig.feed(event("MODIFIED", pod("a", 11)))
    rig.server.default_page = page(pod("a", 11), rv=11)
    quiet(rig, 30)

    assert rig.informer.status.drifted == 0
    assert rig.verbs() == ["list", "watch", "list", "list"]


def test_an_audit_that_fails_changes_nothing():
    """Faults 54, 55: the informer is as live as before; it is tried at the next interval."""
    rig = audited(pod("a", 5))
    rig.server.default_page = TransportError("down", phase="connect")

    quiet(rig, 130)

    assert rig.state == "live"
    assert rig.verbs() == ["list", "watch", "list", "list"]
    assert (rig.informer.status.audits, rig.errors) == (0, [])


def test_a_cache_that_is_not_live_is_not_audited():
    """Faults 54, 55: it knows already that it may be wrong."""
    rig = audited(pod("a", 5))
    rig.watches(*[TransportError("down", phase="connect", refused=True)] * 99)
    rig.server.stream.end()

    rig.run(300, 1.0)

    assert rig.verbs().count("list") == 1
    assert rig.informer.status.audits == 0


def test_audits_are_never_more_often_than_the_budget():
    """C9: whatever interval was asked for."""
    rig = audited(audit_seconds=0.01)
    rig.server.default_page = page(rv=10)

    quiet(rig, 60)

    assert rig.informer.status.audits <= 60


def test_only_the_namespace_that_drifted_is_listed_again():
    """Faults 54, 55: an informer of several namespaces."""
    clock, driver = FakeClock(), ManualDriver()
    one, two = (ScriptedListerWatcher(namespace=name) for name in ("one", "two"))
    one.default_page = page(pod("a", 5, namespace="one"), rv=10)
    two.default_page = page(pod("b", 6, namespace="two"), rv=10)
    informer = SharedInformer(
        [one, two],
        driver=driver, clock=clock, ids=Ids(0), trace=Trace(clock),
        list_mode="list", audit_seconds=60.0,
    )  # fmt: skip
    informer.start()
    driver.settle()
    two.default_page = page(rv=10)

    for _ in range(65):
        clock.advance(1.0)
        driver.settle()

    assert informer.indexer.list_keys() == ["one/a"]
    assert (one.verbs(), two.verbs()[-2:]) == (["list", "watch", "list", "list"], ["list", "watch"])


def test_events_are_applied_while_an_audit_waits_for_its_answer():
    """Faults 54, 55: the audit is a stage of its own, so no event waits for it."""
    rig = audited(pod("a", 5))
    inside, names = threading.Event(), [stage.name for stage in rig.driver.stages()]

    def slow(options):
        rig.server.stream.feed(event("ADDED", pod("b", 11)))
        reflector, processor = rig.driver.stages()[:2]
        while reflector.step(9) or processor.step(9):
            pass
        inside.set()
        assert rig.keys() == ["default/a", "default/b"]
        return page(pod("a", 5), rv=10)

    rig.server.lists.append(slow)
    quiet(rig, 60)

    assert inside.is_set()
    assert names[-1] == "auditor-pods"
    assert rig.informer.status.audits == 1
