"""Finds files by names that are written as on another system."""

import os
import unicodedata
from difflib import get_close_matches

_COMPARED = 5_000  # names in a folder that a missing one is compared with


class Present:
    """Lists folders, each once, and finds files in them.

    Windows and macOS take names for the same that differ in capitals or in how accents are encoded, and Windows ignores
    dots and spaces at their end; Linux does not.

    Args:
        top: Folder that all paths lie in.
    """

    def __init__(self, top: str) -> None:
        self.top = top
        self._names: dict[str, set[str]] = {}
        self._alike: dict[str, dict[str, list[str]]] = {}

    def names(self, folder: str) -> set[str]:
        """Returns the names in a folder; none if it cannot be listed."""
        if folder not in self._names:
            try:
                self._names[folder] = set(os.listdir(folder))
            except (OSError, ValueError):
                self._names[folder] = set()
        return self._names[folder]

    def has(self, path: str) -> bool:
        """Returns whether there is a file, folder or link of exactly this path."""
        folder, name = os.path.split(path)
        return name in self.names(folder) or os.path.lexists(path)  # some file systems write a name differently

    def alike(self, path: str) -> str | None:
        """Returns the one path below `top` that another system would take for the same; None without, or of several."""
        found = self.top
        for name in path[len(self.top) :].split(os.sep):
            if not name:
                continue
            if not self.has(os.path.join(found, name)):
                same = self._folded(found).get(_folded(name), [])
                if len(same) != 1:
                    return None
                name = same[0]
            found = os.path.join(found, name)
        return found

    def near(self, path: str) -> str:
        """Says which file may have been meant, as the end of a message; empty if none is close."""
        folder, name = os.path.split(path)
        names = sorted(self.names(folder))[:_COMPARED]
        stem = os.path.splitext(name)[0].lower()
        other = [each for each in names if os.path.splitext(each)[0].lower() == stem]
        same = {os.path.splitext(each)[0]: each for each in names if _digits(each) == _digits(name)}
        other = other or [same[each] for each in get_close_matches(os.path.splitext(name)[0], same, n=1, cutoff=0.8)]
        return f"; there is '{other[0]}'" if other else ""

    def tail(self, start: str, image: str) -> str:
        """Returns the longest end of a path from another machine that exists below a folder; empty if none does."""
        parts = [part for part in image.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        ends = (os.path.join(*parts[first:]) for first in range(1, len(parts)))
        return next((end for end in ends if self.has(os.path.join(start, end))), "")

    def _folded(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._alike:
            self._alike[folder] = {}
            for name in self.names(folder):
                self._alike[folder].setdefault(_folded(name), []).append(name)
        return self._alike[folder]


def _digits(name: str) -> str:
    return "".join(filter(str.isdecimal, name))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower()).strip(" ").rstrip(" .")
