"""Finds the images that a label file names."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cv_attention.data.sources.folder import EXTENSIONS
from cv_attention.data.texts.label_files.labels import Entry, brief

_TRIED = 16  # images that are looked for, to find the folder that all of them lie in


def image_paths(entries: Sequence[Entry], folder: Path, root: Path, folders: Sequence[str]) -> list[str]:
    """Returns the path of each entry's image.

    Paths in a label file start from the folder of the file, one of `folders` in it, or the folder above. None may lead
    out of the data set.

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
    starts = [start for start in (folder, *(folder / name for name in folders), folder.parent) if _within(start, top)]
    tried = [entries[i] for i in np.unique(np.linspace(0, len(entries) - 1, _TRIED).astype(int))]
    found = [sum(os.path.lexists(_join(start, entry, top)) for entry in tried) for start in starts]
    if not max(found):
        places = ", ".join(f"'{start}'" for start in starts)
        raise FileNotFoundError(f"{entries[0].place}: image not found: '{brief(entries[0].image)}' in {places}")
    start = starts[found.index(max(found))]
    return [_join(start, entry, top) for entry in entries]


def check_presence(entries: Sequence[Entry], paths: Sequence[str]) -> int:
    """Checks that all images exist, by listing each folder once.

    Args:
        entries: The texts.
        paths: The images' paths.

    Returns:
        The number of images in the same folders that no text belongs to.

    Raises:
        FileNotFoundError: if an image is missing; names the line and the path.
    """
    there: dict[str, set[str]] = {}
    for path in paths:
        folder = os.path.dirname(path)
        if folder not in there:
            there[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    missing = [i for i, path in enumerate(paths) if os.path.basename(path) not in there[os.path.dirname(path)]]
    if missing:
        more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        raise FileNotFoundError(f"{entries[missing[0]].place}: image not found: '{brief(paths[missing[0]])}'{more}")
    images = sum(name.lower().endswith(EXTENSIONS) for names in there.values() for name in names)
    return max(images - len(set(paths)), 0)


def _within(path: str | Path, top: str) -> bool:
    whole = os.path.abspath(path)
    return whole == top or whole.startswith(top.rstrip(os.sep) + os.sep)


def _join(start: Path, entry: Entry, top: str) -> str:
    if not entry.image or "\0" in entry.image:
        raise ValueError(f"{entry.place}: '{brief(entry.image)}' is not the name of an image")
    path = os.path.normpath(start / entry.image)
    if not _within(path, top):
        raise ValueError(f"{entry.place}: '{brief(entry.image)}' leads out of the data set's folder '{top}'")
    return path
