"""Who deleted an object: said where it is known, and nowhere else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import crlab
from crlab.frame import EventsFrame
from crlab.runtime.clock import FakeClock
from crlab.trace.record import Trace

MAPS = "configmaps"


def a_map(name: str, **metadata: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "v"}}


def deleted_by(informer: crlab.Informer) -> dict[str, str]:
    frame = informer.events.df
    return frame[frame["type"] == "DELETED"].set_index("key")["writer"].to_dict()


@pytest.fixture
def alice(lab: crlab.Lab) -> crlab.Lab:
    return lab.as_user("alice", groups=["system:masters"])


def test_a_deletion_is_not_put_down_to_the_last_writer(lab: crlab.Lab, alice: crlab.Lab) -> None:
    """In the frame, in the inspector, in the rates; the change that brought it names them."""
    maps = lab.informer(MAPS).wait_for_sync()
    lab.client.apply(MAPS, a_map("web"), field_manager="bob")
    lab.settle()
    alice.delete(MAPS, "web")
    lab.settle()

    assert list(maps.events.df["writer"]) == ["bob", ""]
    inspector = maps.events.watch(filter="type=DELETED")
    assert [row.writer for row in inspector.state().rows] == [""]
    assert "bob" not in str(lab.explain("default/web")).splitlines()[-1]
    counts = maps.rates.frame(by="writer").sum()
    assert counts.to_dict() == {"(none)": 1, "bob": 1}


def test_own_deletions_are_known(lab: crlab.Lab) -> None:
    """By the lab, and by a controller, which is called as its writes are."""
    maps = lab.informer(MAPS).wait_for_sync()
    lab.apply([a_map("mine"), a_map("theirs")])

    @lab.controller(maps)
    def sweeper(request: crlab.Request, ctx: crlab.Context) -> None:
        if request.name == "theirs" and ctx.object is not None:
            ctx.client.delete(MAPS, request.name, namespace=request.namespace)

    lab.settle()
    sweeper.run()
    lab.delete(MAPS, "mine")
    lab.settle()

    assert deleted_by(maps) == {"default/mine": "crlab", "default/theirs": "sweeper"}


def test_a_finalizer_changes_nothing_of_who_deleted(lab: crlab.Lab, alice: crlab.Lab) -> None:
    """Neither whoever takes the last one, nor a second delete of what is on its way out."""
    maps = lab.informer(MAPS).wait_for_sync()
    lab.apply([a_map("mine", finalizers=["a.b/c"]), a_map("hers", finalizers=["a.b/c"])])
    lab.delete(MAPS, "mine")
    alice.delete(MAPS, "hers")
    lab.settle()
    lab.delete(MAPS, "hers")
    for name in ("mine", "hers"):
        lab.client.patch(MAPS, name, {"metadata": {"finalizers": None}})
    lab.settle()

    assert deleted_by(maps) == {"default/mine": "crlab", "default/hers": ""}


def test_what_was_not_deleted_by_a_request_names_nobody(lab: crlab.Lab, alice: crlab.Lab) -> None:
    """A dry run, a refused request, one for another incarnation."""
    maps = lab.informer(MAPS).wait_for_sync()
    lab.apply([a_map("a"), a_map("b")])
    lab.client.delete(MAPS, "a", dry_run=True)
    with pytest.raises(crlab.CrlabError):
        lab.client.delete(MAPS, "a", uid="another")
    lab.delete(MAPS, "b")
    lab.settle()
    lab.apply(a_map("b"))
    lab.settle()
    for name in ("a", "b"):
        alice.delete(MAPS, name)
    lab.settle()

    assert list(maps.events.df.query("type == 'DELETED'")["writer"]) == ["crlab", "", ""]


@pytest.mark.parametrize("is_early", [True, False])
def test_an_event_that_overtakes_the_answer_is_named_later(lab: crlab.Lab, is_early: bool) -> None:
    """The frame that was made before is made anew."""
    maps = lab.informer(MAPS).wait_for_sync()
    lab.apply(a_map("web"))
    lab.settle()
    lab.delete(MAPS, "web")
    lab.settle()
    records = lab.trace.records()
    (answer,) = [r for r in records if r.get("verb") == "delete"]
    (event,) = [r for r in records if r.get("type") == "DELETED"]
    others = [r for r in records if r.seq < min(answer.seq, event.seq)]
    trace = Trace(FakeClock())
    frame = EventsFrame(trace, MAPS)
    for record in [*others, *((event, answer) if is_early else (answer, event))]:
        fields = msgspec.structs.asdict(record)
        trace.append(
            fields["stage"],
            fields["kind"],
            **{name: fields[name] for name in ("resource", "key", "resource_version", "data")},
        )
        seen = frame.df
    assert len(maps.events.df) == len(seen) == 2
    assert list(seen["writer"]) == ["crlab", "crlab"]
