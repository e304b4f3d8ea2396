"""What all views are: a source, a state, three forms of output, a life.

A view is text anywhere, static HTML where there is a notebook, and live widgets where
there is a kernel with a front end. Which one is decided when it is shown (display.py).

Guarantees:
  1. ``repr(view)`` is one line that depends on nothing but what the view is of.
  2. `state`, `to_text` and `to_html` see the effect of every command given before, in this
     view or another of the same lab.
  3. After `close` no message is sent; the output stays as static HTML. A closed view
     keeps its last state. Closing twice is fine, from any thread. (A page that was
     reloaded meanwhile no longer knows display ids: there the widget itself shows the
     last state; to save it as HTML, run the cell again.)
  4. Running a cell again closes the views that its previous run opened.
  5. An error of the source or of a command is shown in the view; the last good picture
     stays.

Thread: `render` on ``crlab-render``; callbacks of controls on whatever thread the kernel
chose: they set a value or enqueue a command, no more. `_lock` guards reading and panes.
"""

from __future__ import annotations

import atexit
import itertools
import threading
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar

from crlab.errors import CrlabError, describe_error
from crlab.model.escape import H, Markup, esc, joined, plain
from crlab.model.redaction import mask_text
from crlab.runtime import fork
from crlab.runtime.notebook_cell import ByCell
from crlab.runtime.teller import traceback_of
from crlab.views.header import static_page, static_text, status_html
from crlab.views.state import StatusState
from crlab.views.style import style_sheet
from crlab.widgets import display
from crlab.widgets.render_loop import COMMANDS, HEARTBEAT_SECONDS, RENDER, Sent, Ticket
from crlab.widgets.view_source import Source

MAX_BYTES = 64 * 1024
MAX_LIVE = 12
COMMAND_WAIT_SECONDS = 30.0

_numbers = itertools.count(1)
_registry_lock = fork.lock()
_born = fork.generation()
_open: list[View] = []
_by_cell: ByCell[str] = ByCell()  # display ids: a closed view is not kept alive


