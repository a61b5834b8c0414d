"""Defines the JSON files of a run directory that count classes of images that may have several."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cv_attention.rundir.files import write_text

MOST_PAIRS_OF = 500  # classes; of more, pairs are not counted


@dataclass(frozen=True)
class LabelCounts:
    """``labels/epoch-XXXX.json`` and ``labels/test.json``: what was decided of the images of a split.

    Attributes:
        images: Number of images.
        thresholds: Probability from which on an image counts as one of each class.
        true: Images that have each class.
        decided: Images that were said to have it.
        right: Images that have it and were said to.
        together: Entries [class, class, images] that have both, the first class before the second; not zero.
        mistaken: Entries [class, other class, images] that have the first, and were wrongly said to have the other.
    """

    images: int
    thresholds: Sequence[float]
    true: Sequence[int]
    decided: Sequence[int]
    right: Sequence[int]
    together: Sequence[Sequence[int]]
    mistaken: Sequence[Sequence[int]]

    def write(self, path: Path) -> None:
        """Writes the file and makes its folder."""
        write_text(path, json.dumps(vars(self)))

    @classmethod
    def read(cls, path: Path) -> "LabelCounts":
        """Reads the file.

        Raises:
            ValueError: if the counts are not of one number of classes.
        """
        content = json.loads(path.read_text(encoding="utf-8"))
        thresholds = [float(value) for value in content["thresholds"]]
        true, decided, right = ([int(value) for value in content[name]] for name in ("true", "decided", "right"))
        if any(len(values) != len(thresholds) for values in (true, decided, right)):
            raise ValueError("true, decided and right must have one number for each class")
        together, mistaken = (_pairs(content[name], len(thresholds)) for name in ("together", "mistaken"))
        return cls(int(content["images"]), thresholds, true, decided, right, together, mistaken)


def _pairs(entries: Any, classes: int) -> list[list[int]]:
    found = [[int(value) for value in entry] for entry in entries]
    if any(len(entry) != 3 or not 0 <= min(entry) <= max(entry[:2]) < classes for entry in found):
        raise ValueError("pairs must be [class, class, images]")
    return found
