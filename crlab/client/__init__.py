"""Floor 2: talks to any API server.

`transport.py` is the seam to the wire, `list_watch.py` the one to the cache. Lists and
watches are read raw (`list_decoder.py`, `watch_decoder.py`); everything else goes through
`dynamic.py`. Read first: `transport.py`, `list_watch.py`. Nothing here imports the
kubernetes package or opens a socket at import.
"""

from crlab.client.applier import Applied
from crlab.client.config import ClientConfig, load_config
from crlab.client.discovery import Discovery
from crlab.client.dynamic import DynamicClient
from crlab.client.http import HttpTransport
from crlab.client.list_watch import (
    EndOfStream,
    ListerWatcher,
    ListOptions,
    ListPage,
    WatchEvent,
    WatchStream,
)
from crlab.client.lister_watcher import ResourceListerWatcher, ResourceWatch
from crlab.client.request_log import RequestLog, RequestRecord
from crlab.client.retry import retry_on_conflict
from crlab.client.transport import ByteStream, Response, Transport

__all__ = [
    "Applied",
    "ByteStream",
    "ClientConfig",
    "Discovery",
    "DynamicClient",
    "EndOfStream",
    "HttpTransport",
    "ListOptions",
    "ListPage",
    "ListerWatcher",
    "RequestLog",
    "RequestRecord",
    "ResourceListerWatcher",
    "ResourceWatch",
    "Response",
    "Transport",
    "WatchEvent",
    "WatchStream",
    "load_config",
    "retry_on_conflict",
]
