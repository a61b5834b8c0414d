"""Holds the images of one split with the texts that they show."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cv_attention.data.sources.images import Storage, Stored
from cv_attention.data.sources.subset import hold_out


@dataclass(frozen=True)
class TextImages(Stored):
    """Holds images with their texts. Selecting images copies no pixels; an image with several texts has several rows.

    Attributes:
        texts: The N texts.
        rows: int64 (N,), the row of each image in `storage`.
        storage: Where the pixels are.
        boxes: float32 (N, L, 4), x0, y0, x1, y1 of each unit of the texts in pixels, NaN where there is none; None if
            unknown.
        left_out: What is wrong with each broken image that was left out.
    """

    texts: Sequence[str]
    rows: np.ndarray
    storage: Storage
    boxes: np.ndarray | None = None
    left_out: tuple[str, ...] = ()

    def select(self, positions: np.ndarray) -> "TextImages":
        """Returns the images at `positions`, in that order."""
        return replace(
            self,
            texts=[self.texts[position] for position in positions.tolist()],
            rows=self.rows[positions],
            boxes=None if self.boxes is None else self.boxes[positions],
        )

    def checksums(self) -> np.ndarray:
        """Returns a number for each text that another text hardly has, int64 (N,)."""
        return np.array([zlib.crc32(text.encode()) for text in self.texts], np.int64)


def held_out(images: TextImages, fraction: float, seed: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Holds out a share of the images, each with all of its texts.

    Args:
        images: The images of a split.
        fraction: The share.
        seed: Seed of the choice.
        split: What is held out, for messages: ``test`` or ``validation``.

    Returns:
        Positions of the texts that are kept and of those that are held out, each ascending.

    Raises:
        ValueError: if no image can be held out.
    """
    rows, places = np.unique(images.rows, return_inverse=True)
    _, held = hold_out(np.zeros(len(rows), np.int64), fraction, seed)
    if not len(held):
        raise ValueError(f"no {split} images can be held out of {len(rows)}")
    chosen = np.isin(places, held)
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
