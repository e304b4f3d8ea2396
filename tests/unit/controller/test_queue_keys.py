"""What no worker could reconcile is refused where it is added, and stops nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import crlab
from crlab.errors import ConfigError


@pytest.fixture
def lab() -> Iterator[crlab.Lab]:
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as opened:
        yield opened


@pytest.mark.parametrize("sort", ["fifo", "priority"])
@pytest.mark.parametrize(
    ("key", "text"),
    [
        (5, "names no object"),
        (None, "names no object"),
        ("", "key"),
        ("a", 'give "namespace/a"'),
        ("a/b/c", "is not a key"),
        ("/a", "key"),
        (("default", "a"), "add 'default/a'"),
        (crlab.Request("default", "a"), "enqueue"),
    ],
)
def test_a_key_that_names_nothing_is_refused_at_once(
    lab: crlab.Lab, sort: Any, key: Any, text: str
) -> None:
    """By add, and by its delayed forms; the workers go on."""
    seen: list[str] = []
    controller = lab.controller("configmaps", name="c", queue=sort)(
        lambda request, ctx: seen.append(str(request))
    )
    controller.start()
    for add in (
        controller.queue.add,
        lambda item: controller.queue.add_after(item, 1),
        controller.queue.add_rate_limited,
    ):
        with pytest.raises(ConfigError, match=text):
            add(key)
    lab.client.create("configmaps", {"metadata": {"name": "a", "namespace": "default"}})
    lab.settle()

    assert seen == ["default/a"]
    assert controller.controller.error is None


def test_a_cluster_scoped_key_has_no_namespace(lab: crlab.Lab) -> None:
    """And one that has is refused."""
    controller = lab.controller("namespaces", name="c")(lambda request, ctx: None)

    controller.queue.add("default")
    with pytest.raises(ConfigError, match="namespace"):
        controller.queue.add("default/a")


def test_a_snapshot_and_a_call_are_one_line_each(lab: crlab.Lab) -> None:
    """The last line of a cell is read by people."""

    @lab.controller("configmaps", name="c")
    def controller(request, ctx):  # type: ignore[no-untyped-def]
        ctx.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}})

    controller.queue.add("default/a")

    assert repr(controller.queue.snapshot()) == (
        "<QueueSnapshot c: processing: - | queued: default/a | delayed: ->"
    )
    record = controller.step()
    assert record is not None
    assert repr(record.calls) == "(<Call apply configmaps default/b (new)>,)"


@pytest.mark.parametrize("verb", ["create", "update", "apply", "update_status"])
@pytest.mark.parametrize("given", ["configmaps", 5, {}, {"kind": "ConfigMap"}])
def test_a_write_of_what_is_no_object_says_what_one_is(
    lab: crlab.Lab, verb: str, given: Any
) -> None:
    """Not an AttributeError from inside; nothing is sent."""

    @lab.controller("configmaps", name="c")
    def controller(request, ctx):  # type: ignore[no-untyped-def]
        getattr(ctx, verb)(given)

    record = controller.step("default/a")

    assert record is not None
    assert isinstance(record.error, ConfigError)
    assert "apiVersion and kind" in str(record.error)
    assert record.writes == []
