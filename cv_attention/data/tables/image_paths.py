"""Finds the images that a label file names."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cv_attention.data.sources.folder import EXTENSIONS
from cv_attention.data.tables.entries import Entry, brief

_TRIED = 16  # images that are looked for, to find the folder that all of them lie in
_FOLDERS = 100  # in which images are looked for
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def image_paths(entries: Sequence[Entry], folder: Path, root: Path, folders: Sequence[str]) -> list[str]:
    """Returns the path of each entry's image.

    Paths in a label file start from the folder of the file, one of `folders` in it, the folder above, or any other
    folder next to the file. None may lead out of the data set. Where no image is found, backslashes separate folders,
    as Windows writes them.

    Args:
        entries: Texts of one label file.
        folder: Folder of the label file.
        root: Folder of the data set.
        folders: Folders next to the label file in which the images may lie.

    Raises:
        FileNotFoundError: if the images lie in none of these folders.
        ValueError: if a path leads out of the data set; names the line.
    """
    top = os.path.abspath(root)
    places = (folder, *(folder / name for name in folders), folder.parent)
    usual = [start for start in map(os.path.abspath, places) if _within(start, top)]
    for windows in (False, True):
        written = [_with_slashes(entry) for entry in entries] if windows else entries
        tried = [written[i] for i in np.unique(np.linspace(0, len(written) - 1, _TRIED).astype(int))]
        for starts in (usual, _below(folder)):
            found = [sum(_is_there(start, entry, top) for entry in tried) for start in starts]
            if any(found):
                start = starts[found.index(max(found))]
                return [_join(start, entry, top) for entry in written]
        for entry in tried:
            _join(usual[0], entry, top)  # may say more
    first = entries[0]
    hint = "; paths must not start with a drive" if _DRIVE.match(first.image) else ""
    raise FileNotFoundError(
        f"{first.place}: image not found: '{brief(first.image)}' in '{usual[0]}' and the folders in it{hint}"
    )


def check_presence(entries: Sequence[Entry], paths: Sequence[str]) -> dict[str, int]:
    """Checks that all images exist, by listing each folder once.

    Args:
        entries: The texts.
        paths: The images' paths.

    Returns:
        The folders and the number of images in each, with or without a text.

    Raises:
        FileNotFoundError: if an image is missing; names the line and the path.
    """
    there: dict[str, set[str]] = {}
    missing: list[int] = []
    for place, path in enumerate(paths):
        folder, name = os.path.split(path)
        if folder not in there:
            there[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        if name not in there[folder] and not os.path.lexists(path):  # some file systems write a name differently
            missing.append(place)
    if missing:
        more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        first = entries[missing[0]]
        raise FileNotFoundError(f"{first.place}: image not found: '{brief(paths[missing[0]])}'{more}")
    return {folder: sum(name.lower().endswith(EXTENSIONS) for name in names) for folder, names in there.items()}


def _below(folder: Path) -> list[str]:
    """Returns the folders in a folder."""
    if not folder.is_dir():
        return []
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    return [os.path.abspath(folder / name) for name in names[:_FOLDERS]]


def _with_slashes(entry: Entry) -> Entry:
    return entry._replace(image=entry.image.replace("\\", "/"))


def _within(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


def _join(start: str, entry: Entry, top: str) -> str:
    if not entry.image or "\0" in entry.image:
        raise ValueError(f"{entry.place}: '{brief(entry.image)}' is not the name of an image")
    path = os.path.normpath(os.path.join(start, entry.image))
    if not _within(path, top):
        raise ValueError(f"{entry.place}: '{brief(entry.image)}' leads out of the data set's folder '{top}'")
    return path


def _is_there(start: str, entry: Entry, top: str) -> bool:
    try:
        return os.path.lexists(_join(start, entry, top))
    except ValueError:  # it leads out of the data set only from here
        return False
