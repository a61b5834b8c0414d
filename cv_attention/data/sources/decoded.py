"""Stores small images as files that have all been decoded into memory once."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from cv_attention.data.decoding.decode import read_image
from cv_attention.data.sources.files import Files

LIMIT = 3 << 29  # 1.5 GiB of pixels per split and process: all of Tiny ImageNet (64×64) fits
_CHUNK = 256


class DecodedFiles(Files):
    """Image files of one size with their pixels in memory.

    Args:
        paths: Encoded path of each file, (M,).
        bits: Range of files of more than 8 bits; see `read_image`.
        pixels: uint8 (M, H, W, 3) RGB, what `decode_all` returned.
    """

    def __init__(self, paths: np.ndarray, bits: int | None, pixels: Tensor) -> None:
        super().__init__(paths, bits)
        self._pixels = pixels

    @property
    def pixels(self) -> Tensor:
        """All images, uint8 (M, H, W, 3) RGB."""
        return self._pixels

    def read(self, row: int) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB, which must not be written to."""
        return self._pixels.numpy()[row]


def decode_all(paths: Sequence[bytes], limit: int | None = None, bits: int | None = None) -> Tensor | None:
    """Decodes files on all cores, if all have one size and fit into `limit` bytes (None: `LIMIT`).

    `bits` is the range of files of more than 8 bits, as for `read_image`.

    Returns:
        uint8 (N, H, W, 3) RGB; None if the files should be decoded when they are needed.

    Raises:
        ValueError: if a file is broken; names the path.
    """
    return decode_rows(len(paths), lambda row: read_image(os.fsdecode(paths[row]), bits), limit)


def decode_rows(count: int, read: Callable[[int], np.ndarray], limit: int | None = None) -> Tensor | None:
    """Decodes images of any kind on all cores, if all have one size and fit into `limit` bytes; see `decode_all`.

    Args:
        count: Number of images.
        read: Decodes one image, uint8 (H, W, 3) RGB.
        limit: Bytes of all pixels; None takes `LIMIT`.

    Raises:
        ValueError: if an image is broken; names it.
    """
    shape = read(0).shape
    if count * int(np.prod(shape)) > (LIMIT if limit is None else limit):
        return None
    # Photographs rarely share a size: a few of them show it before much is decoded in vain.
    if any(read(row).shape != shape for row in range(0, count, max(count // 16, 1))):
        return None
    pixels = np.empty((count, *shape), np.uint8)

    def decode(start: int) -> bool:
        for row in range(start, min(start + _CHUNK, count)):
            image = read(row)
            if image.shape != shape:
                return False
            pixels[row] = image
        return True

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            one_size = all(pool.map(decode, range(0, count, _CHUNK)))
        finally:
            pool.shutdown(cancel_futures=True)
    return torch.from_numpy(pixels) if one_size else None
