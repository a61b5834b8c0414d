"""Writes files atomically: whole or not at all."""

import os
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview, *, durable: bool = False, keep: str | None = None) -> None:
    """Writes a file whole or not at all; makes its folder.

    Args:
        path: The file.
        content: What it is to hold.
        durable: Wait until the disk has it, so that a power cut leaves it whole too.
        keep: Name that the file of before gets, in the same folder; None overwrites it.

    Raises:
        OSError: naming the file, if it cannot be written; the one of before is unharmed then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.unlink(missing_ok=True)  # of a killed process; a link, in a run of somebody else, would lead elsewhere
        with os.fdopen(os.open(partial, _NEW, 0o666), "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    if keep and path.is_file():
        path.replace(path.with_name(keep))
    partial.replace(path)
    if durable and os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the renaming itself
        finally:
            os.close(folder)
