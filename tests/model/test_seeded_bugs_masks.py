"""Masks that are broken on purpose: the promise that must fail for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from crlab.errors import CrlabError
from crlab.model import diff as differences
from crlab.model import object, redaction
from crlab.model.object import KubeObject

SECRET = "hunter2-real"
CONFIG = b'{"kind":"ConfigMap","metadata":{"name":"a"},"data":{"password":"hunter2-real"}}'


def views_are_masked() -> None:
    """What the repr of a part of an object promises."""
    assert SECRET not in repr(KubeObject(CONFIG).data)


def shapes_are_found() -> None:
    """What the quick look promises."""
    token = "ghp_" + "a1B2" * 9
    assert token not in str(redaction.shown({"note": f"see {token}"}))


def changes_are_told() -> None:
    """What a difference promises: it is found on the truth, and told masked."""
    (change,) = differences.diff({"password": "one"}, {"password": "two"})
    assert "one" not in str(change)


def code_gets_the_truth() -> None:
    """What an informer promises; a mask in a draft would be written or refused."""
    import crlab

    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
                   "data": {"password": SECRET}})  # fmt: skip
        draft = lab.informer("configmaps").wait_for_sync().draft("default/a")
        lab.client.update("configmaps", draft)
        assert lab.client.get("configmaps", "a", namespace="default")["data"]["password"] == SECRET


BUGS: list[tuple[str, Callable[[], Any], Callable[[], None]]] = [
    (
        "views show what they hold",
        lambda: mock.patch.object(object, "_shown", lambda tree, view: tree),
        views_are_masked,
    ),
    (
        "the quick look knows fewer shapes than the scan",
        lambda: mock.patch.object(redaction, "may_hold_secret", lambda text: "AKIA" in text),
        shapes_are_found,
    ),
    (
        "differences are found on masks",
        lambda: mock.patch.object(
            differences, "_is_same_scalar",
            lambda old, new: len(str(old)) == len(str(new)),
        ),
        changes_are_told,
    ),
    (
        "objects of every kind are masked when they are taken in",
        lambda: mock.patch("crlab.lab.factory.holds_secrets", return_value=True),
        code_gets_the_truth,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("bug", "promise"), [b[1:] for b in BUGS], ids=[b[0] for b in BUGS])
def test_a_seeded_bug_breaks_a_promise(bug: Callable[[], Any], promise: Any) -> None:
    """And without the bug the promise holds."""
    promise()
    with bug(), pytest.raises((AssertionError, ValueError, CrlabError, ExceptionGroup)):
        promise()
