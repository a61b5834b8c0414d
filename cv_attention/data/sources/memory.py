"""Stores images in memory that come from no file of their own: drawn ones and CIFAR's."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from cv_attention.data.sources.images import Images, Storage, spaced


class Memory:
    """Images of one size in memory.

    Args:
        pixels: uint8 (M, H, W, 3) RGB.
    """

    bits: int | None = None

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def read(self, row: int) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB, which must not be written to."""
        return self.pixels.numpy()[row]

    def name(self, row: int) -> str:
        """Returns the row in five digits."""
        return f"{row:05d}"

    def describe(self, row: int) -> str:
        """Names one image in an error message."""
        return f"image {row}"

    def path(self, row: int) -> None:
        """Returns None: the images are in no file of their own."""

    def version(self, row: int) -> str:
        """Returns the SHA-256 of the pixels."""
        return hashlib.sha256(self.read(row).tobytes()).hexdigest()

    def contents(self, parts: Sequence[tuple[Storage, np.ndarray]]) -> Iterator[bytes]:
        """Yields the pixels of some images among the parts that are stored here."""
        rows = np.sort(np.concatenate([rows for storage, rows in parts if storage is self]))
        for row in rows[spaced(len(rows))].tolist():
            yield self.pixels[row].contiguous().numpy().tobytes()


def in_memory(images: np.ndarray, labels: np.ndarray, boxes: np.ndarray | None = None) -> Images:
    """Makes `Images` of pixels uint8 (N, H, W, 3), which are not copied; `labels` as in `Images`."""
    labels = np.asarray(labels)
    labels = labels.astype(np.int64, copy=False) if labels.ndim == 1 else labels
    return Images(labels, np.arange(len(labels)), Memory(torch.from_numpy(images)), boxes)
