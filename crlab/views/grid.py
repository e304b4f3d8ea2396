"""A small table with caption, column scopes and its own sideways scroll.

Thread: pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence

from crlab.model.escape import H, Markup


def grid(label: str, heads: Sequence[str | Markup], rows: Sequence[Markup]) -> Markup:
    """Return a table named `label`; a head is a ``th`` or the text of one; rows are ``tr``."""
    cells = [head if isinstance(head, Markup) else H.th(head, scope="col") for head in heads]
    table = H.table(H.caption(label, cls="sr"), H.thead(H.tr(cells)), H.tbody(list(rows)))
    return H.div(table, cls="scroll", tabindex=0, role="region", aria_label=label)
