"""Files named by a configuration, read without ever waiting for one.

Thread: any.
"""

from __future__ import annotations

import errno
import os
import stat


def read_regular(path: str, max_bytes: int) -> bytes:
    """Return at most `max_bytes` of a regular file.

    Raises:
        OSError: it cannot be read, or is a folder, a pipe or a device, which might be waited
            for without end; `strerror` says what.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except ValueError:
        raise OSError(errno.EINVAL, "its name holds a NUL") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file (a folder, a pipe or a device)")
        with os.fdopen(os.dup(handle), "rb") as file:
            return file.read(max_bytes)
    finally:
        os.close(handle)
