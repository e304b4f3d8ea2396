"""The controls views use, each with a name a screen reader can say.

Thread: made on the caller's thread; their traits are later set by ``crlab-render`` only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets


def pane(value: str = "") -> Any:
    """Return an output pane; only escaped HTML is ever put in."""
    made = widgets.HTML(value=value, layout=widgets.Layout(margin="0", width="auto"))
    made.add_class("crlab-pane")
    return made


def button(
    text: str, pressed: Callable[[], object], *, says: str = "", style: str = "", width: str = ""
) -> Any:
    """Return a button; `pressed` must only enqueue. `says` is its longer explanation."""
    layout = widgets.Layout(width=width or "auto", margin="1px 2px")
    made = widgets.Button(description=text, tooltip=says or text, button_style=style, layout=layout)
    made.on_click(lambda _: pressed())
    return made


def toggle(text: str, changed: Callable[[bool], object], *, says: str = "") -> Any:
    """Return a button that stays down."""
    layout = widgets.Layout(width="auto", margin="1px 2px")
    made = widgets.ToggleButton(description=text, tooltip=says or text, layout=layout)
    made.observe(lambda change: changed(bool(change["new"])), names="value")
    return made


def text_box(
    label: str, changed: Callable[[str], object], *, hint: str = "", width: str = "340px"
) -> Any:
    """Return a labelled text box that tells when it is left or Enter is pressed."""
    made = widgets.Text(
        description=label,
        placeholder=hint,
        continuous_update=False,
        layout=widgets.Layout(width=width, margin="1px 2px"),
        style={"description_width": "auto"},
    )
    made.observe(lambda change: changed(str(change["new"])), names="value")
    return made


def choice(
    label: str, options: Sequence[Any], changed: Callable[[Any], object], *, width: str = "auto"
) -> Any:
    """Return a labelled drop-down; options are values or (label, value) pairs."""
    made = widgets.Dropdown(
        description=label,
        options=list(options),
        layout=widgets.Layout(width=width, margin="1px 2px"),
        style={"description_width": "auto"},
    )
    made.observe(lambda change: changed(change["new"]), names="value")
    return made


def number_box(label: str, changed: Callable[[int], object], *, width: str = "170px") -> Any:
    """Return a labelled box for a whole number."""
    made = widgets.BoundedIntText(
        description=label,
        min=0,
        max=0,
        layout=widgets.Layout(width=width, margin="1px 2px"),
        style={"description_width": "auto"},
        continuous_update=False,
    )
    made.observe(lambda change: changed(int(change["new"])), names="value")
    return made


def set_options(drop_down: Any, options: Sequence[Any]) -> None:
    """Give a drop-down new options, keeping its value where that is still one."""
    if list(drop_down.options) == list(options):
        return
    value = drop_down.value
    drop_down.options = list(options)
    values = [option[1] if isinstance(option, tuple) else option for option in options]
    if value in values:
        drop_down.value = value


def row(children: Sequence[Any]) -> Any:
    """Return a row that wraps."""
    layout = widgets.Layout(flex_flow="row wrap", align_items="center", overflow="visible")
    return widgets.HBox(list(children), layout=layout)


def column(children: Sequence[Any]) -> Any:
    """Return the view's outer box."""
    made = widgets.VBox(list(children), layout=widgets.Layout(overflow="visible"))
    made.add_class("crlab-view")
    return made


def dispose(made: Sequence[Any]) -> None:
    """Close widgets and all they contain, with their layouts and styles."""
    seen: set[int] = set()
    todo = list(made)
    while todo:
        widget = todo.pop()
        if id(widget) in seen or widget is None:
            continue
        seen.add(id(widget))
        todo += list(getattr(widget, "children", ()) or ())
        todo += [getattr(widget, "layout", None), getattr(widget, "style", None)]
        widget.close()


def layer(children: Sequence[Any], name: str, over: str) -> Any:
    """Return a box of class `name`: the first child, with the others in a box over it."""
    top = widgets.Box(list(children[1:]), layout=widgets.Layout(overflow="visible"))
    top.add_class(over)
    made = widgets.Box([children[0], top], layout=widgets.Layout(display="block"))
    made.add_class(name)
    return made
