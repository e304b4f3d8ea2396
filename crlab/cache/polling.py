"""Lists at intervals, for who may list but not watch; only where it was asked for.

The watch is tried again after a list, once in `WATCH_RETRY_SECONDS`; as soon as it is
allowed, there is no more polling. What a poll brings goes the way of every relist, so
handlers hear an update of each object at each poll, also of the unchanged ones.

Thread: pure functions on frozen values; the machine (`reflector_state.py`) decides by them.
Source: crlab's own; client-go knows no polling.
"""

from __future__ import annotations

from msgspec.structs import replace

from crlab.cache.reflector_message import Action, Phase, Policy, State, Step, Wait

WATCH_RETRY_SECONDS = 60.0


def cause(policy: Policy) -> str:
    """Return what the status says meanwhile."""
    return f"polling every {policy.poll_seconds or 0:g} s: watch is forbidden"


def polled(state: State, policy: Policy) -> State:
    """Return the state after one more list that was taken."""
    return replace(state, polls=state.polls + 1, cause=cause(policy))


def is_watch_due(state: State, policy: Policy) -> bool:
    """Whether the watch is to be tried after this list."""
    return state.polls * (policy.poll_seconds or 0.0) >= WATCH_RETRY_SECONDS


def rest(state: State, policy: Policy, *before: Action) -> Step:
    """Do nothing until the next list."""
    text = cause(policy)
    wait = Wait(text, exactly_seconds=policy.poll_seconds)
    return replace(state, phase=Phase.POLLING, cause=text, is_fresh=False), (*before, wait)


def limit_seconds(policy: Policy) -> float:
    """Return how old the last list may be for the cache to be live: two intervals."""
    return 2 * (policy.poll_seconds or 0.0)
