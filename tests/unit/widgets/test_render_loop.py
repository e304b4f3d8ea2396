"""The two threads behind all widgets."""

from __future__ import annotations

import threading

from crlab.widgets.render_loop import CommandLoop, RenderLoop, Sent, Ticket


def test_who_waits_for_a_command_finds_its_consequences_done() -> None:
    """`done` runs before the ticket is finished, with the error in it."""
    seen: list[bool] = []
    late = threading.Event()

    def done(ticket: Ticket) -> None:
        late.wait(0.02)
        seen.append(isinstance(ticket.error, ValueError) and not ticket.is_done)

    def fail() -> None:
        raise ValueError

    assert CommandLoop().submit("x", fail, done).wait(5)
    assert seen == [True]


def test_commands_run_in_order_and_the_thread_ends() -> None:
    """One after the other; nothing is left when all are done."""
    loop, order = CommandLoop(), []
    tickets = [
        loop.submit("x", lambda i=i: order.append(i), lambda ticket: None) for i in range(50)
    ]
    assert all(ticket.wait(5) for ticket in tickets)
    assert order == list(range(50))


def test_a_clean_view_is_not_drawn_and_a_dirty_one_is() -> None:
    """And after `remove` it is drawn no more."""

    class Drawn:
        def __init__(self) -> None:
            self.count = 0
            self.drawn = threading.Event()

        def render(self) -> Sent:
            self.count += 1
            self.drawn.set()
            return Sent()

    loop, view = RenderLoop(), Drawn()
    loop.add(view)
    assert view.drawn.wait(5)
    view.drawn.clear()
    assert not view.drawn.wait(0.2)
    loop.hasten(view)
    assert view.drawn.wait(5)
    loop.remove(view)
    count = view.count
    loop.mark(view)
    assert (view.count, loop._views) == (count, {})
