"""Floor 2: a Kubernetes API server in this process, faithful enough that kubectl cannot tell.

From: HTTP on loopback (`http_app.py`, the only user of aiohttp) or `ApiServer.handle` in-process.
Inside: `router.py` → `verb/` → `storage.py`, the append-only revision log on which a watch
(`watch.py`) is a cursor. What is served is data: `resource_type.py`, `kind/catalog.py`,
`crd/definition.py`. Read first: `storage.py`, then `server.py`.
"""

from crlab.apiserver.request import ADMIN, SYSTEM, HttpRequest, HttpResponse, Identity
from crlab.apiserver.server import ApiServer
from crlab.apiserver.status import Cause, StatusError
from crlab.apiserver.storage import Commit, Storage, StorageSnapshot, Stored
from crlab.apiserver.watch import WatchResponse

__all__ = [
    "ADMIN",
    "SYSTEM",
    "ApiServer",
    "Cause",
    "Commit",
    "HttpRequest",
    "HttpResponse",
    "Identity",
    "StatusError",
    "Storage",
    "StorageSnapshot",
    "Stored",
    "WatchResponse",
]
