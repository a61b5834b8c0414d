"""Stores images as files that are decoded when they are needed."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from cv_attention.data.decoding.decode import read_image
from cv_attention.data.sources.images import Storage, spaced


class Files:
    """Image files.

    Args:
        paths: Encoded path of each file, (M,); an array of bytes keeps a million of them compact.
        bits: Range of files of more than 8 bits; see `read_image`.

    Attributes:
        root: Folder that names start from; None names a file by its folder and itself.
    """

    root: str | None = None

    def __init__(self, paths: np.ndarray, bits: int | None = None) -> None:
        self.paths, self.bits = paths, bits

    @property
    def pixels(self) -> Tensor | None:
        """All images in memory; None, as they are decoded when they are needed."""
        return None

    def read(self, row: int) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB, which must not be written to.

        Raises:
            ImageError: if the file is broken; names the path.
        """
        return read_image(self.path(row), self.bits)

    def name(self, row: int) -> str:
        """Returns the path from `root`, or the names of the folder and of the file."""
        if self.root is not None:
            return os.path.relpath(self.path(row), self.root).replace(os.sep, "/")
        return "/".join(self.path(row).split(os.sep)[-2:])

    def describe(self, row: int) -> str:
        """Names one image in an error message."""
        return f"'{self.path(row)}'"

    def path(self, row: int) -> str:
        """Returns the path of one file."""
        return os.fsdecode(self.paths[row])

    def version(self, row: int) -> str:
        """Returns size and time of the file, and `bits`."""
        return f"{file_version(Path(self.path(row)))} {self.bits}"

    def contents(self, parts: Sequence[tuple[Storage, np.ndarray]]) -> Iterator[bytes]:
        """Yields the sizes of some files of the data set."""
        paths = np.sort(np.concatenate([files.paths[rows] for files, rows in parts if isinstance(files, Files)]))
        for path in paths[spaced(len(paths))].tolist():
            yield b"%d" % os.stat(path).st_size


def file_version(path: Path) -> str:
    """Returns size and time of a file, or the number of the error where it cannot be looked at."""
    try:
        status = path.stat()
    except OSError as error:  # it fails as an image later on
        return str(error.errno)
    return f"{status.st_size} {status.st_mtime_ns}"
