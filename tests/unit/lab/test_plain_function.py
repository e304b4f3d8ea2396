"""A function that only makes something to await never runs: each door says so at once."""

from __future__ import annotations

import asyncio
import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import crlab
from crlab.cache import Indexer
from crlab.client.config import from_configuration
from crlab.controller.predicate import all_of, any_of, not_
from crlab.errors import ConfigError
from crlab.frame.column import Column
from crlab.frame.live import live
from crlab.lab.informer import Informer
from crlab.model.argument import checked_answer
from crlab.testing import assert_converges
from crlab.workqueue import WorkQueue


async def later(*args: Any, **options: Any) -> bool:
    """Never runs unless somebody awaits it."""
    return False


async def stream(*args: Any) -> Any:
    """The same, of many values."""
    yield False


class Callee:
    """An object that is called, and must be awaited."""

    async def __call__(self, *args: Any, **options: Any) -> bool:
        return False


KINDS = {
    "async def": later,
    "partial": functools.partial(functools.partial(later), *()),
    "object": Callee(),
    "method": Callee().__call__,
    "generator": stream,
}
Door = Callable[[crlab.Lab, Informer, Any], Any]


class Hook:
    """A hook whose two halves are given."""

    def __init__(self, before: Any) -> None:
        self.before = before
        self.after = lambda call: None


class Configuration:
    """Of a library whose functions must be awaited."""

    ssl_ca_cert = tls_server_name = proxy = cert_file = key_file = None
    verify_ssl, host, username, refresh_api_key_hook = True, "https://a", "", None
    api_key = {"BearerToken": "x"}  # noqa: RUF012

    def __init__(self, get: Any) -> None:
        self.get_api_key_with_prefix = get


def reconciled(lab: crlab.Lab, run: Callable[[Any], Any]) -> None:
    """Call something of a reconcile's context; raise what the run ended with."""
    lab.client.create("configmaps", {"metadata": {"name": "a"}})
    controller = lab.controller("configmaps", name="c")(lambda request, ctx: run(ctx))
    lab.settle()
    record = controller.step()
    assert record is not None
    assert record.error is not None
    raise record.error


def controller_of(lab: crlab.Lab) -> Any:
    """Any controller."""
    return lab.controller("configmaps", name="any")(lambda request, ctx: None)


