"""Stores the images of another library's data set, which gives them by their number."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from cv_attention.data.decoding.broken import find_broken, warn
from cv_attention.data.decoding.decode import ImageError
from cv_attention.data.labels import classes_of
from cv_attention.data.sources.decoded import decode_rows
from cv_attention.data.sources.images import Images, Storage, spaced
from cv_attention.data.sources.memory import Memory


class Listed:
    """Images that a data set of another library gives by their number.

    Args:
        dataset: The data set; pickled for worker processes.
        pixels: Returns one image of the data set, uint8 (H, W, 3) RGB: a function of the data set, the number and
            `bits` that can be pickled.
        place: Names the data set in messages.
        bits: Range of images of more than 8 bits; see `read_image`.
    """

    pixels: Tensor | None = None

    def __init__(
        self, dataset: Any, pixels: Callable[[Any, int, int | None], np.ndarray], place: str, bits: int | None = None
    ) -> None:
        self._dataset, self._pixels, self._place, self.bits = dataset, pixels, place, bits

    def read(self, row: int) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB, which must not be written to.

        Raises:
            ImageError: if it is broken; names it.
        """
        try:
            return self._pixels(self._dataset, row, self.bits)
        except (ValueError, OSError, SyntaxError) as error:  # SyntaxError: Pillow, of broken PNG files
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(f"{self.describe(row)} cannot be read: {reason}") from error

    def name(self, row: int) -> str:
        """Returns the row in seven digits."""
        return f"{row:07d}"

    def describe(self, row: int) -> str:
        """Names one image in an error message."""
        return f"'{self._place}', image {row}"

    def path(self, row: int) -> None:
        """Returns None: the images are in no file of their own."""

    def version(self, row: int) -> str:
        """Returns the SHA-256 of the pixels."""
        return hashlib.sha256(self.read(row).tobytes()).hexdigest()

    def contents(self, parts: Sequence[tuple[Storage, np.ndarray]]) -> Iterator[bytes]:
        """Yields the pixels of some images among the parts that are stored here."""
        rows = np.sort(np.concatenate([rows for storage, rows in parts if storage is self]))
        for row in rows[spaced(len(rows), 32)].tolist():
            yield self.read(row).tobytes()


def images_of(storage: Listed, labels: np.ndarray, split: str, broken: Path | None = None) -> Images:
    """Makes `Images` of all images of a storage; small ones of one size are decoded into memory.

    Args:
        storage: The images.
        labels: Their labels, see `Images`.
        split: Name of the split, for warnings.
        broken: File that keeps which images are broken, to leave them out; its name must change with the images. None
            leaves out none.

    Raises:
        ValueError: if all images of a class are broken.
    """
    rows, left_out = np.arange(len(labels)), ()
    if broken is not None:
        found = find_broken(broken, len(labels), storage.read)
        rows = np.array([row for row in rows.tolist() if row not in found], np.int64)
        if not set(classes_of(labels[rows])) >= set(classes_of(labels)):
            raise ValueError(f"a class has only broken {split} images: {next(iter(found.values()))}")
        left_out = warn(split, found, len(labels))
    pixels = decode_rows(len(rows), lambda number: storage.read(int(rows[number])))
    if pixels is None:
        return Images(labels[rows], rows, storage, left_out=left_out)
    return Images(labels[rows], np.arange(len(rows)), Memory(pixels), left_out=left_out)


def numbered(
    values: Mapping[str, Sequence[Any]], names: Sequence[str] | None, place: str
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Turns the labels of every split into class names and positions in them.

    Args:
        values: Labels by split: whole numbers, or texts.
        names: Names of the classes that numbers stand for; None takes the numbers or texts themselves.
        place: Names the data set in messages.

    Returns:
        The class names, and int64 (N,) for each split.

    Raises:
        ValueError: if a label is something else, negative or beyond the names, or if a split has a class without
            training images.
    """
    every = {value for labels in values.values() for value in labels}
    if wrong := [value for value in every if not isinstance(value, int | str) or isinstance(value, bool)]:
        raise ValueError(f"'{place}': labels must be whole numbers or texts, got {wrong[0]!s:.60}")
    kinds = {type(value) for value in every}
    if len(kinds) > 1:
        raise ValueError(f"'{place}' has both numbers and texts as labels")
    if kinds == {int} and names is not None:
        if beyond := [value for value in every if not 0 <= value < len(names)]:
            raise ValueError(f"'{place}' has the label {beyond[0]}, but names {len(names)} classes")
        position = {number: number for number in range(len(names))}
        classes = [str(name) for name in names]
    else:
        ordered = sorted(every)
        position, classes = {value: number for number, value in enumerate(ordered)}, [str(value) for value in ordered]
    learned = set(values.get("train", ()))
    if unknown := [value for value in sorted(every) if value not in learned]:
        raise ValueError(f"'{place}': the class {classes[position[unknown[0]]]!r} has no training images")
    labels = {split: np.array([position[value] for value in own], np.int64) for split, own in values.items()}
    return classes, labels
