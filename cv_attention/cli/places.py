"""Checks that a command can write its output before it starts working. Creates nothing."""

import os
import tempfile
from pathlib import Path

from cv_attention.cli.errors import UserError


def check_folder(path: Path) -> None:
    """Raises UserError unless `path` is a writable folder, or can be created with its parents."""
    place = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
    if not place.is_dir():
        what = "it is a file; name a folder" if place == path else f"{place} is a file, not a folder"
        raise UserError(f"cannot write to {path}: {what}")
    _try(place, path)


def check_file(path: Path) -> None:
    """Raises UserError unless `path` can be written as a file in an existing folder."""
    if path.is_dir():
        raise UserError(f"cannot write to {path}: it is a folder; name a file")
    if not path.parent.is_dir():
        raise UserError(f"cannot write to {path}: folder not found: {path.parent}")
    _try(path.parent, path)


def _try(folder: Path, path: Path) -> None:
    try:
        tempfile.TemporaryFile(dir=folder).close()  # permissions do not bind root, and alone do not decide
    except OSError as error:
        raise UserError(f"cannot write to {path}: {folder} is not writable ({error.strerror})") from error
