"""Decodes small images once and keeps them in memory."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from cv_attention.data.decoding.decode import read_image

LIMIT = 3 << 29  # 1.5 GiB of pixels per split and process: all of Tiny ImageNet (64×64) fits
_CHUNK = 256


def decode_all(paths: Sequence[bytes], limit: int | None = None, bits: int | None = None) -> Tensor | None:
    """Decodes files on all cores, if all have the same size and fit into `limit` bytes (None: `LIMIT`).

    `bits` is the bit depth of files with more than 8 bits, as for `read_image`.

    Returns:
        uint8 (N, H, W, 3) RGB; None if the files should be decoded on demand.

    Raises:
        ValueError: if a file is broken; names the path.
    """
    shape = read_image(os.fsdecode(paths[0]), bits).shape
    if len(paths) * int(np.prod(shape)) > (LIMIT if limit is None else limit):
        return None
    # Photographs rarely have the same size: checking a few first avoids decoding many in vain.
    if any(read_image(os.fsdecode(path), bits).shape != shape for path in paths[:: max(len(paths) // 16, 1)]):
        return None
    pixels = np.empty((len(paths), *shape), np.uint8)

    def decode(start: int) -> bool:
        for i in range(start, min(start + _CHUNK, len(paths))):
            image = read_image(os.fsdecode(paths[i]), bits)
            if image.shape != shape:
                return False
            pixels[i] = image
        return True

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            same = all(pool.map(decode, range(0, len(paths), _CHUNK)))
        finally:
            pool.shutdown(cancel_futures=True)
    return torch.from_numpy(pixels) if same else None