DOORS: dict[str, Door] = {
    "on_add": lambda lab, maps, f: maps.add_event_handler(on_add=f),
    "on_update": lambda lab, maps, f: maps.add_event_handler(on_update=f),
    "on_delete": lambda lab, maps, f: maps.shared.add_event_handler(on_delete=f),
    "transform": lambda lab, maps, f: lab.informer("pods", transform=f),
    "set_transform": lambda lab, maps, f: lab.informer("pods", start=False).shared.set_transform(f),
    "watch_error_handler": lambda lab, maps, f: lab.informer("pods", watch_error_handler=f),
    "set_watch_error_handler": lambda lab, maps, f: lab.informer(
        "pods", start=False
    ).shared.set_watch_error_handler(f),
    "index": lambda lab, maps, f: lab.informer("pods", indexers={"x": f}),
    "index of the same informer": lambda lab, maps, f: lab.informer(
        "configmaps", indexers={"x": f}
    ),
    "add_indexers": lambda lab, maps, f: Indexer().add_indexers({"x": f}),
    "add_change_listener": lambda lab, maps, f: maps.indexer.add_change_listener(f),
    "lister": lambda lab, maps, f: maps.lister.list(f),
    "lister of a namespace": lambda lab, maps, f: maps.lister.namespace("default").list(f),
    "column": lambda lab, maps, f: lab.informer("configmaps", columns={"x": f}),
    "with_columns": lambda lab, maps, f: maps.with_columns({"x": f}),
    "typed column": lambda lab, maps, f: maps.with_columns([Column("x", "string", value=f)]),
    "reconcile": lambda lab, maps, f: lab.controller("configmaps")(f),
    "predicate": lambda lab, maps, f: lab.controller("configmaps", predicates=[f]),
    "any_of": lambda lab, maps, f: any_of(f),
    "all_of": lambda lab, maps, f: all_of(f),
    "not_": lambda lab, maps, f: not_(f),
    "mapper": lambda lab, maps, f: lab.controller("configmaps", watches={"pods": f}),
    "breakpoint": lambda lab, maps, f: controller_of(lab).breakpoints.add(condition=f),
    "hook": lambda lab, maps, f: controller_of(lab).controller.add_hook(Hook(f)),
    "scenario": lambda lab, maps, f: lab.stress(controller_of(lab), scenario=[f]),
    "wait_until": lambda lab, maps, f: lab.wait_until(f),
    "what was waited for": lambda lab, maps, f: lab.wait_until(lambda: False, what=f),
    "live": lambda lab, maps, f: lab.live(f),
    "live frame": lambda lab, maps, f: live(f),
    "on_close": lambda lab, maps, f: lab.on_close(f),
    "tap": lambda lab, maps, f: lab.trace.tap(f),
    "touch": lambda lab, maps, f: WorkQueue("q", clock=lab.clock, touch=f),
    "retry_on_conflict": lambda lab, maps, f: lab.client.retry_on_conflict(f),
    "assert_converges": lambda lab, maps, f: assert_converges(lab, controller_of(lab), f),
    "ctx.modify": lambda lab, maps, f: reconciled(
        lab, lambda ctx: ctx.modify("configmaps", "a", f)
    ),
    "ctx.retry_on_conflict": lambda lab, maps, f: reconciled(
        lab, lambda ctx: ctx.retry_on_conflict(f)
    ),
    "a Configuration": lambda lab, maps, f: from_configuration(Configuration(f)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_door_refuses_a_function_that_must_be_awaited(lab: crlab.Lab, kind: str) -> None:
    """As a reconcile is refused: where it is given, by one sentence that names it."""
    maps = lab.informer("configmaps").wait_for_sync()
    taken = {}
    for name, door in DOORS.items():
        try:
            door(lab, maps, KINDS[kind])
        except ConfigError as error:
            if "must be a plain function" not in str(error) or "async def" not in str(error):
                taken[name] = str(error)
        else:
            taken[name] = "nothing was said"
        if "ctx." in name:
            lab.client.delete("configmaps", "a")
    assert taken == {}


def test_a_generator_is_refused_where_nothing_goes_through_it(lab: crlab.Lab) -> None:
    """It runs no more than a coroutine does; an index and a mapper are gone through."""

    def yields(*args: Any) -> Any:
        yield "default/a"

    for name in ("on_add", "transform", "predicate", "live", "wait_until", "on_close"):
        maps = lab.informer("configmaps").wait_for_sync()
        with pytest.raises(ConfigError, match="yields, and nothing goes through"):
            DOORS[name](lab, maps, yields)
    indexed = lab.informer("configmaps", indexers={"x": lambda obj: (yield obj.name)})
    lab.client.create("configmaps", {"metadata": {"name": "a"}})
    lab.settle()
    assert indexed.indexer.index_values("x") == ["a"]
    made = lab.controller("pods", watches={"configmaps": yields})(lambda request, ctx: None)
    lab.settle()
    assert [key.key for key in made.queue.snapshot().keys] == ["default/a"]


def test_every_callable_of_the_front_door_is_in_the_table() -> None:
    """A parameter that takes a function has its row above, or is no user's."""
    rows = " ".join(DOORS)
    known = {"on_add", "on_update", "on_delete", "transform", "indexers", "watches", "predicates"}
    known |= {"predicate", "what", "function", "callback", "scenario", "reconcile"}
    found = {
        name
        for kind in (crlab.Lab, Informer)
        for _, method in inspect.getmembers(kind, inspect.isfunction)
        if not method.__name__.startswith("_")
        for name, parameter in inspect.signature(method).parameters.items()
        if "Callable" in str(parameter.annotation)
    }
    assert found <= known, found - known
    assert "predicate" in rows


# -- a plain function that answers with something to await ----------------------------------


def test_a_handler_that_returns_a_coroutine_failed(lab: crlab.Lab) -> None:
    """Nothing ran; a task, which runs by itself, is another matter."""
    maps = lab.informer("configmaps").wait_for_sync()
    task = asyncio.Future(loop=asyncio.new_event_loop())
    bad = maps.add_event_handler(on_add=lambda obj, is_initial: later(), name="bad")
    good = maps.add_event_handler(on_add=lambda obj, is_initial: task, name="good")
    lab.client.create("configmaps", {"metadata": {"name": "a"}})
    lab.settle()
    assert (bad.error_count, good.error_count) == (1, 0)
    assert "on_add returned a coroutine, which nothing awaits" in str(bad.errors[0])
    task.get_loop().close()


def test_a_predicate_that_returns_a_coroutine_is_told(lab: crlab.Lab) -> None:
    """The event passes, as with one that raises; combined ones look as closely."""
    for number, predicate in enumerate((lambda e: later(), not_(lambda e: later()))):
        lab.controller("configmaps", predicates=[predicate], name=f"c{number}")(
            lambda request, ctx: None
        )
    lab.client.create("configmaps", {"metadata": {"name": "a"}})
    lab.settle()
    told = [r.get("error") for r in lab.trace if r.kind == "predicate_failed"]
    assert len(told) == 2
    assert all("a predicate returned a coroutine" in text for text in told)


def test_a_mapper_and_an_index_that_return_coroutines_are_told(lab: crlab.Lab) -> None:
    """And nothing is enqueued or indexed."""
    maps = lab.informer("configmaps", indexers={"x": lambda obj: later()})
    made = lab.controller("pods", watches={maps: lambda obj: later()})(lambda request, ctx: None)
    lab.client.create("configmaps", {"metadata": {"name": "a"}})
    lab.settle()
    assert maps.indexer.index_errors > 0
    assert "an index function returned a coroutine" in str(maps.indexer.last_error)
    assert "a mapper returned a coroutine" in str(
        [r.get("error") for r in lab.trace if r.kind == "mapper_failed"]
    )
    assert made.queue.snapshot().keys == []


ANSWERS: dict[str, Door] = {
    "wait_until": lambda lab, maps, f: lab.wait_until(lambda: f()),
    "live": lambda lab, maps, f: lab.live(lambda: f()).value,
    "lister": lambda lab, maps, f: maps.lister.list(lambda obj: f()),
    "retry_on_conflict": lambda lab, maps, f: lab.client.retry_on_conflict(lambda: f()),
    "assert_converges": lambda lab, maps, f: assert_converges(lab, controller_of(lab), lambda: f()),
    "ctx.modify": lambda lab, maps, f: reconciled(
        lab, lambda ctx: ctx.modify("configmaps", "a", lambda obj: f())
    ),
    "ctx.retry_on_conflict": lambda lab, maps, f: reconciled(
        lab, lambda ctx: ctx.retry_on_conflict(lambda: f())
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_to_be_awaited_is_an_error_and_leaves_no_warning(
    lab: crlab.Lab, name: str
) -> None:
    """It would pass for true, and never run."""
    lab.client.create("configmaps", {"metadata": {"name": "b"}})
    maps = lab.informer("configmaps").wait_for_sync()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConfigError, match="returned a coroutine, which nothing awaits"):
            ANSWERS[name](lab, maps, later)
        with pytest.raises(ConfigError, match="async_generator, which nothing awaits"):
            checked_answer(stream(), "it")


def test_a_breakpoint_whose_condition_must_be_awaited_stops() -> None:
    """As one that raises: the stop shows that something is wrong."""
    with crlab.sandbox(driver="manual") as lab:
        made = controller_of(lab)
        made.breakpoints.add(condition=lambda key, attempt: later())
        assert made.breakpoints.met("default/a", 1) is not None
