"""Writes and verifies checksums in the format of ``sha256sum``: one line for each file."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def checksum(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listing(folder: Path, sums: Mapping[Path, str]) -> str:
    """Returns a line for each file, with its name from `folder` on, in which ``sha256sum --check`` is to be run.

    Args:
        folder: Where the listing lies.
        sums: The SHA-256 of each file.
    """
    return "".join(f"{found}  {os.path.relpath(path, folder)}\n" for path, found in sums.items())


def changed(listed: Path, root: Path) -> Iterator[Path]:
    """Yields the files that are not as a listing says, and the listing itself where it cannot be read.

    Args:
        listed: The listing; one that does not exist lists nothing.
        root: Folder that the files must lie in.
    """
    if not listed.exists():
        return
    try:
        lines = listed.read_text(encoding="utf-8").splitlines()
        found = [_LINE.fullmatch(line) for line in lines]
        paths = [((listed.parent / line[2]).resolve(), line[1]) for line in found if line]
    except (OSError, ValueError):
        yield listed
        return
    if len(paths) < len(lines) or not paths:
        yield listed
    base = root.resolve()
    for path, expected in paths:
        if not path.is_relative_to(base):
            yield listed
        elif not path.is_file() or checksum(path) != expected:
            yield root / path.relative_to(base)
