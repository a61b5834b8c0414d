"""Reads the LMDB databases of clovaai's benchmark: ``image-000000001``, ``label-000000001`` and so on.

Baek et al., "What Is Wrong With Scene Text Recognition Model Comparisons?", ICCV 2019. Read by the package lmdb.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from torch import Tensor

from cv_attention.data.decoding.decode import MAX_BYTES, ImageError, decode_image
from cv_attention.data.sources.files import file_version
from cv_attention.data.sources.images import Storage, spaced
from cv_attention.data.tables.entries import Entry
from cv_attention.extras import require

NAMES = ("data.mdb",)
_OPEN: dict[Path, tuple[tuple[int, str], Any]] = {}  # environments: lmdb opens a database once in a process
_OPENING = Lock()


class LmdbImages:
    """Images in an LMDB database.

    Args:
        folder: Folder of the database.
        bits: Range of images of more than 8 bits; see `read_image`. It may be set later.
    """

    pixels: Tensor | None = None

    def __init__(self, folder: Path, bits: int | None = None) -> None:
        self.folder, self.bits = folder, bits

    def __reduce__(self) -> tuple[type, tuple[Path, int | None]]:
        return LmdbImages, (self.folder, self.bits)

    def get(self, key: str) -> bytes | None:
        """Returns a value; None if the key is missing.

        Raises:
            ValueError: if the database is damaged.
        """
        import lmdb  # pyright: ignore[reportMissingImports]  # an extra

        try:
            with _environment(self.folder).begin() as transaction:
                return transaction.get(key.encode())
        except lmdb.Error as error:
            raise ValueError(f"'{self.folder}' is not an intact LMDB database: {error}") from None

    def content(self, row: int, most: int = MAX_BYTES) -> bytes:
        """Returns the file of one image, or its first `most` bytes.

        Raises:
            ImageError: if it is missing.
        """
        content = self.get(self.name(row))
        if content is None:
            raise ImageError(f"{self.describe(row)} is missing")
        return content[:most]

    def read(self, row: int) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB, which must not be written to.

        Raises:
            ImageError: if it is damaged or missing; names it.
        """
        return decode_image(self.content(row), f"{self.folder}/{self.name(row)}", self.bits)

    def name(self, row: int) -> str:
        """Returns the image's key."""
        return f"image-{row + 1:09d}"

    def describe(self, row: int) -> str:
        """Names one image and its database in an error message."""
        return f"'{self.folder}/{self.name(row)}'"

    def path(self, row: int) -> None:
        """Returns None: an image in a database is not a separate file."""

    def version(self, row: int) -> str:
        """Returns size and time of the database, the image's key, and `bits`."""
        return f"{file_version(self.folder / NAMES[0])} {row} {self.bits}"

    def contents(self, parts: Sequence[tuple[Storage, np.ndarray]]) -> Iterator[bytes]:
        """Yields the sizes of some images among the parts that are stored here."""
        rows = np.sort(np.concatenate([rows for storage, rows in parts if storage is self]))
        for row in rows[spaced(len(rows))].tolist():
            yield b"%d" % len(self.content(row))


def _environment(folder: Path) -> Any:
    """Opens a database, once in each process and again after it has changed."""
    import lmdb  # pyright: ignore[reportMissingImports]  # an extra

    key = os.getpid(), file_version(folder / NAMES[0])
    with _OPENING:
        known, environment = _OPEN.get(folder, (None, None))
        if known == key:
            return environment
        if environment is not None:
            environment.close()  # that of the process that started this one must not be used here
        environment = lmdb.open(str(folder), readonly=True, lock=False, readahead=False)
        _OPEN[folder] = key, environment
        return environment


def open_database(files: Sequence[Path], cache: Path) -> tuple[list[Entry], LmdbImages]:
    """Opens a database and lists the texts of its images.

    Args:
        files: Its ``data.mdb``.
        cache: Not used: a database is its own index.

    Raises:
        ValueError: if the package lmdb is not installed, or the database is damaged or lacks a key; names it.
    """
    [file] = files
    require("lmdb", f"'{file}'")
    images = LmdbImages(file.parent)
    count = images.get("num-samples")
    if count is None or not count.isdigit():
        raise ValueError(f"'{file.parent}' must hold the number of its images as num-samples, got {count!r:.80}")
    entries = []
    for row in range(int(count)):
        label = images.get(f"label-{row + 1:09d}")
        if label is None:
            raise ValueError(f"'{file.parent}' holds {int(count):,} images, but no label-{row + 1:09d}")
        try:
            entries.append(Entry(images.name(row), label.decode(), file))
        except UnicodeDecodeError as error:
            raise ValueError(f"'{file.parent}/label-{row + 1:09d}' is not UTF-8 (byte {error.start})") from None
    return entries, images
