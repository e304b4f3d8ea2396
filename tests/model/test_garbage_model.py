"""Random families: who is left after random deletions is who still has an owner."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.controlled_server import ControlledServer, ref

from crlab.errors import NotFound

COUNT = 7


@st.composite
def families(draw):
    """Owners of each object (earlier ones), and what is deleted how."""
    owners = [
        draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        for number in range(COUNT)
    ]
    policies = st.sampled_from(["Background", "Foreground", "Orphan"])
    deletions = draw(st.lists(st.tuples(st.integers(0, COUNT - 1), policies), max_size=4))
    return owners, deletions, draw(st.booleans())


def expected(owners, deletions):
    """Follow the rules on sets: no queue, no order, no finalizers."""
    owners = {number: set(found) for number, found in enumerate(owners)}
    alive = set(owners)
    for target, policy in deletions:
        if target not in alive:
            continue
        alive.discard(target)
        if policy == "Orphan":
            for number in alive:
                owners[number].discard(target)
        has_moved = True
        while has_moved:
            lost = {n for n in alive if owners[n] and not owners[n] & alive}
            has_moved = bool(lost)
            alive -= lost
        for number in alive:
            owners[number] &= alive
    return alive, {number: owners[number] for number in alive}


@settings(max_examples=60, deadline=None)
@given(families())
def test_survivors_and_their_owners(family):
    """In every order of events the same, and nothing waits for ever."""
    owners, deletions, is_blocking = family
    server = ControlledServer(groups=("gc",))
    made = []
    for number, found in enumerate(owners):
        refs = [ref(made[each], blockOwnerDeletion=is_blocking) for each in sorted(found)]
        made.append(server.config_map(f"o{number}", *refs))
    server.settle()
    for target, policy in deletions:
        try:
            server.client.delete("configmaps", f"o{target}", propagation_policy=policy)
        except NotFound:
            pass
        server.settle()
    alive, left = expected(owners, deletions)
    items = server.client.list("configmaps", namespace="default")["items"]
    assert {item["metadata"]["name"] for item in items} == {f"o{n}" for n in alive}
    assert {
        item["metadata"]["name"]: {r["name"] for r in item["metadata"].get("ownerReferences", ())}
        for item in items
    } == {f"o{n}": {f"o{each}" for each in found} for n, found in left.items()}
    assert all("deletionTimestamp" not in item["metadata"] for item in items)
    assert server.manager.pending() == []
    server.manager.close()
