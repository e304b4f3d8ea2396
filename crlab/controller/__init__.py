"""Floor 4: from a queue of keys to a reconcile, running or taken by hand.

Triggers turn notifications into keys, workers (or `step`) turn keys into runs of the
user's function, and every run leaves a record of what it read, wrote and led to.
"""

from crlab.controller.breakpoint import Breakpoint, Breakpoints
from crlab.controller.call import Call, CallHook
from crlab.controller.context import Context
from crlab.controller.controller import Controller
from crlab.controller.draft import Draft
from crlab.controller.enqueue import Event, Mapper, Predicate
from crlab.controller.predicate import (
    all_of,
    annotations_changed,
    any_of,
    generation_changed,
    labels_changed,
    not_,
    resource_version_changed,
)
from crlab.controller.reconcile import Request, Result
from crlab.controller.recorder import EventRecorder
from crlab.controller.schema_help import SchemaNode, crd_schema
from crlab.controller.step_record import EventBack, StepRecord
from crlab.errors import TerminalError

__all__ = [
    "Breakpoint",
    "Breakpoints",
    "Call",
    "CallHook",
    "Context",
    "Controller",
    "Draft",
    "Event",
    "EventBack",
    "EventRecorder",
    "Mapper",
    "Predicate",
    "Request",
    "Result",
    "SchemaNode",
    "StepRecord",
    "TerminalError",
    "all_of",
    "annotations_changed",
    "any_of",
    "crd_schema",
    "generation_changed",
    "labels_changed",
    "not_",
    "resource_version_changed",
]