class Control:
    """An attribute of a view that is one of its ipywidgets, as `_controls` put it in `_boxes`."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, view: View | None, owner: type) -> Any:
        return self if view is None else view.control(self._name)


class View:
    """Base of the views; subclasses read their source and draw its state."""

    kind: ClassVar[str] = "View"

    def __init__(self, source: Source, *, title: str, owner: object = None) -> None:
        """Prepare; nothing is shown, subscribed or started yet.

        Args:
            title: what the view is of, e.g. a resource's name.
            owner: the lab; `close_all(owner)` closes its views.
        """
        self.title = title
        self.owner = owner
        self._source = source
        self._lock = threading.RLock()
        self._is_closed = False
        self._is_live = False
        self._last: Any = None
        self._message = ""
        self._tickets: list[Ticket] = []
        self.display_id = f"crlab-{self.kind.lower()}-{next(_numbers)}"
        self._unsubscribe: Callable[[], None] | None = None
        self._panes: dict[str, Any] = {}
        self._boxes: dict[str, Any] = {}  # the controls, by name
        self._sent: dict[str, str] = {}
        self._cost = Sent()
        self._beat = 0
        self._beat_at = 0.0
        self._root: Any = None
        self._disposables: list[Any] = []

    # --- what a subclass says -------------------------------------------------------------

    def _read(self) -> Any:
        """Return the source's state for the present query."""
        raise NotImplementedError

    def _text(self, state: Any) -> str:
        """Return the body as text."""
        raise NotImplementedError

    def _html(self, state: Any) -> Markup:
        """Return the body as HTML."""
        raise NotImplementedError

    def _controls(self) -> list[Any]:
        """Make the controls; called once, before the first live picture."""
        return []

    def control(self, name: str) -> Any:
        """Return a control by the name of its attribute, made if it was not yet."""
        self._build()
        return self._boxes[name]

    def _arrange(self, controls: list[Any], body: Any) -> list[Any]:
        """Return the widgets under the header, in order."""
        from crlab.widgets.control import row

        return [row([*controls, self._panes["note"]]), body]

    def _sync(self, state: Any) -> None:
        """Bring the controls in line with `state`; on the render thread."""

    def _note(self, state: Any) -> str:
        """Return what to say beside the controls, "" for nothing."""
        del state
        return ""

    # --- what users call ------------------------------------------------------------------

    def state(self) -> Any:
        """Return the frozen state that is on show, after every command given so far."""
        self.wait()
        return self._current()

    def to_text(self) -> str:
        """Return the whole view as text."""
        state = self.state()
        body = self._text(state)
        for note in (self._message, self._note(state)):
            if note and note not in body:
                body = body.rstrip("\n") + f"\n! {note}\n"
        return static_text(self._status(state), body, title=self._heading())

    def to_html(self) -> str:
        """Return the whole view as static HTML, style included."""
        return str(self._static_html(self.state()))

    def wait(self, timeout_seconds: float | None = COMMAND_WAIT_SECONDS) -> bool:
        """Wait for the commands given so far; False if the time ran out first.

        Those given in other views of the same lab count too: they act on the same state.
        """
        if COMMANDS.is_current:
            return False
        newest = COMMANDS.newest(self.owner)
        is_done = newest is None or newest.wait(timeout_seconds)
        return self._wait_for_own(timeout_seconds) and is_done

    def _wait_for_own(self, timeout_seconds: float | None) -> bool:
        """Wait for the commands of this view only: closing must not wait for another's."""
        if COMMANDS.is_current:
            return False
        tickets, self._tickets = self._tickets, []
        waited = [ticket.wait(timeout_seconds) for ticket in tickets]
        return all(waited)

    @property
    def widget(self) -> Any:
        """The ipywidgets box of this view, to put into another layout; starts it live."""
        self._go_live()
        return self._root

    @property
    def is_live(self) -> bool:
        """Whether it follows its source now."""
        return self._is_live and not self._is_closed

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed

    def show(self) -> None:
        """Show the view here, as `CRLAB_DISPLAY` or the environment asks for."""
        mode = display.display_mode()
        if self._is_closed or mode == "html":
            display.show(self._static_bundle(), self.display_id)
        elif mode == "text":
            display.show({"text/plain": self.to_text()}, self.display_id)
        else:
            self._go_live()
            display.show(self._live_bundle(), self.display_id)

    def close(self) -> None:
        """Stop following; leave the last state as static HTML. Idempotent."""
        self._close(shown=True)

    def give_way(self) -> None:
        """Close, and leave no picture: the output is another view's now."""
        self._close(shown=False)

    def _close(self, *, shown: bool) -> None:
        if not self._is_closed:
            self._wait_for_own(1.0)
            RENDER.remove(self)
        with self._lock:
            is_first = not self._is_closed
            if is_first:
                self._current()
                self._is_closed = True
        if is_first and self._unsubscribe is not None:
            self._unsubscribe()
        if is_first and self._is_live:
            display.replace(self._static_bundle(), self.display_id)
            self._dispose(self._last_picture() if shown else None)
        with _registry_lock:  # last: an interrupt before leaves it to the next `close_all`
            if self in _open:
                _open.remove(self)

    def __enter__(self) -> View:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        name = "".join(word[:1].upper() + word[1:] for word in self.kind.split())
        return f"{name}View({plain(self.title, limit=80)})"

    def _ipython_display_(self) -> None:
        self.show()

    # --- reading --------------------------------------------------------------------------

    def _current(self) -> Any:
        with self._lock:
            if self._is_closed:
                return self._last
            try:
                self._last = self._read()
            except Exception as error:
                if self._last is None:
                    raise
                self._message = self._told(error)
            return self._last

    def _status(self, state: Any) -> StatusState:
        status = getattr(state, "status", None)
        return status if isinstance(status, StatusState) else StatusState()

    def _heading(self) -> str:
        return f"{self.kind} · {self.title}"

    def _told(self, error: BaseException) -> str:
        if isinstance(error, CrlabError):
            return plain(f"{type(error).__name__}: {error}", limit=600)
        text = traceback_of(error) or describe_error(error)
        return plain(mask_text(text), limit=6000, multiline=True).rstrip()

    # --- commands -------------------------------------------------------------------------

    def _command(self, name: str, run: Callable[[], None]) -> Ticket:
        """Enqueue a command of a control."""
        ticket = COMMANDS.submit(name, run, self._finished, self.owner)
        self._tickets = [*(t for t in self._tickets if not t.is_done), ticket]
        return ticket

    def _perform(self, name: str, run: Callable[[], None]) -> None:
        """Run a command now for a cell: through the same queue, raising what it raises."""
        ticket = self._command(name, run)
        ticket.wait()
        if ticket.error is not None:
            raise ticket.error

    def _finished(self, ticket: Ticket) -> None:
        self._message = "" if ticket.error is None else self._told(ticket.error)
        RENDER.hasten(self)

    def _asked(self) -> None:
        """Note that a control changed what is asked for."""
        RENDER.hasten(self)

    # --- drawing --------------------------------------------------------------------------

    def render(self) -> Sent:
        """Write what changed to the panes; return what was sent. Render thread only."""
        with self._lock:
            self._cost = Sent()
            if self._is_closed or not self._panes:
                return self._cost
            try:
                self._draw(self._current())
            except Exception as error:  # noqa: BLE001 - one view must not stop the others
                self._message = self._told(error)
                self._put("note", self._note_html(self._message))
            return self._cost

    def _draw(self, state: Any) -> None:
        status = self._status(state)
        self._sync(state)
        head = status_html(status, title=self._heading(), live=True)
        now = RENDER.now()
        is_due = now - self._beat_at >= HEARTBEAT_SECONDS - 0.5
        if is_due or head != self._sent.get("bare head"):
            self._beat, self._beat_at = self._beat + 1, now
            self._sent["bare head"] = head
            self._put("head", H.div(head, cls="crlab is-live", data_beat=self._beat))
        self._put("note", self._note_html(self._message or self._note(state)))
        self._put("body", self._fitted(state))

    def _note_html(self, text: str) -> Markup:
        if not text:
            return Markup("")
        shown = esc(text, limit=4000, multiline=True)
        inner = H.pre(shown, tabindex=0) if "\n" in text else H.span("✖ ", shown)
        return H.div(H.div(inner, cls="note bad", role="alert"), cls="crlab")

    def _fitted(self, state: Any) -> Markup:
        body = self._wrapped(self._html(state))
        while len(body.encode("utf-8", "replace")) > MAX_BYTES:
            state = halved(state)
            if state is None:
                text = "too large to show live; to_text() and the frame have it all"
                return self._wrapped(H.div(text, cls="note warn"))
            body = self._wrapped(self._html(state))
        return body

    def _wrapped(self, body: Markup) -> Markup:
        return H.section(body, cls="crlab", aria_label=self._heading())

    def _put(self, name: str, html: Markup) -> None:
        if self._sent.get(name, "") == html:
            return
        self._sent[name] = html
        self._panes[name].value = str(html)
        self._cost.messages += 1
        self._cost.size_bytes += len(html)

    # --- live and static ------------------------------------------------------------------

    def _build(self) -> None:
        with self._lock:
            if self._root is not None:
                return
            from crlab.widgets.control import column, pane

            self._panes = {name: pane() for name in ("head", "note", "body")}
            style = pane(str(style_sheet()))
            controls = self._controls()
            body = self._arrange(controls, self._panes["body"])
            self._root = column([style, self._panes["head"], *body])
            self._disposables += [style, *self._panes.values(), self._root]
            self._sync(self._current())

    def _go_live(self) -> None:
        if self._is_closed or self._is_live:
            return
        self._build()
        self._is_live = True
        _enter(self)
        self.render()
        self._unsubscribe = self._source.subscribe(lambda: RENDER.mark(self))
        RENDER.add(self)

    def _live_bundle(self) -> dict[str, Any]:
        bundle = dict(self._root._repr_mimebundle_() or {})
        bundle["text/plain"] = repr(self)
        return bundle

    def _static_html(self, state: Any) -> Markup:
        note = self._note_html(self._message) if self._message else None
        body = joined([note, self._html(state)])
        return static_page(self._status(state), body, title=self._heading())

    def _static_bundle(self) -> dict[str, Any]:
        return {"text/plain": self.to_text(), "text/html": self.to_html()}

    def _last_picture(self) -> Any:
        """Return a pane with the last state, for pages that know no display id any more."""
        from crlab.widgets.control import pane

        html = self.to_html()
        return pane(html) if len(html) <= 2 * MAX_BYTES else None

    def _dispose(self, last: Any) -> None:
        """Close every widget but the outer box, if `last` is to stand in it."""
        from crlab.widgets.control import dispose

        made = [widget for widget in self._disposables if widget is not self._root]
        made += self._root.children
        if last is None:
            made.append(self._root)
        else:
            self._root.children = (last,)
        dispose(made)


