"""Where output goes: live widget, static HTML or text; shown by display id.

The ladder, from the environment alone: no IPython, or a terminal: text. A kernel: live
widgets. `CRLAB_DISPLAY` = widget | html | text decides otherwise (nbval and `make
notebooks` set html, so that outputs compare byte for byte).

Guarantees:
  1. A live view is replaced by its last state as static HTML when it is closed, so a
     saved notebook opens again with content.
  2. Without IPython nothing is shown and nothing fails; `to_text` and `to_html` remain.

Thread: `show` and `replace` on the thread of the caller (a cell); never the render thread.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from crlab.errors import ConfigError
from crlab.runtime.notebook_cell import running_shell

Mode = Literal["widget", "html", "text"]
VARIABLE = "CRLAB_DISPLAY"


def display_mode() -> Mode:
    """Return how views are shown here.

    Raises:
        ConfigError: `CRLAB_DISPLAY` is none of auto, widget, html, text.
    """
    wanted = os.environ.get(VARIABLE, "auto").strip().lower() or "auto"
    modes: dict[str, Mode] = {"widget": "widget", "html": "html", "text": "text"}
    if wanted in modes:
        return modes[wanted]
    if wanted != "auto":
        raise ConfigError(f"{VARIABLE}={wanted!r}: use auto, widget, html or text")
    shell = running_shell()
    return "widget" if getattr(shell, "kernel", None) is not None else "text"


def show(bundle: Mapping[str, Any], display_id: str) -> None:
    """Show a mime bundle under `display_id`; nothing without IPython."""
    if running_shell() is None:
        return
    from IPython.display import display

    display(dict(bundle), raw=True, display_id=display_id)  # type: ignore[no-untyped-call]


def replace(bundle: Mapping[str, Any], display_id: str) -> None:
    """Replace what is shown under `display_id`."""
    if running_shell() is None:
        return
    from IPython.display import update_display

    update_display(dict(bundle), raw=True, display_id=display_id)  # type: ignore[no-untyped-call]
