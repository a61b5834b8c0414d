"""Ends a command by SIGINT after Ctrl-C, even while it imports packages: only then does a shell end its loop."""

import atexit
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

INTERRUPTED = "cv-attention: interrupted"
_IMPORT_SYSTEM = "<frozen importlib._bootstrap>"


def end_imports_at_once() -> None:
    """Makes Ctrl-C end this process while it imports something, instead of raising KeyboardInterrupt there.

    Compiled modules cannot pass the exception on: torch aborts the process (``terminate called after throwing ...``),
    and NumPy reports that it is installed incorrectly. Elsewhere KeyboardInterrupt is raised as usual. Nothing is
    changed where SIGINT is ignored or handled by others.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def die_of_interrupt_at_exit() -> list[int]:
    """Registers the end by SIGINT for the time when Python has shut down; it happens if the returned list is filled."""
    ended: list[int] = []
    atexit.register(_die_after, ended)
    return ended


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _importing(frame):
        signal.default_int_handler(number, frame)
    os.write(2, f"{INTERRUPTED}\n".encode())
    _die()


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT_SYSTEM:
            return True
        frame = frame.f_back
    return False


def _die_after(ended: list[int]) -> None:
    if ended and os.name == "posix":
        _die()


def _die() -> None:
    with suppress(Exception):  # it may be closed, or the signal may have come while it was writing
        sys.stdout.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if os.name == "posix":
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(130)
