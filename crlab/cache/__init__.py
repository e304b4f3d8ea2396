"""Floor 3: the informer — Reflector → queue → processor → Indexer → handlers.

Promises: after faults clear the cache is what the server holds; every change reaches every
handler, in order per key; the reader never waits for a handler; no user code runs under a
lock; a failing server is asked at most once a second. Read first: `informer.py`, then
`reflector_state.py` (every decision), `processor.py` (the only writer of the cache).
"""

from crlab.cache.handler import HandlerRegistration
from crlab.cache.index import NAMESPACE_INDEX, meta_namespace_index
from crlab.cache.indexer import Indexer, Snapshot
from crlab.cache.informer_status import InformerState, InformerStatus
from crlab.cache.lister import Lister, NamespaceLister
from crlab.cache.reflector import Timing
from crlab.cache.shared_informer import SharedInformer, name_of, source_of
from crlab.cache.tombstone import DeletedFinalStateUnknown

__all__ = [
    "NAMESPACE_INDEX",
    "DeletedFinalStateUnknown",
    "HandlerRegistration",
    "Indexer",
    "InformerState",
    "InformerStatus",
    "Lister",
    "NamespaceLister",
    "SharedInformer",
    "Snapshot",
    "Timing",
    "meta_namespace_index",
    "name_of",
    "source_of",
]
