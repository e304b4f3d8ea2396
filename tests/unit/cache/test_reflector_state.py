"""The reflector's decisions, as pure steps: state and input in, state and actions out."""

from __future__ import annotations

from itertools import product

import pytest

from crlab.cache import reflector_message as message
from crlab.cache.reflector_message import Health, Phase, Policy, State
from crlab.cache.reflector_state import advance, with_events
from crlab.client.list_watch import ListOptions
from crlab.errors import DecodeError, TransportError, api_error

REQUESTS = (message.List, message.Watch, message.Wait)
ERRORS = [
    *[api_error(code, {}) for code in (400, 401, 403, 404, 410, 422, 429, 500, 503, 504)],
    TransportError("refused", phase="connect", refused=True),
    TransportError("cut", phase="watch"),
    DecodeError("odd"),
]


def state(phase, **changes):
    return State(
        phase=phase, asked=ListOptions(), first_page=ListOptions(), last_version="10", **changes
    )


@pytest.mark.parametrize(
    ("phase", "error", "has_listed"),
    list(
        product(
            [Phase.LISTING, Phase.STREAMING_LIST, Phase.OPENING, Phase.WATCHING, Phase.PROBING],
            ERRORS,
            [False, True],
        )
    ),
)
def test_every_failure_in_every_phase_leads_to_exactly_one_next_request_or_wait(
    phase, error, has_listed
):
    """No error edge is forgotten, none asks twice, and none moves the version."""
    new, actions = advance(state(phase, has_listed=has_listed), message.Failed(error), Policy())

    assert sum(isinstance(action, REQUESTS) for action in actions) == 1
    assert isinstance(actions[-1], REQUESTS)
    assert new.last_version == "10"


@pytest.mark.parametrize(
    ("phase", "error"),
    list(product([Phase.LISTING, Phase.STREAMING_LIST, Phase.OPENING, Phase.WATCHING], ERRORS)),
)
@pytest.mark.parametrize("is_polling", [False, True])
@pytest.mark.parametrize("is_fresh", [False, True])
def test_every_failure_of_who_may_poll_leads_to_exactly_one_next_request_or_wait(
    phase, error, is_polling, is_fresh
):
    """Fault 35: the same holds where polling was asked for, under way or not."""
    before = state(phase, has_listed=True, is_polling=is_polling, is_fresh=is_fresh)

    new, actions = advance(before, message.Failed(error), Policy(poll_seconds=10))

    assert sum(isinstance(action, REQUESTS) for action in actions) == 1
    assert isinstance(actions[-1], REQUESTS)
    assert new.last_version == "10"


def test_a_step_changes_nothing_but_returns_the_next_state():
    """States are values: the same step twice gives the same answer."""
    before = state(Phase.WATCHING)

    first = advance(before, message.Distrusted("odd"), Policy())

    assert advance(before, message.Distrusted("odd"), Policy()) == first
    assert before.distrusted == 0


def test_no_wait_follows_from_stop():
    """Stop is final from anywhere."""
    for phase in Phase:
        new, actions = advance(state(phase), message.Stop(), Policy())

        assert new.phase is Phase.STOPPED
        assert not any(isinstance(action, REQUESTS) for action in actions)


def test_a_list_without_a_version_is_refused():
    """It could not be watched from."""
    new, _ = advance(state(Phase.LISTING), message.PageRead(""), Policy())

    assert new.phase is Phase.BACKING_OFF
    assert not new.has_listed


@pytest.mark.parametrize(
    ("page", "what"),
    [(message.PageRead("11", "t2"), "pages"), (message.PageRead("10", "t1"), "token")],
)
def test_pages_that_do_not_fit_together_are_not_put_together(page, what):
    """Fault 28: another revision, or a token that repeats."""
    listing = State(
        phase=Phase.LISTING,
        asked=ListOptions(continue_token="t1"),
        first_page=ListOptions(),
        list_version="10",
    )

    _, actions = advance(listing, page, Policy())

    assert any(isinstance(a, message.Report) and what in str(a.error) for a in actions)
    assert not any(isinstance(a, message.Collect | message.Replace) for a in actions)


def test_the_version_never_goes_back_over_events():
    """Out of order across keys is fine."""
    seen = [("ADDED", "12"), ("MODIFIED", "11"), ("BOOKMARK", "12")]

    assert with_events(state(Phase.WATCHING), seen).last_version == "12"


def test_an_event_makes_a_stale_stream_live_again():
    """Present tense."""
    stale = state(Phase.WATCHING, silent=1, health=Health.STALE, cause="silent")

    new = with_events(stale, [("BOOKMARK", "11")])

    assert (new.health, new.silent, new.cause) == (Health.LIVE, 0, "")
