"""What the reflector does next: a pure state machine, one input in, next state and actions out.

From: `reflector.py`, which performs the actions. To: nothing; no I/O, clock or thread here.

Guarantees:
  1. Every decision to retry, resume, list again or give up is made in this file.
  2. The resourceVersion moves only by a list that was replaced, an event that was handed
     on, or a bookmark that was believed (distrust; see `judge`).
  3. A list is replaced whole or not at all.

Differs from client-go, on purpose: an event that cannot be applied (undecodable, unknown
type, wrong kind, no object) is not skipped but ends the stream, which is resumed once and
then listed again (rules 15, 17); a silent stream ends at the idle limit, and after two
silent ones the server's revision is asked for; a list older than what is held is refused
once, then taken as a new epoch; 401 gets one immediate retry; a refused watch (403) is
retried without listing again, or polled for if that was asked for; 404 empties the cache
and is tried again after one second, later every few; the idle reset of the back-off is the
default.

Thread: pure functions on frozen values.
Source: kubernetes/client-go:tools/cache/reflector.go (rules 1-24),
kube-rs/kube:kube-runtime/src/watcher.rs (named states).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import dropwhile

from msgspec.structs import replace

from crlab.cache import polling, revision
from crlab.cache.reflector_message import (
    RESTING,
    Action,
    Begin,
    Close,
    Collect,
    Discard,
    Distrusted,
    Drifted,
    Empty,
    Ended,
    Failed,
    Health,
    InitialEnd,
    Input,
    List,
    Opened,
    PageRead,
    Phase,
    Policy,
    Renew,
    Replace,
    Report,
    Silent,
    Slept,
    State,
    Step,
    Stop,
    Wait,
    Watch,
)
from crlab.cache.watch_error import WatchFault, classify, retry_after_seconds
from crlab.client.list_watch import ListOptions
from crlab.errors import error_text

ANY_VERSION = "0"
LATEST = ""
VERY_SHORT_SECONDS = 1.0
GONE_FIRST_SECONDS = 1.0
GONE_CAP_SECONDS = 5.0  # a definition that is applied again is seen while somebody waits for it
UNAVAILABLE = (WatchFault.EXPIRED, WatchFault.TOO_LARGE)
UNLISTABLE = (*UNAVAILABLE, WatchFault.BAD_REQUEST)  # 400: it may be the version that is refused
SAME_VERSION = (WatchFault.REFUSED, WatchFault.THROTTLED)


# Transitions -----------------------------------------------------------------------------


def advance(state: State, happened: Input, policy: Policy) -> Step:
    """Return the next state and what to do, in order."""
    match happened:
        case Stop():
            return replace(state, phase=Phase.STOPPED), (Close(), Discard())
        case Begin():
            return _begin(state, policy)
        case PageRead():
            return _page_read(state, happened, policy)
        case Opened():
            return _opened(state)
        case InitialEnd():
            return _initial_end(state, happened, policy)
        case Failed():
            return _failed(state, happened, policy)
        case Ended():
            return _ended(state, happened, policy)
        case Distrusted():
            return _distrusted(state, happened.reason, policy)
        case Silent():
            return _silent(state, happened.reason, policy)
        case Slept():
            return _slept(state, happened, policy)
        case Drifted():
            return _drifted(state, happened.reason, policy)


def with_events(state: State, seen: Iterable[tuple[str, str]]) -> State:
    """Return the state after events or bookmarks, (type, version), were handed on.

    Synthetic ADDEDs of a watch that began at no version do not move it (rule 18).
    """
    if state.is_unordered:
        seen = list(dropwhile(lambda event: event[0] == "ADDED", seen))
    versions = [resource_version for _, resource_version in seen]
    is_unordered = state.is_unordered and not versions
    version = revision.newest_of(state.last_version, versions)
    was_silent = state.silent > 0
    return replace(
        state,
        last_version=version,
        is_unordered=is_unordered,
        distrusted=0,
        silent=0,
        health=Health.LIVE if was_silent else state.health,
        cause="" if was_silent else state.cause,
    )


def _begin(state: State, policy: Policy) -> Step:
    if state.phase is Phase.POLLING:
        return _list(state, policy)
    if state.phase is Phase.BACKING_OFF:
        if state.after is Phase.OPENING:
            return _watch(state)
        if state.after is Phase.LISTING:
            return _list(state, policy)
    return _round(state, policy)


def _round(state: State, policy: Policy) -> Step:
    """Start a new list-and-watch: streamed where wanted, else by pages."""
    if policy.is_streaming and not state.is_polling:
        return _stream(state)
    return _list(state, policy)


def _stream(state: State) -> Step:
    version = LATEST if state.is_version_unavailable else state.last_version
    options = ListOptions(
        resource_version=version or None,
        resource_version_match="NotOlderThan",
        send_initial_events=True,
        allow_watch_bookmarks=True,
    )
    return replace(state, phase=Phase.STREAMING_LIST, asked=options), (Watch(options),)


def _list(state: State, policy: Policy, *, full: bool = False) -> Step:
    """Ask for page one (rules 5-7); `full` asks for everything in one answer."""
    if full and state.first_page is not None:
        version = state.first_page.resource_version or LATEST
    elif state.is_version_unavailable:
        version = LATEST
    else:
        version = state.last_version or ANY_VERSION
    is_paged = policy.is_page_size_forced or state.is_paginated or version in (LATEST, ANY_VERSION)
    options = ListOptions(
        resource_version=version or None,
        limit=policy.page_size if is_paged and not full else None,
    )
    new = replace(state, phase=Phase.LISTING, asked=options, first_page=options, list_version="")
    return new, (Discard(), List(options))


def _watch(state: State, *before: Action) -> Step:
    version = state.last_version
    options = ListOptions(resource_version=version or None, allow_watch_bookmarks=True)
    new = replace(
        state,
        phase=Phase.OPENING,
        asked=options,
        is_unordered=version in (LATEST, ANY_VERSION),
    )
    return new, (*before, Watch(options))


def _page_read(state: State, page: PageRead, policy: Policy) -> Step:
    if state.phase is Phase.PROBING:
        return _probed(state, page.resource_version, policy)
    asked, first = state.asked, state.first_page
    assert asked is not None
    assert first is not None
    if not page.resource_version:
        return _back_off(state, Phase.LISTING, "the list carries no resourceVersion")
    if state.list_version and page.resource_version != state.list_version:
        new, actions = _list(state, policy, full=True)
        return new, (Report("two pages of one list are of different revisions"), *actions)
    if page.continue_token and page.continue_token == asked.continue_token:
        return _back_off(state, Phase.LISTING, "the list repeats its continue token")
    if page.continue_token:
        after = ListOptions(limit=asked.limit, continue_token=page.continue_token)
        new = replace(
            state,
            asked=after,
            list_version=page.resource_version,
            is_paginated=state.is_paginated or first.resource_version == ANY_VERSION,
        )
        return new, (Collect(), List(after))
    return _complete(state, page.resource_version, first.resource_version or "", policy)


def _complete(state: State, version: str, asked_version: str, policy: Policy) -> Step:
    """Take a finished list: refuse it, or replace with it and watch from there."""
    is_back = revision.is_older(version, state.last_version)
    if is_back and asked_version:
        new, actions = _list(replace(state, is_version_unavailable=True), policy)
        return new, (Report(_older(version, state.last_version)), *actions)
    taken = replace(_taken(state, version), is_fresh=True)
    done = Collect(), Replace(version, is_new_epoch=is_back)
    if taken.is_polling:
        taken = polling.polled(taken, policy)
        if not polling.is_watch_due(taken, policy):
            return polling.rest(taken, policy, *done)
    return _watch(taken, *done)


def _taken(state: State, version: str) -> State:
    return replace(
        state,
        last_version=version,
        is_version_unavailable=False,
        is_unordered=False,
        has_listed=True,
        health=Health.LIVE,  # a list just proved it; a watch that fails will say otherwise
        cause="",
        is_emptied=False,
        gone=0,
        has_retried_auth=False,
        distrusted=0,
        silent=0,
        first_page=None,
        list_version="",
    )


def _older(version: str, held: str) -> str:
    return f"the list is of revision {version}, older than {held} which is held already"


def _opened(state: State) -> Step:
    if state.phase is Phase.STREAMING_LIST:
        return state, ()
    return (
        replace(
            state,
            phase=Phase.WATCHING,
            health=Health.STALE if state.silent else Health.LIVE,
            cause=state.cause if state.silent else "",
            has_retried_auth=False,
            is_fresh=False,
            is_polling=False,
        ),
        (),
    )


def _initial_end(state: State, end: InitialEnd, policy: Policy) -> Step:
    asked = state.asked.resource_version if state.asked else ""
    is_back = revision.is_older(end.resource_version, state.last_version)
    if is_back and asked:
        flagged = replace(state, is_version_unavailable=True)
        new, actions = _round(flagged, policy)
        older = Report(_older(end.resource_version, state.last_version))
        return new, (older, Close(), Discard(), *actions)
    new = replace(_taken(state, end.resource_version), phase=Phase.WATCHING)
    return new, (Replace(end.resource_version, is_new_epoch=is_back),)


def _failed(state: State, failed: Failed, policy: Policy) -> Step:
    fault = classify(failed.error)
    if fault is WatchFault.NOT_FOUND:
        return _gone(state, failed.error, failed.served_as)
    if fault is WatchFault.UNAUTHORIZED and not state.has_retried_auth:
        return _retry_auth(state, policy)
    if state.phase is Phase.STREAMING_LIST:
        return _stream_failed(state, failed.error, fault, policy)
    if state.phase in (Phase.LISTING, Phase.PROBING):
        return _list_failed(state, failed.error, fault, policy)
    return _watch_failed(state, failed, fault, policy)


def _retry_auth(state: State, policy: Policy) -> Step:
    new = replace(state, has_retried_auth=True)
    if state.phase is Phase.STREAMING_LIST:
        new, actions = _stream(new)
    elif state.phase in (Phase.LISTING, Phase.PROBING):
        new, actions = _list(new, policy)
    else:
        new, actions = _watch(new)
    return new, (Close(), Discard(), Renew(), *actions)


def _stream_failed(state: State, error: BaseException, fault: WatchFault, policy: Policy) -> Step:
    """Rule 23: wait and retry, retry from the latest, or list by pages this round."""
    if fault in SAME_VERSION:
        return _back_off_for(state, Phase.STREAMING_LIST, error)
    if fault in UNAVAILABLE:
        if state.is_version_unavailable or not state.last_version:
            return _back_off_for(state, Phase.STREAMING_LIST, error)
        new, actions = _stream(replace(state, is_version_unavailable=True))
        return new, (Close(), Discard(), *actions)
    if fault is WatchFault.FORBIDDEN and policy.poll_seconds is not None:
        state = replace(state, is_polling=True, polls=0)
    new, actions = _list(state, policy)
    return new, (Report(error), Close(), *actions)


def _list_failed(state: State, error: BaseException, fault: WatchFault, policy: Policy) -> Step:
    asked = state.asked
    if fault is WatchFault.EXPIRED and asked is not None and asked.continue_token:
        return _list(state, policy, full=True)
    if fault in UNLISTABLE and not state.is_version_unavailable and state.last_version:
        return _list(replace(state, is_version_unavailable=True), policy)
    if fault is WatchFault.EXPIRED:
        state = replace(state, is_version_unavailable=True)
    return _back_off_for(state, Phase.IDLE, error)


def _watch_failed(state: State, failed: Failed, fault: WatchFault, policy: Policy) -> Step:
    """Rules 11 and 14."""
    if fault is WatchFault.FORBIDDEN and policy.poll_seconds is not None:
        return _poll(state, failed.error, policy)
    state = replace(state, is_polling=False)
    if fault in SAME_VERSION or fault is WatchFault.FORBIDDEN:
        return _back_off_for(state, Phase.OPENING, failed.error)
    if fault is WatchFault.INTERNAL and failed.is_in_stream and policy.internal_retry_seconds:
        since = state.internal_since
        if since is None or failed.at - since > 60.0 + policy.internal_retry_seconds:
            since = failed.at
        if failed.at - since <= policy.internal_retry_seconds:
            return _watch(replace(state, internal_since=since), Close())
    return _back_off_for(state, Phase.IDLE, failed.error)


def _poll(state: State, error: BaseException, policy: Policy) -> Step:
    """List instead of watching: now, or after a pause if a list was just read."""
    report = () if state.is_polling else (Report(error),)
    polls = replace(state, is_polling=True, polls=0)
    new, actions = polling.rest(polls, policy) if state.is_fresh else _list(polls, policy)
    return new, (*report, Close(), *actions)


def _ended(state: State, ended: Ended, policy: Policy) -> Step:
    is_short = ended.events == 0 and ended.lasted_seconds < VERY_SHORT_SECONDS
    if state.phase is Phase.STREAMING_LIST:
        if is_short:
            new, actions = _list(state, policy)
            return new, (Report("the initial events ended before they began"), Close(), *actions)
        new, actions = _stream(state)
        return new, (Close(), Discard(), *actions)
    if is_short:
        why = "very short watch: the stream closed within a second without an event"
        return _back_off(state, Phase.IDLE, why)
    return _watch(state, Close())


def _distrusted(state: State, reason: str, policy: Policy) -> Step:
    report = Report(reason)
    if state.phase is Phase.STREAMING_LIST:
        new, actions = _list(state, policy)
        return new, (report, Close(), *actions)
    if state.distrusted == 0:
        return _watch(replace(state, distrusted=1), report, Close())
    return _back_off(state, Phase.LISTING, reason)


def _silent(state: State, reason: str, policy: Policy) -> Step:
    if state.phase is Phase.STREAMING_LIST:
        new, actions = _list(state, policy)
        return new, (Report(reason), Close(), *actions)
    stale = replace(state, silent=state.silent + 1, health=Health.STALE, cause=reason)
    if stale.silent < 2:
        return _watch(stale, Close())
    options = ListOptions(limit=1)
    return replace(stale, phase=Phase.PROBING, asked=options), (Close(), List(options))


def _slept(state: State, slept: Slept, policy: Policy) -> Step:
    """Ask again at once, from where it was; never a list, for it may be a clock that was set."""
    if state.has_listed and state.health in (Health.LIVE, Health.STALE):
        cause = f"the machine slept for {slept.seconds:.0f} s"
        state = replace(state, health=Health.STALE, cause=cause)
    if slept.is_asking:
        return state, ()
    if state.phase in RESTING:
        return _begin(state, policy)
    if state.phase in (Phase.OPENING, Phase.WATCHING):
        return _watch(state, Close())
    if state.phase is Phase.STREAMING_LIST:
        new, actions = _stream(state)
        return new, (Close(), Discard(), *actions)
    return state, ()


def _drifted(state: State, reason: str, policy: Policy) -> Step:
    """List the newest, past every cache on the way, to be what the server is."""
    if state.phase not in (Phase.WATCHING, Phase.POLLING):
        return state, ()  # it lists anyway, or cannot
    doubted = replace(state, health=Health.STALE, cause=reason, is_version_unavailable=True)
    new, actions = _list(doubted, policy)
    return new, (Report(reason), Close(), *actions)


def _probed(state: State, version: str, policy: Policy) -> Step:
    if revision.is_older(version, state.last_version):
        new, actions = _list(replace(state, is_version_unavailable=True), policy)
        return new, (Report(f"the server's revision went back to {version}"), *actions)
    return _watch(replace(state, silent=0), Discard())


def _back_off_for(state: State, after: Phase, error: BaseException) -> Step:
    """Back off because of an error, with the health and the delay that fit it."""
    fault = classify(error)
    at_least = retry_after_seconds(error)
    health = Health.DEGRADED if state.has_listed else Health.STARTING
    if fault in (WatchFault.UNAUTHORIZED, WatchFault.FORBIDDEN):
        health = Health.FAILED
    cause = _cause(state, fault, error)
    new = _resting(state, after, health, cause)
    return new, (Report(error), Close(), Discard(), Wait(cause, at_least_seconds=at_least))


def _back_off(state: State, after: Phase, reason: str) -> Step:
    health = Health.DEGRADED if state.has_listed else Health.STARTING
    new = _resting(state, after, health, reason)
    return new, (Report(reason), Close(), Discard(), Wait(reason))


def _resting(state: State, after: Phase, health: Health, cause: str) -> State:
    return replace(
        state,
        phase=Phase.BACKING_OFF,
        after=after,
        health=health,
        cause=cause,
        is_fresh=False,
    )


def _gone(state: State, error: BaseException, served_as: tuple[str, ...]) -> Step:
    """404: what was there is deleted, once; look again soon, then every few seconds.

    Of another version the objects are still there: nothing is deleted then, nor are they
    shown in a schema that nobody asked for.
    """
    seconds = min(GONE_CAP_SECONDS, GONE_FIRST_SECONDS * 2.0 ** min(state.gone, 16))
    is_emptying = state.has_listed and not state.is_emptied and not served_as
    empty: tuple[Action, ...] = (Empty(),) if is_emptying else ()
    cause = f"the server {'no longer serves' if state.has_listed else 'does not serve'} this "
    if served_as:
        cause += f"version of the resource, but it does {', '.join(served_as)}: {error}"
    else:
        cause += f"resource: {error}"
    new = replace(
        state,
        phase=Phase.BACKING_OFF,
        after=Phase.IDLE,
        health=Health.GONE,
        cause=cause,
        is_emptied=state.is_emptied or is_emptying,
        gone=state.gone + 1,
        is_version_unavailable=True,
    )
    wait = Wait(cause, exactly_seconds=seconds)
    return new, (Report(error), Close(), Discard(), *empty, wait)


def _cause(state: State, fault: WatchFault, error: BaseException) -> str:
    if fault is WatchFault.UNAUTHORIZED:
        return f"auth: {error}"
    if fault is WatchFault.FORBIDDEN:
        is_list = state.phase in (Phase.LISTING, Phase.PROBING)
        verb = "list" if is_list else "watch"
        return f'missing permission: verb "{verb}": {error}'
    return error_text(error) or type(error).__name__
