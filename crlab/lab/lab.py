"""What a user holds: one API server, one trace, one driver, and all that looks at it.

A lab is the shared informer factory: the same resource, namespace and selectors give the
same informer. It owns everything it made and `close` ends all of it, downstream last:
views, controllers, informers, the built-in controllers, the transport, the server.

Guarantees:
  1. After `close` no thread of this lab is left, except user code that does not return;
     its thread is named in the returned list.
  2. A call after `close` raises `AlreadyStopped`; `close` itself may be repeated.
  3. Nothing here prints.

Thread: any thread may call any method; `close` may be called from anywhere, a handler
included.
"""

from __future__ import annotations

from crlab.lab.parts import LabKind
from crlab.lab.sandbox import BranchingLab


class Lab(BranchingLab):
    """One API server and everything that looks at it. Made by `crlab.sandbox()` and others.

    Its verbs by layer: `core` (apply, get, delete, requests, close), `pace` (step, settle,
    advance, wait_until), `making` (informer, controller), `looking` (pipeline, explain,
    timeline, faults, record, live), `branching` (snapshot, fork, rewind, audit_log).
    """

    __slots__ = ()


__all__ = ["Lab", "LabKind"]
