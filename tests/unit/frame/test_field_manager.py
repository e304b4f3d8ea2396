"""Who wrote a version: read from managed fields, with the version before beside it."""

from __future__ import annotations

from typing import Any

import pytest

from crlab.frame.field_manager import writer_of
from crlab.model.object import KubeObject


def entry(manager: str, time: int, *fields: str, subresource: str = "") -> dict[str, Any]:
    """Return a managed fields entry that owns fields of the spec."""
    return {
        "manager": manager,
        "operation": "Update",
        "subresource": subresource,
        "time": f"2026-01-01T00:00:{time:02}Z",
        "fieldsV1": {"f:spec": {f"f:{name}": {} for name in fields}},
    }


def thing(version: int, entries: list[dict[str, Any]], **more: Any) -> KubeObject:
    """Return an object with these managers."""
    metadata = {"name": "a", "resourceVersion": str(version), "managedFields": entries}
    return KubeObject.of({"metadata": metadata | more.pop("metadata", {}), "spec": more})


def test_alone_it_is_the_newest_entry() -> None:
    """All there is to go by."""
    assert writer_of(thing(1, [entry("ann", 2, "x"), entry("bob", 1, "y")])) == "ann"
    assert writer_of(thing(1, [])) == ""


def test_it_is_whose_entry_changed() -> None:
    """Within one second, times do not tell."""
    before = thing(1, [entry("ann", 0, "x"), entry("bob", 0, "y")], x=1, y=1)
    after = thing(2, [entry("ann", 0, "x", "z"), entry("bob", 0, "y")], x=1, y=1, z=1)

    assert writer_of(after, before) == "ann"


@pytest.mark.parametrize(("field", "writer"), [("x", "ann"), ("y", "bob")])
def test_two_writes_within_a_second_are_told_by_their_fields(field: str, writer: str) -> None:
    """The entry of the second write is the same as that of the first."""
    entries = [entry("ann", 0, "x"), entry("bob", 0, "y")]

    assert writer_of(thing(2, entries, **{field: 2}), thing(1, entries, **{field: 1})) == writer


def test_a_delete_is_not_put_down_to_the_last_writer() -> None:
    """Managed fields do not say who deleted."""
    entries = [entry("ann", 0, "x")]
    marked = thing(2, entries, metadata={"deletionTimestamp": "2026-01-01T00:00:09Z"})

    assert writer_of(marked, thing(1, entries)) == ""
