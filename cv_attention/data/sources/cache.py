"""Stores photographs decoded at training resolution in one memory-mapped file."""

import hashlib
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from cv_attention.data.decoding.decode import ImageError, read_image
from cv_attention.data.sources.files import Files
from cv_attention.rundir.files import replacing

_FORMAT = 2  # 2 has a checksum per image
_CHUNK = 256  # files that are decoded at once


class PixelCache:
    """Holds decoded images of any size in one memory-mapped file, shared by all processes.

    Args:
        path: The file of pixels, ``<name>.pixels``; ``<name>.npz`` next to it says where each image begins.

    Attributes:
        shapes: int32 (N, 2), height and width of each image.
        size: Total size of the pixels in bytes.

    Raises:
        ValueError: if the index is not that of a cache.
    """

    def __init__(self, path: Path):
        self.path = path
        with open(path.with_suffix(".npz"), "rb") as file, np.load(file) as index:  # numpy leaves damaged files open
            self.shapes, self._sums = index["shapes"], index["sums"]
        kinds = self.shapes.dtype.kind, self._sums.dtype.kind
        if self.shapes.shape != (len(self._sums), 2) or kinds != ("i", "u") or self.shapes.min(initial=1) < 1:
            raise ValueError(f"{path.with_suffix('.npz')} is damaged")
        ends = np.cumsum(3 * self.shapes.prod(1, dtype=np.int64))
        self._begins = np.concatenate([[0], ends])
        self.size = int(ends[-1])
        self._pixels = np.memmap(path, np.uint8, mode="r", shape=(self.size,))

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return PixelCache, (self.path,)  # a worker maps the file itself

    def read(self, row: int) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB; read-only.

        Raises:
            ImageError: if its pixels differ from those written.
        """
        begin, end = self._begins[row : row + 2]
        pixels = np.asarray(self._pixels[begin:end])
        if zlib.crc32(pixels.data) != self._sums[row]:
            raise ImageError(f"data.cache: '{self.path}' is damaged at image {row}; remove it, and it will be rebuilt")
        return pixels.reshape(*self.shapes[row], 3)


class CachedFiles(Files):
    """Image files that are read from a cache of their pixels.

    Args:
        paths: Encoded path of each file, (M,).
        bits: Range of files of more than 8 bits; see `read_image`.
        cache: Their pixels, in the same order.
    """

    def __init__(self, paths: np.ndarray, bits: int | None, cache: PixelCache) -> None:
        super().__init__(paths, bits)
        self.cache = cache

    def read(self, row: int) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB, which must not be written to.

        Raises:
            ImageError: if its pixels in the cache are damaged.
        """
        return self.cache.read(row)


def open_cache(folder: Path, paths: Sequence[bytes], side: int, bits: int | None = None) -> PixelCache:
    """Opens the cache of these files; builds it if it is missing or damaged, or if a file has changed.

    Args:
        folder: Folder of the cache; created if necessary.
        paths: The image files.
        side: Maximum length of the shorter side in pixels; larger images are scaled down to it.
        bits: Bit depth of files with more than 8 bits.

    Raises:
        ValueError: if a file is broken, or the cache cannot be written; names the path. No partial files remain.
    """
    from filelock import FileLock

    target = folder / f"{_key(paths, side, bits)}.pixels"
    cache = _read(target)
    if cache is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(target.with_suffix(".lock")):  # built by one process per machine
                if _read(target) is None:
                    _make(target, paths, side, bits)
        except OSError as error:
            place = target if target.is_dir() else folder
            raise ValueError(f"data.cache: '{place}' cannot be written: {error.strerror or error}") from error
        cache = PixelCache(target)
    return cache


def _read(target: Path) -> PixelCache | None:
    """Opens the cache if it exists, its index is intact, and the number of pixels matches the index."""
    if not target.with_suffix(".npz").is_file():
        return None
    try:
        cache = PixelCache(target)
    except Exception:  # whatever a damaged zip archive raises: numpy, zipfile and zlib use different errors
        return None
    return cache if target.stat().st_size == cache.size else None


def _key(paths: Sequence[bytes], side: int, bits: int | None) -> str:
    """Returns a digest of the names, sizes and times of the files, and of the settings."""
    digest = hashlib.sha256(f"{_FORMAT} {side} {bits}".encode())
    for path in paths:
        status = os.stat(path)
        digest.update(b"\0".join([path, b"%d %d" % (status.st_size, status.st_mtime_ns)]))
    return f"{side}px-{digest.hexdigest()[:16]}"


def _make(target: Path, paths: Sequence[bytes], side: int, bits: int | None) -> None:
    from rich.progress import track

    shapes, sums = np.empty((len(paths), 2), np.int32), np.empty(len(paths), np.uint32)
    with replacing(target, durable=True) as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        images = (
            image
            for start in range(0, len(paths), _CHUNK)
            for image in pool.map(lambda path: _decode(path, side, bits), paths[start : start + _CHUNK])
        )
        for number, image in enumerate(track(images, "decoding once", total=len(paths), transient=True)):
            shapes[number], sums[number] = image.shape[:2], zlib.crc32(image.data)
            file.write(image.data)
    with replacing(target.with_suffix(".npz")) as file:  # the index, which is read first, is written last
        np.savez(file, shapes=shapes, sums=sums)


def _decode(path: bytes, side: int, bits: int | None) -> np.ndarray:
    image = read_image(os.fsdecode(path), bits)
    scale = side / min(image.shape[:2])
    if scale < 1:
        height, width = (max(round(length * scale), 1) for length in image.shape[:2])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image)
