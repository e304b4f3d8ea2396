"""An exception whose own `__str__` raises ends no thread, and is told all the same."""

from __future__ import annotations

import pytest
from support.poll import pause

import crlab
from crlab.errors import describe_error, error_text


class Mute(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class MuteExit(BaseException):
    """Worse: no Exception, and what its text raises is none either."""

    def __str__(self) -> str:
        raise SystemExit("no")

    __repr__ = __str__


class Sly(str):
    """A text that does not let itself be formatted."""

    def __format__(self, spec: str) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("kind", [Mute, MuteExit])
def test_handlers_workers_mappers_and_predicates_survive_an_error_without_a_text(kind):
    def fail(*_):
        raise kind

    told: list[str] = []
    with crlab.sandbox(controllers=False) as lab:
        informer = lab.informer("configmaps")

        def on_add(obj, is_in_initial_list):
            told.append(obj.key)
            raise kind

        informer.add_event_handler(on_add=on_add)

        @lab.controller(
            "configmaps",
            workers=2,
            watches={"secrets": fail},
            predicates=[fail] if kind is Mute else [],
            max_retries=1,
        )
        def reconcile(request, ctx):
            raise kind

        reconcile.start()
        for n in range(5):
            lab.client.create("configmaps", {"metadata": {"name": f"c{n}"}})
            lab.client.create("secrets", {"metadata": {"name": f"s{n}"}})
        while len(reconcile.given_up) < 5 or len(told) < 5:
            pause(0.01)
        lab.settle()
        assert informer.status.is_live
        assert f"{kind.__name__}: (its text cannot be had" in reconcile.given_up["default/c0"]
        assert "cannot be had" in informer.handlers.last_error.iloc[0]
        assert kind.__name__ in str(reconcile.history[-1])
        assert str(reconcile.explain("default/c0"))
        assert repr(reconcile.stepper())


def test_by_hand_such_an_error_is_a_record_like_any_other():
    with crlab.sandbox(driver="manual", seed=1) as lab:

        @lab.controller("configmaps")
        def reconcile(request, ctx):
            raise Mute

        def transform(obj):
            raise Mute

        kept = lab.informer("secrets", transform=transform)
        for resource in ("configmaps", "secrets"):
            lab.client.create(resource, {"metadata": {"name": "a"}})
        lab.settle()
        record = reconcile.step()
        assert isinstance(record.error, Mute)
        assert "Mute: (its text cannot be had: RuntimeError was raised)" in str(record)
        assert "cannot be had" in str(kept.shared.error)


def test_an_errors_text_is_a_plain_text():
    """Neither a subclass of str nor a repr that raises reaches whoever writes it down."""

    class Odd(Exception):
        def __str__(self):
            return Sly("odd")

    assert describe_error(Odd()) == "Odd: odd"
    assert type(error_text(Odd())) is str
    assert error_text(Mute(), repr) == "(its text cannot be had: RuntimeError was raised)"
    assert describe_error(ValueError()) == "ValueError"
    assert describe_error(None) == ""
