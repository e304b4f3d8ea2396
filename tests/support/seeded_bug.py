"""Twenty bugs of informers, seeded one at a time: the history test must notice them.

A test that catches none of them would be decoration. Each is a patch of the real code,
undone afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from unittest import mock

from msgspec.structs import replace

from crlab.cache import processor, reflector, reflector_state, revision
from crlab.cache.delta_fifo import DeltaFIFO
from crlab.cache.index import Index
from crlab.cache.listener import Listener, NotificationType
from crlab.cache.processor import Processor
from crlab.cache.real_fifo import RealFIFO
from crlab.cache.reflector import Reflector
from crlab.cache.reflector_message import Close, Collect, Empty, Replace
from crlab.cache.watch_verdict import Verdict, judge

machine = reflector_state
_advance, _judge = machine.advance, judge


def _without(*actions: type) -> Callable:
    def advance(state, happened, policy):
        new, due = _advance(state, happened, policy)
        return new, tuple(action for action in due if not isinstance(action, actions))

    return advance


def _skip_bad_events(event, last):
    verdict = _judge(event, last)
    if verdict.value.startswith(("an event", "a bookmark")):
        return Verdict.APPLY if event.object is not None else Verdict.BOOKMARK
    return verdict


def _version_past_the_bad(event, last):
    verdict = _judge(event, last)
    return Verdict.BOOKMARK if verdict is Verdict.NO_OBJECT else verdict


def _resume_for_ever(state, reason, policy):
    return machine._watch(state, Close())


def _reopen_after_410(state, failed, fault, policy):
    return machine._watch(state, Close())


def _forget_deletions(self, delta, is_initial):
    before = self._indexer.read().rows
    kept = {obj.key: obj for obj in delta.items}
    items = [*delta.items, *(obj for key, obj in before.items() if key not in kept)]
    _replace_all(self, replace(delta, items=items), is_initial)


_replace_all = Processor._replace_all


def _untold_deletions(self, notes):
    _tell(self, [note for note in notes if note.type is not NotificationType.DELETE])


_tell = Processor._tell


def _half_replace(self, items, delta, changed, gone):
    self._indexer.apply([(key, items[key]) for key in changed], delta.resource_version)


def _no_unavailable(state, policy, *, full=False):
    return _list(replace(state, is_version_unavailable=False), policy, full=full)


_list = machine._list


def _old_epoch(self, items, version, *, new_epoch, pages=0):
    if not new_epoch:
        _queue_replace(self, items, version, new_epoch=new_epoch, pages=pages)


_queue_replace = Reflector._queue_replace


def _drop_under_load(self, deltas, *, waking=True):
    if len(self) < 3:
        _add(self, deltas, waking=waking)


_add = RealFIFO.add


def _deaf_to_late(self, notes):
    _push(self, [note for note in notes if not note.is_in_initial_list])


_push = Listener.push


def _double_join(self, notes):
    _push(self, notes)
    _push(self, [note for note in notes if note.type is NotificationType.ADD])


def _trust_epoch(state, version, asked, policy):
    return machine._watch(
        machine._taken(state, revision.newest(state.last_version, version)),
        Collect(),
        Replace(version),
    )


BUGS: dict[str, list[tuple[object, str, object]]] = {
    "older events roll the cache back": [(Processor, "_is_old_news", lambda self, o, old: False)],
    "bad events are skipped": [(reflector, "judge", _skip_bad_events)],
    "the version moves over what was not applied": [(reflector, "judge", _version_past_the_bad)],
    "distrust never lists again": [(machine, "_distrusted", _resume_for_ever)],
    "410 is answered by the same watch": [(machine, "_watch_failed", _reopen_after_410)],
    "a relist forgets deletions": [(Processor, "_replace_all", _forget_deletions)],
    "inferred deletions are not told": [(Processor, "_tell", _untold_deletions)],
    "a relist leaves ghosts in the store": [(Processor, "_swap", _half_replace)],
    "an expired version is asked for for ever": [(machine, "_list", _no_unavailable)],
    "a revision that went back is not replaced": [(Reflector, "_queue_replace", _old_epoch)],
    "a lower list keeps the higher version": [(machine, "_complete", _trust_epoch)],
    "no idle limit": [(Reflector, "_check_silence", lambda self, reader: 0)],
    "the queue drops under load": [(RealFIFO, "add", _drop_under_load)],
    "late handlers are not replayed": [(Listener, "push", _deaf_to_late)],
    "adds are told twice": [(Listener, "push", _double_join)],
    "indices are not moved": [(Index, "put", lambda self, key, values: None)],
    "pages are not collected": [(machine, "advance", _without(Collect))],
    "the stream is not closed on a relist": [(machine, "advance", _without(Close))],
    "the classic queue ignores queued keys in a relist": [
        (DeltaFIFO, "_infer_locked", lambda self, listed, replaced: 0)
    ],
    "404 does not empty the cache": [(machine, "advance", _without(Empty))],
    "graves are forgotten": [(processor, "MAX_DELETED", 0)],
    "versions are compared as text": [(revision, "is_older", lambda left, right: left < right)],
}


@contextmanager
def seeded(name: str):
    """Put one bug in, for a block."""
    patches = [mock.patch.object(owner, field, bug) for owner, field, bug in BUGS[name]]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()
