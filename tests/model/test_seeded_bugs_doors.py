"""Bugs put into the doors on purpose: a promise must fail for each, or it promises nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest

import crlab
import crlab.controller.context
from crlab.controller.context import Context
from crlab.errors import ConfigError
from crlab.examples import myservice
from crlab.model.object import KubeObject
from crlab.report import rbac


@dataclass(frozen=True)
class SeededBug:
    """A bug, and the promise that it breaks."""

    name: str
    seed: Callable[[], AbstractContextManager[Any]]
    promise: Callable[[crlab.Lab], None]


def reconciled(lab: crlab.Lab, body: Callable[[Any], Any]) -> Any:
    """Reconcile the MyService once; return the controller."""
    made = lab.controller("myservices", name="test")(lambda request, ctx: body(ctx) and None)
    lab.settle()
    record = made.step("default/web")
    assert record is not None
    if record.error is not None:
        raise record.error
    return made


def an_async_handler_is_refused(lab: crlab.Lab) -> None:
    async def on_add(obj: Any, is_in_initial_list: bool) -> None:
        await asyncio.sleep(0)

    with pytest.raises(ConfigError):
        lab.informer("configmaps").add_event_handler(on_add=on_add)


def a_coroutine_is_not_true(lab: crlab.Lab) -> None:
    async def later() -> bool:
        return False

    answers = [later()]
    try:
        with pytest.raises(ConfigError):
            lab.wait_until(lambda: answers[0], 0)
    finally:
        answers[0].close()


def a_change_of_the_object_is_sent(lab: crlab.Lab) -> None:
    def body(ctx: Any) -> None:
        ctx.object.spec.replicas = 5
        ctx.update(ctx.object)

    reconciled(lab, body)
    assert lab.get("myservices", "web")["spec"]["replicas"] == 5


def an_audit_of_a_smaller_cache_finds_nothing(lab: crlab.Lab) -> None:
    def slim(obj: Any) -> Any:
        tree = obj.to_dict()
        del tree["metadata"]["resourceVersion"]
        return tree

    assert lab.informer("myservices", transform=slim).wait_for_sync().audit().empty


def a_cluster_scoped_child_is_refused(lab: crlab.Lab) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    with pytest.raises(ConfigError):
        reconciled(lab, lambda ctx: ctx.own({**role, "metadata": {"name": "r"}}))


def a_blocking_reference_is_in_the_role(lab: crlab.Lab) -> None:
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    made = reconciled(lab, lambda ctx: ctx.apply(ctx.own(child)))
    assert "finalizers" in str(lab.rbac(made))


def asking_again_starts_it(lab: crlab.Lab) -> None:
    lab.informer("configmaps", start=False)
    assert lab.informer("configmaps").wait_for_sync().has_synced


def fresh(run: Any) -> Any:
    """`ctx.object` as it was: another copy each time."""
    obj = run._current()
    return None if obj is None else run._reader.draft(run.resource, obj)


def patch(target: str, new: Any) -> Callable[[], AbstractContextManager[Any]]:
    """Put `new` in the place of something."""
    return lambda: mock.patch(target, new)


BUGS = [
    SeededBug(
        "async def is taken for a function",
        patch("crlab.model.argument._check_runs", lambda *args, **options: None),
        an_async_handler_is_refused,
    ),
    SeededBug(
        "what must be awaited passes for true",
        patch("crlab.lab.pace.checked_answer", lambda answer, what: answer),
        a_coroutine_is_not_true,
    ),
    SeededBug(
        "the object is a new copy at every access",
        lambda: mock.patch.object(Context, "object", property(fresh)),
        a_change_of_the_object_is_sent,
    ),
    SeededBug(
        "a transform decides what version is cached",
        patch(
            "crlab.cache.shared_informer.kept", lambda transform, obj: KubeObject.of(transform(obj))
        ),
        an_audit_of_a_smaller_cache_finds_nothing,
    ),
    SeededBug(
        "the child's scope is not looked at",
        patch(
            "crlab.controller.context.add_owner",
            lambda child, owner, home, place, add=crlab.controller.context.add_owner: add(
                child, owner, home
            ),
        ),
        a_cluster_scoped_child_is_refused,
    ),
    SeededBug(
        "owner references need no right",
        lambda: mock.patch.object(rbac, "_blocking", return_value=[]),
        a_blocking_reference_is_in_the_role,
    ),
    SeededBug(
        "an informer that is known is not started",
        patch("crlab.lab.informer.Informer.start", lambda self: self),
        asking_again_starts_it,
    ),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_promise_fails_for_each_bug(bug: SeededBug) -> None:
    """And holds without it."""
    for is_seeded in (False, True):
        with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
            lab.apply(myservice.CRD)
            lab.apply(myservice.EXAMPLE)
            if not is_seeded:
                bug.promise(lab)
                continue
            with (
                bug.seed(),
                pytest.raises((AssertionError, crlab.CrlabError, pytest.fail.Exception)),
            ):
                bug.promise(lab)
