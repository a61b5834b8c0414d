"""Checks that a command can write its output, before it starts to work. Creates nothing."""

import os
import tempfile
from pathlib import Path

from cv_attention.cli.errors import UserError


def check_folder(path: Path) -> None:
    """Raises UserError unless `path` is a folder that can be written to, or can be made with those above it."""
    place = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
    if not place.is_dir():
        what = "it is a file; name a folder" if place == path else f"{place} is a file, no folder"
        raise UserError(f"cannot write to {path}: {what}")
    _try(place, path)


def check_file(path: Path) -> None:
    """Raises UserError unless `path` can be written, as a file in a folder that exists."""
    if path.is_dir():
        raise UserError(f"cannot write to {path}: it is a folder; name a file")
    if not path.parent.is_dir():
        raise UserError(f"cannot write to {path}: there is no folder {path.parent}")
    _try(path.parent, path)


def _try(folder: Path, path: Path) -> None:
    try:
        tempfile.TemporaryFile(dir=folder).close()  # root may do what the permissions forbid, and not everywhere
    except OSError as error:
        raise UserError(f"cannot write to {path}: {folder} takes no files ({error.strerror})") from error
