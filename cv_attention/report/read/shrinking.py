"""Reduces large maps, so that a page of many samples and epochs stays small enough to send."""

import numpy as np
from PIL import Image

# Feature-map resolutions, up to the 56 x 56 of a ResNet's first stage at 224 pixels, are kept. Maps as
# large as the image are stored as means of equal blocks: 224 x 224 becomes 56 x 56.
MOST_SIDE = 64


def shrink(maps: np.ndarray) -> np.ndarray:
    """Averages blocks of maps (N, h, w) until no side is longer than `MOST_SIDE`; channel gates (N, C) are unchanged.

    If no block size divides both sides, overlapping areas are averaged.
    """
    if maps.ndim != 3 or max(maps.shape[1:]) <= MOST_SIDE:
        return maps
    height, width = maps.shape[1:]
    least = -(-max(height, width) // MOST_SIDE)
    for block in range(least, 2 * least):
        if height % block == 0 and width % block == 0:
            blocks = maps.astype(np.float32).reshape(len(maps), height // block, block, width // block, block)
            return blocks.mean((2, 4))
    size = (-(-width // least), -(-height // least))
    areas = [Image.fromarray(one).resize(size, Image.Resampling.BOX) for one in maps.astype(np.float32)]
    return np.stack([np.asarray(area) for area in areas])
