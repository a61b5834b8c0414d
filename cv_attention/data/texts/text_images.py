"""Holds the images of one split with the texts that they show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cv_attention.data.sources.images import Storage, Stored


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
