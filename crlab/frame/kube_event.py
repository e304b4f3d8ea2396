"""Kubernetes Events as a frame: both API groups, joined, sorted by when they were last seen.

Thread: pure functions.
Source: KEP 383 (events.k8s.io), kubectl events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from crlab.frame.array import texts
from crlab.frame.column import Column
from crlab.model.key import join_key
from crlab.model.object import KubeObject
from crlab.model.printer import dig, parse_time, text_of
from crlab.model.printer_builtin import (
    event_count,
    event_first,
    event_last,
    event_object,
    event_source,
    event_target,
)
from crlab.model.redaction import redact_object


def kube_events(
    events: Iterable[KubeObject], key: str | None = None, *, kind: str = "", uid: str = ""
) -> pd.DataFrame:
    """Return Events, the one seen last at the end; an event of both groups comes once.

    Args:
        events: objects of ``v1`` and of ``events.k8s.io/v1``, in any mixture.
        key: only those about "namespace/name" (or a cluster-scoped "name").
        kind, uid: only those about an object of this kind, of this uid.

    Shape: RangeIndex; last_seen, first_seen (datetime64[us, UTC]), type, reason, object,
        message (str), count (int64), source, event (str: the Event's own key).
    """
    chosen: dict[str, dict[str, Any]] = {}
    for event in events:
        tree = redact_object(event)
        target = event_target(tree)
        about = join_key(str(target.get("namespace") or ""), str(target.get("name") or ""))
        if key is not None and about != key:
            continue
        if kind and target.get("kind") != kind:
            continue
        if uid and target.get("uid") != uid:
            continue
        chosen[event.uid or event.key] = {**tree, "$key": event.key}
    rows = sorted(
        chosen.values(), key=lambda tree: (parse_time(event_last(tree)) or 0.0, tree["$key"])
    )
    date = Column("time", "date")
    return pd.DataFrame(
        {
            "last_seen": date.encode([event_last(tree) for tree in rows]),
            "first_seen": date.encode([event_first(tree) for tree in rows]),
            "type": texts(text_of(tree.get("type")) for tree in rows),
            "reason": texts(text_of(tree.get("reason")) for tree in rows),
            "object": texts(event_object(tree) for tree in rows),
            "message": texts(
                text_of(tree.get("message") or dig(tree, "note")).strip() for tree in rows
            ),
            "count": np.array([event_count(tree) for tree in rows], dtype=np.int64),
            "source": texts(event_source(tree) for tree in rows),
            "event": texts(tree["$key"] for tree in rows),
        }
    )