def halved(state: Any) -> Any:
    """Return `state` with its longest tuple cut in half; None if there is nothing to cut."""
    if not is_dataclass(state) or isinstance(state, type):
        return None
    sizes = {
        f.name: len(value)
        for f in fields(state)
        if isinstance(value := getattr(state, f.name), tuple) and len(value) > 1
    }
    if not sizes:
        return None
    name = max(sizes, key=lambda field: sizes[field])
    return replace(state, **{name: getattr(state, name)[: sizes[name] // 2]})


def _enter(view: View) -> None:
    """Note a live view; close those it replaces, and the oldest where there are too many."""
    replaced = set(_by_cell.add(view.display_id))
    with _registry_lock:
        old = [each for each in _open if each.display_id in replaced]
        _open.append(view)
        is_full = len(_open) - len(old) > MAX_LIVE
        oldest = next(each for each in _open if each not in old) if is_full else None
    for each in old:
        each.give_way()
    if oldest is not None:
        oldest.close()


def open_views() -> list[View]:
    """Return the live views, oldest first."""
    with _registry_lock:
        return list(_open)


def close_all(owner: object = None) -> None:
    """Close every live view, or those of one owner; their outputs become static."""
    if _born != fork.generation():
        return  # they are shown by the parent
    for view in open_views():
        if owner is None or view.owner is owner:
            view.close()


atexit.register(close_all)
