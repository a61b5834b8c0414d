"""Large maps are stored smaller: a page of many samples and epochs must stay a folder that one can send."""

import numpy as np
from PIL import Image

# A map of up to 40 x 40 keeps its resolution. Stored values of larger ones are means of equal blocks: 56 x 56 becomes
# 28 x 28, 224 x 224 becomes 32 x 32. With that one map takes at most 3 KB.
MOST_SIDE = 40


def shrink(maps: np.ndarray) -> np.ndarray:
    """Averages blocks of maps (N, h, w) until no side is longer than `MOST_SIDE`; channel gates (N, C) stay.

    Where no block size divides both sides, areas are averaged that share pixels with their neighbours.
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
