"""The words of trace records: one table, whoever tells them."""

from __future__ import annotations

import pytest

import crlab
from crlab.controller import Result, TerminalError
from crlab.examples import myservice
from crlab.trace.sentence import brief_of, rule_of, rule_of_outcome, sentence_of


def _raise(error: Exception):
    def reconcile(request, ctx):
        raise error

    return reconcile


@pytest.mark.parametrize(
    ("reconcile", "tries", "word"),
    [
        (lambda request, ctx: None, 1, "failures are forgotten"),
        (lambda request, ctx: Result(requeue_after_seconds=30), 1, "after the delay"),
        (lambda request, ctx: Result(requeue=True), 1, "after the delay"),
        (_raise(ValueError("x")), 1, "doubled each time"),
        (_raise(TerminalError("x")), 1, "not retried"),
        (_raise(ValueError("x")), 3, "max_retries"),
    ],
    ids=["done", "requeue after", "requeue", "retry", "terminal", "given up"],
)
def test_step_stepper_and_pipeline_teach_the_rule_of_what_happened(reconcile, tries, word):
    """A TerminalError does not come back after a back-off, and a key given up neither."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply([myservice.CRD, myservice.EXAMPLE])
        controller = lab.controller("myservices", max_retries=2)(reconcile)
        view = controller.stepper()
        for _ in range(tries):
            lab.settle()
            step = controller.step()
            lab.advance(1)

        assert word in step.rule
        assert view.state().step.rule == step.rule
        assert view.state().step.sentence == step.sentence
        assert rule_of(lab.trace.get(step.finished_seq)) == step.rule


def test_a_dry_run_has_its_own_rule():
    """Whatever would have become of the key."""
    rules = {rule_of_outcome(text, dry_run=True) for text in ("done", "retry in 1 s", "")}

    assert len(rules) == 1
    assert "no attempt" in rules.pop()


def test_every_record_of_a_session_has_a_sentence_of_its_own():
    """None is told by its bare kind."""
    with crlab.sandbox(seed=0, driver="manual") as lab:
        lab.apply([myservice.CRD, myservice.EXAMPLE])
        controller = myservice.controller(lab)
        controller.step(dry_run=True)
        controller.run()
        lab.faults.cut_watch()
        lab.informer("pods").audit()
        lab.settle()
        lab.advance(5)
        lab.settle()
        told = {(r.stage, r.kind): (sentence_of(r), brief_of(r)) for r in lab.trace}

    bare = [pair for pair, (text, _) in told.items() if text.startswith(f"{pair[0]}: {pair[1]}")]
    assert len(told) >= 15
    assert bare == []


def test_explain_and_timeline_use_the_same_few_words():
    """Beside stage and kind the same record reads the same."""
    with crlab.sandbox(seed=0, driver="manual", controllers=False) as lab:
        lab.apply([myservice.CRD, myservice.EXAMPLE])
        myservice.controller(lab).run()
        lab.settle()
        explained = lab.explain("default/web").df
        timeline = lab.timeline("default/web")

    same = explained.index.intersection(timeline.index)
    same = [seq for seq in same if timeline.loc[seq, "kind"] not in ("watch_event", "listed")]
    assert len(same) > 5
    assert list(explained.loc[same, "text"]) == list(timeline.loc[same, "what"])
