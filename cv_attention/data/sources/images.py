"""Holds the labelled images of one split, wherever their pixels are stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from torch import Tensor


class Storage(Protocol):
    """Images without labels, each at a row: what is asked of every kind of storage.

    `Memory` holds pixels, `Files` paths, `DecodedFiles` both, `CachedFiles` reads pixels from a memory-mapped file, and
    `Shards` reads tar archives. Storages are pickled for worker processes.
    """

    @property
    def pixels(self) -> Tensor | None:
        """All images in memory, uint8 (M, H, W, 3) RGB; None where they are decoded when they are needed.

        A tensor, so that worker processes that do not inherit memory share it instead of copying it.
        """
        ...

    @property
    def bits(self) -> int | None:
        """Range of files of more than 8 bits, as for `read_image`; None where there are none."""
        ...

    def read(self, row: int) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB, which must not be written to.

        Raises:
            ValueError: if it is broken; names it.
        """
        ...

    def name(self, row: int) -> str:
        """Returns folder and file name of one image, its name in an archive, or its row: the same in every run."""
        ...

    def describe(self, row: int) -> str:
        """Names one image in an error message."""
        ...

    def path(self, row: int) -> str | None:
        """Returns the path of one image's own file; None where it has none."""
        ...

    def version(self, row: int) -> str:
        """Returns a text that changes whenever the image or the way to read it does."""
        ...

    def contents(self, parts: Sequence[tuple["Storage", np.ndarray]]) -> Iterator[bytes]:
        """Yields a sample of the contents of a data set, for its fingerprint: names alone miss a smaller copy.

        Args:
            parts: Storage and rows of each of its splits, of which the first one is stored here. The sample must not
                depend on how images are divided among splits.
        """
        ...


class Stored:
    """Base class of the images of one split, which are rows of a storage.

    Attributes:
        rows: int64 (N,), the row of each image in `storage`.
        storage: Where the pixels are.
    """

    rows: np.ndarray
    storage: Storage

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def pixels(self) -> Tensor | None:
        """Pixels of the whole storage, uint8 (M, H, W, 3), of which `rows` are these images; None unless in memory."""
        return self.storage.pixels

    @property
    def bits(self) -> int | None:
        """Range of files of more than 8 bits; None where there are none."""
        return self.storage.bits

    def read(self, index: int) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB; see `Storage.read`."""
        return self.storage.read(int(self.rows[index]))

    def describe(self, index: int) -> str:
        """Names one image in an error message."""
        return self.storage.describe(int(self.rows[index]))

    def short_name(self, index: int) -> str:
        """Returns a name of one image that is the same in every run; see `Storage.name`."""
        return self.storage.name(int(self.rows[index]))

    def path(self, index: int) -> str | None:
        """Returns the path of one image's own file; None where it has none."""
        return self.storage.path(int(self.rows[index]))

    def version(self, index: int) -> str:
        """Returns a text that changes whenever one image or the way to read it does."""
        return self.storage.version(int(self.rows[index]))


@dataclass(frozen=True)
class Images(Stored):
    """Holds images with their labels. Selecting images copies no pixels.

    Attributes:
        labels: int64 (N,), positions in the class names; of images with several classes each uint8 (N, C), 1 where the
            image has the class; of numbers float32 (N, V).
        rows: int64 (N,), the row of each image in `storage`.
        storage: Where the pixels are.
        boxes: float32 (N, 4), x0, y0, x1, y1 of the object in pixels; None if unknown.
        left_out: What is wrong with each broken image that was left out; see `broken.py`.
        groups: int64 (N,): images of a group, such as those of a patient, stay in one split; None without groups.
    """

    labels: np.ndarray
    rows: np.ndarray
    storage: Storage
    boxes: np.ndarray | None = None
    left_out: tuple[str, ...] = ()
    groups: np.ndarray | None = None

    def grouped(self, groups: np.ndarray) -> "Images":
        """Returns the same images with their groups, int64 (N,)."""
        return replace(self, groups=groups)

    def select(self, positions: np.ndarray) -> "Images":
        """Returns the images at `positions`, in that order."""
        return replace(
            self,
            labels=self.labels[positions],
            rows=self.rows[positions],
            boxes=None if self.boxes is None else self.boxes[positions],
            groups=None if self.groups is None else self.groups[positions],
        )


def spaced(count: int, most: int = 256) -> slice:
    """Returns a slice of at least `most` evenly spaced of `count` things, or of all where there are fewer."""
    return slice(None, None, max(1, count // most))
