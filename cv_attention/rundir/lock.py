"""Locks a file for this process alone, until it ends in any way or releases it."""

import os
from collections.abc import Callable
from pathlib import Path


def lock(path: Path) -> Callable[[], None] | None:
    """Locks a file, which is created where it does not exist.

    Where the system has POSIX record locks, forked children do not inherit the lock, so a process that is killed leaves
    it free even while its loader processes live on. Elsewhere filelock is used, whose lock children may inherit.

    Args:
        path: The file; a link is not followed.

    Returns:
        A function that releases the lock; None if another process holds it.

    Raises:
        OSError: if the file cannot be opened, or is a link.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return _lock_by_library(path)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(file)
        return None
    except OSError:  # a file system without locks, on which training is not protected
        pass
    return lambda: os.close(file)


def _lock_by_library(path: Path) -> Callable[[], None] | None:
    from filelock import FileLock, Timeout

    held = FileLock(path, thread_local=False)
    try:
        held.acquire(timeout=0)
    except Timeout:
        return None
    return held.release
