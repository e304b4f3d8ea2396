"""The test of own writes is no decoration: seeded bugs make it fail."""

from __future__ import annotations

from contextlib import ExitStack
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from support.own_writes import OwnWrites

from crlab.cache.shared_informer import SharedInformer
from crlab.controller import call_recorder, overlay
from crlab.controller.overlay import MutationOverlay
from crlab.controller.reader import CacheReader

QUICK = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    phases=[Phase.generate],
    database=None,
    derandomize=True,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


def _of_the_reflector(self, namespace):
    return next(x.state.last_version for x in self._reflectors if x.scope == namespace)


def _of_the_newest_namespace(self, namespace):
    return max(self.indexer.versions.values(), key=int, default="")


def _cached_only(self, resource, index, value):
    return self._informers[resource.gvr.group_resource].indexer.by_index(index, value)


_written_by = call_recorder.written_by


def _no_collections(verb, *arguments):
    return [] if verb == "deletecollection" else _written_by(verb, *arguments)


def _as_soon_as_absent(self, held, cache_version):
    return _is_passed(self, held, cache_version) or (self.uid != "" and held is None)


_is_passed = overlay._OwnWrite.is_passed

BUGS = {
    "the cache is where the reflector is": [
        (SharedInformer, "resource_version_in", _of_the_reflector)
    ],
    "a stalled namespace is where the newest is": [
        (SharedInformer, "resource_version_in", _of_the_newest_namespace)
    ],
    "own deletions are not seen": [
        (MutationOverlay, "deleted", lambda self, *arguments, **options: None)
    ],
    "own deletions of a collection are not seen": [(call_recorder, "written_by", _no_collections)],
    "an index knows no own writes": [(CacheReader, "by_index", _cached_only)],
    "a deletion is forgotten before the cache saw its object": [
        (overlay._OwnWrite, "is_passed", _as_soon_as_absent)
    ],
    "reads of the server are forgotten": [
        (CacheReader, "learn_read", lambda self, *arguments: None)
    ],
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_caught(bug):
    """Each of them; the same machine passes without it (test_own_writes)."""
    with ExitStack() as stack:
        for owner, field, replaced in BUGS[bug]:
            stack.enter_context(mock.patch.object(owner, field, replaced))
        with pytest.raises(AssertionError):
            run_state_machine_as_test(OwnWrites, settings=QUICK)
