"""A thousand reflectors that lost one server at once, in virtual time."""

from __future__ import annotations

from collections import Counter

from crlab.cache import reflector_state as machine
from crlab.cache.reflector_message import Begin, Ended, Failed, Phase, Policy, State, Wait
from crlab.errors import TransportError
from crlab.runtime.backoff import Backoff
from crlab.runtime.clock import FakeClock
from crlab.runtime.ids import Ids

REFUSED = TransportError("refused", phase="connect", refused=True)
POLICY = Policy(is_streaming=False, page_size=500, is_page_size_forced=False)


def _watching() -> State:
    return State(phase=Phase.WATCHING, last_version="7", has_listed=True)


def _comes_back_at(number: int, outage_seconds: float) -> float:
    """Follow one reflector's own decisions from the cut until a request after the outage."""
    clock = FakeClock()
    began = clock.monotonic()
    backoff = Backoff(clock, Ids(number))
    state, _ = machine.advance(_watching(), Ended(3, 60.0, None), POLICY)
    while True:
        at = clock.monotonic() - began
        if at >= outage_seconds:
            return at
        state, actions = machine.advance(state, Failed(REFUSED, is_in_stream=False, at=at), POLICY)
        assert any(isinstance(action, Wait) for action in actions)
        clock.advance(backoff.next_seconds())
        state, _ = machine.advance(state, Begin(), POLICY)


def reconnects_per_second(*, informers: int, outage_seconds: float) -> list[int]:
    """Return how many come back in each second after the server does."""
    seconds = Counter(int(_comes_back_at(n, outage_seconds)) for n in range(informers))
    return list(seconds.values())
