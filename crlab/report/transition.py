"""One step of the pipeline, as a person reads it: what happened, and the rule behind it.

From: the trace records of one unit of work. To: `Lab.step`.

Thread: immutable; any.
"""

from __future__ import annotations

from dataclasses import dataclass

from crlab.model.escape import plain
from crlab.trace.record import TraceRecord
from crlab.trace.sentence import rule_of, sentence_of

# What a unit did is told by the most telling record it left, not by the last one.
TELLING = (
    ("reconcile", "finished"),
    ("handler", "error"),
    ("reflector", "error"),
    ("reflector", "listed"),
    ("reflector", "watch_event"),
    ("reflector", "bookmark"),
    ("indexer", "replaced"),
    ("indexer", "stored"),
    ("workqueue", "added"),
    ("handler", "notified"),
)


@dataclass(frozen=True, slots=True)
class Transition:
    """What `lab.step()` did; ``print(lab.step())`` is the sentence and the rule.

    Attributes:
        by: the stage that moved: "reflector …", "processor …", "listener …", "controller …".
        records: every trace record it left, oldest first; never empty.
    """

    by: str
    records: tuple[TraceRecord, ...]

    @property
    def record(self) -> TraceRecord:
        """The record that tells most of it."""
        for telling in TELLING:
            for record in reversed(self.records):
                if (record.stage, record.kind) == telling:
                    return record
        return self.records[-1]

    @property
    def sentence(self) -> str:
        """What happened, in one plain sentence."""
        return plain(sentence_of(self.record))

    @property
    def rule(self) -> str:
        """Why it happened so, in Kubernetes' terms; "" if there is nothing to say."""
        return rule_of(self.record)

    @property
    def seq(self) -> int:
        """Place in the trace: ``services.at(seq=lab.step().seq)``."""
        return self.records[-1].seq

    @property
    def at(self) -> float:
        """Wall time, seconds since the epoch, on the lab's clock."""
        return self.record.at

    @property
    def stage(self) -> str:
        """Which box of the pipeline moved: "reflector", "indexer", "handler", …"""
        return self.record.stage

    @property
    def kind(self) -> str:
        """What it was, in the trace's vocabulary: "watch_event", "stored", "added", …"""
        return self.record.kind

    @property
    def resource(self) -> str:
        """ "plural.group" it was about, "" if none."""
        return self.record.resource

    @property
    def key(self) -> str:
        """ "namespace/name" it was about, "" if none."""
        return self.record.key

    @property
    def resource_version(self) -> str:
        """Of the object it was about, "" if none."""
        return self.record.resource_version

    @property
    def causes(self) -> tuple[int, ...]:
        """Trace seqs of what led to it."""
        return self.record.causes

    def get(self, name: str, default: object = None) -> object:
        """Return one detail of the telling record, e.g. ``get("type")``."""
        return self.record.get(name, default)

    def __str__(self) -> str:
        return f"{self.sentence}\n  {self.rule}" if self.rule else self.sentence

    def __repr__(self) -> str:
        return f"<Transition {self.stage}.{self.kind}: {self.sentence}>"
