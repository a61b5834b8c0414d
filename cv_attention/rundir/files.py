"""Writes files atomically: whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@contextmanager
def replacing(path: Path, *, durable: bool = False, keep: str | None = None) -> Iterator[BinaryIO]:
    """Opens a new file that takes the place of `path` once it is complete; makes its folder.

        with replacing(path) as file:
            file.write(content)

    The file is written as ``<name>.partial``, which an error removes; the previous file is unharmed then.

    Args:
        path: The file.
        durable: Wait until the disk has it, so that a power cut leaves it whole too.
        keep: Name that the previous file gets, in the same folder; None overwrites it.

    Raises:
        OSError: if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _partial(path) as partial:
        with os.fdopen(os.open(partial, _NEW, 0o666), "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if keep and path.is_file():
            path.replace(path.with_name(keep))
        partial.replace(path)
    if durable and os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the renaming itself
        finally:
            os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Writes a text as UTF-8, whole or not at all; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview, *, durable: bool = False, keep: str | None = None) -> None:
    """Writes a file whole or not at all; makes its folder.

    Args:
        path: The file.
        content: What it is to hold.
        durable: Wait until the disk has it, so that a power cut leaves it whole too.
        keep: Name that the previous file gets, in the same folder; None overwrites it.

    Raises:
        OSError: naming the file, if it cannot be written; the previous one is unharmed then.
    """
    try:
        with replacing(path, durable=durable, keep=keep) as file:
            file.write(content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def link_or_copy(source: Path, path: Path) -> None:
    """Makes `path` a hard link to `source`, or a copy where the file system has no links, whole or not at all."""
    with _partial(path) as partial:
        try:
            partial.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, partial)
        partial.replace(path)


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """Provides a free name next to `path`, and removes what is left under it after an error."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)  # of a killed process; a link, in a run of somebody else, would lead elsewhere
    try:
        yield partial
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
