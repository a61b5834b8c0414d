"""Finds the images that a label file names."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cv_attention.data.sources.folder import EXTENSIONS
from cv_attention.data.tables.entries import Entry, brief
from cv_attention.data.tables.present import Present

_TRIED = 16  # images that are looked for, to find the folder that all of them lie in
_FOLDERS = 100  # in which images are looked for
_ELSEWHERE = re.compile(r"[A-Za-z]:[\\/]|\\\\|/|~|[A-Za-z]+://")  # how a path of another place begins


def image_paths(
    entries: Sequence[Entry], folder: Path, root: Path, folders: Sequence[str], elsewhere: str = ""
) -> list[str]:
    """Returns the path of each entry's image.

    Paths in a label file start from the folder of the file, one of `folders` in it, the folder above, or any other
    folder next to the file. None may lead out of the data set. Where an image is not found as it is written,
    backslashes separate folders, as Windows writes them; then capitals, the encoding of accents, and dots and spaces at
    the end of names make no difference, if one file alone is meant.

    Args:
        entries: Texts of one label file.
        folder: Folder of the label file.
        root: Folder of the data set.
        folders: Folders next to the label file in which the images may lie.
        elsewhere: End of a message about images that lie in none of them: how to name their folder.

    Raises:
        FileNotFoundError: if the images lie in none of these folders.
        ValueError: if a path leads out of the data set; names the line.
    """
    present = Present(os.path.abspath(root))
    places = (folder, *(folder / name for name in folders), folder.parent)
    usual = [start for start in map(os.path.abspath, places) if _within(start, present.top)]
    tried = [entries[i] for i in np.unique(np.linspace(0, len(entries) - 1, _TRIED).astype(int))]
    for alike in (False, True):
        for starts in (usual, _below(folder)):
            found = [sum(_found(present, start, entry, alike) is not None for entry in tried) for start in starts]
            if any(found):
                start = starts[found.index(max(found))]
                return [_placed(present, start, entry, elsewhere) for entry in entries]
    for entry in tried:
        for written in _forms(entry):
            _join(usual[0], written, present, elsewhere)  # may say more
    first = entries[0]
    hint = _hint(present, usual[0], first, os.path.join(usual[0], _forms(first)[-1].image), elsewhere)
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
        FileNotFoundError: if an image is missing; names the line, the path, and the file that may have been meant.
    """
    present = Present(os.sep)
    missing = [place for place, path in enumerate(paths) if not present.has(path)]
    if missing:
        more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        first, path = entries[missing[0]], paths[missing[0]]
        hint = _hint(present, str(first.file.absolute().parent), first, path)
        raise FileNotFoundError(f"{first.place}: image not found: '{brief(path)}'{more}{hint}")
    folders = dict.fromkeys(os.path.dirname(path) for path in paths)
    return {folder: sum(name.lower().endswith(EXTENSIONS) for name in present.names(folder)) for folder in folders}


def _below(folder: Path) -> list[str]:
    """Returns the folders in a folder."""
    if not folder.is_dir():
        return []
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    return [os.path.abspath(folder / name) for name in names[:_FOLDERS]]


def _forms(entry: Entry) -> list[Entry]:
    """Returns an entry as it is written, and with backslashes between folders."""
    return [entry, entry._replace(image=entry.image.replace("\\", "/"))] if "\\" in entry.image else [entry]


def _hint(present: Present, start: str, entry: Entry, path: str, elsewhere: str = "") -> str:
    """Says what to do about an image that is not there, as the end of a message.

    Args:
        present: Finds files.
        start: Folder that paths start from.
        entry: The image.
        path: Where it was looked for.
        elsewhere: How to name another folder, if that is possible.
    """
    if not _ELSEWHERE.match(entry.image):
        return present.near(path) or elsewhere
    end = present.tail(start, entry.image)
    example = f", as '{brief(end)}'" if end else ""
    return f"; paths must start from '{start}', not with a drive or another folder{example}{'' if end else elsewhere}"


def _within(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


def _join(start: str, entry: Entry, present: Present, elsewhere: str) -> str:
    if not entry.image or "\0" in entry.image:
        raise ValueError(f"{entry.place}: '{brief(entry.image)}' is not the name of an image")
    path = os.path.normpath(os.path.join(start, entry.image))
    if not _within(path, present.top):
        hint = _hint(present, start, entry, path, elsewhere)
        raise ValueError(
            f"{entry.place}: '{brief(entry.image)}' leads out of the data set's folder '{present.top}'{hint}"
        )
    return path


def _found(present: Present, start: str, entry: Entry, alike: bool) -> str | None:
    """Returns the path of an image that is there."""
    for written in _forms(entry):
        try:
            path = _join(start, written, present, "")
        except ValueError:  # it leads out of the data set only from here
            continue
        found = present.alike(path) if alike else path if present.has(path) else None
        if found is not None:
            return found
    return None


def _placed(present: Present, start: str, entry: Entry, elsewhere: str) -> str:
    """Returns the path of an image, also of one that is missing."""
    paths = [_join(start, written, present, elsewhere) for written in _forms(entry)]
    there = next((path for path in paths if present.has(path)), None)
    return there or next(filter(None, map(present.alike, paths)), paths[-1])
