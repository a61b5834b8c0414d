"""Generates strings of digits: handwritten digits in a line, over fragments of others.

Made of scikit-learn's bundled 8×8 digits (UCI, 1,797 images), so that nothing is downloaded, with the box of every
digit. As for the cluttered digits, the source digits are divided among the splits before drawing, and all pixel
arithmetic uses integers, so that a seed gives the same bytes on every platform.
"""

from typing import NamedTuple

import numpy as np

from cv_attention.config import Strings
from cv_attention.config.bounds import check_bounds
from cv_attention.data.sources.digits import SHARES, enlarge, ink_box, load, scatter, split_sources

_SPACE = 4  # most pixels between two digits; at least one
_MOST_PIXELS = 1 << 33


class Drawn(NamedTuple):
    """Drawn images: ``images`` uint8 (N, H, W, 3); their ``texts``; the digits' ``boxes`` float32 (N, longest, 4)."""

    images: np.ndarray
    texts: list[str]
    boxes: np.ndarray


def draw(config: Strings) -> dict[str, Drawn]:
    """Draws the images of all splits.

    Returns:
        For `train`, `val` and `test`: grey images; texts of which each length is equally frequent; and boxes
        x0, y0, x1, y1 in pixels, x1 and y1 exclusive, tight around each digit's ink, NaN behind the last digit.

    Raises:
        ValueError: if a number is out of range, or the longest string does not fit the image.
    """
    check(config)
    digits, labels = load()
    sources = split_sources(labels, config.seed)
    return {
        split: _draw_split(
            digits[sources[split]],
            labels[sources[split]],
            getattr(config, split),
            config,
            np.random.default_rng((config.seed, number)),
        )
        for number, split in enumerate(SHARES)
    }


def check(config: Strings) -> None:
    """Raises ValueError if strings cannot be drawn with these settings."""
    check_bounds(config, "data.strings.")
    if config.largest < config.smallest:
        raise ValueError(f"data.strings.largest must be at least smallest={config.smallest}, got {config.largest}")
    if config.height < config.largest:
        raise ValueError(
            f"data.strings.height must be at least {config.largest} for largest={config.largest}, got {config.height}"
        )
    least = config.longest * (config.largest + 1)
    if config.width < least:
        raise ValueError(
            f"data.strings.width must be at least {least} for longest={config.longest} and "
            f"largest={config.largest}, got {config.width}"
        )
    size = (config.train + config.val + config.test) * config.height * config.width
    if size > _MOST_PIXELS:
        raise ValueError(
            f"data.strings: {size:,} pixels on all images are too many; at most {_MOST_PIXELS:,} fit into memory"
        )


def _draw_split(digits: np.ndarray, labels: np.ndarray, count: int, config: Strings, rng: np.random.Generator) -> Drawn:
    """Draws one split of its source digits, int64 (M, 8, 8), and their classes."""
    sizes = range(config.smallest, config.largest + 1)
    enlarged = {size: enlarge(digits, size) for size in sizes}
    tight = {size: [ink_box(patch) for patch in patches] for size, patches in enlarged.items()}
    members = [np.flatnonzero(labels == label) for label in range(10)]
    lengths = 1 + rng.permutation(np.arange(count) % config.longest)
    # All random numbers at once: one call per quantity makes this fast.
    picks = rng.integers(1 << 31, size=(count, config.longest, 5))
    places = rng.integers(1 << 31, size=(count, 4))
    middle = enlarged[(config.smallest + config.largest) // 2]
    images = scatter(middle, count, config.clutter, (config.height, config.width), rng)
    boxes = np.full((count, config.longest, 4), np.nan, np.float32)
    texts = []
    for i in range(count):
        drawn = picks[i, : lengths[i]]
        texts.append("".join(str(digit) for digit in drawn[:, 0] % 10))
        patches = []
        for digit, size, source, _, _ in drawn.tolist():
            side, candidates = sizes[size % len(sizes)], members[digit % 10]
            place = candidates[source % len(candidates)]
            x0, y0, x1, y1 = tight[side][place]
            patches.append(enlarged[side][place, y0:y1, x0:x1])
        boxes[i, : lengths[i]] = _compose(images[i], patches, drawn[:, 3:], places[i], config)
    return Drawn(np.repeat(images[..., None], 3, axis=3), texts, boxes)


def _compose(
    image: np.ndarray, patches: list[np.ndarray], picks: np.ndarray, places: np.ndarray, config: Strings
) -> np.ndarray:
    """Writes digits in a line over the clutter of one image (H, W).

    Args:
        image: The clutter, changed in place.
        patches: The digits' ink.
        picks: Random numbers (digits, 2), which decide the spaces and the jitter.
        places: Random numbers (4,), which decide the start of the line, its height and both brightnesses.
        config: The settings.

    Returns:
        The digits' boxes (digits, 4).
    """
    spare = config.width - sum(patch.shape[1] for patch in patches)
    spaces = 1 + picks[:, 0] % min(_SPACE, spare // len(patches))
    spaces[0] = 0
    x = int(places[0] % (spare - spaces.sum() + 1))
    line = int(places[1] % (config.height - config.largest + 1))
    bright, dim = (176 + places[2:] % 80).tolist()  # of the digits and of the clutter
    np.copyto(image, image.astype(np.uint16) * dim // 255, casting="unsafe")
    boxes = []
    for patch, space, jitter in zip(patches, spaces.tolist(), picks[:, 1].tolist(), strict=True):
        height, width = patch.shape
        y = line + (config.largest - height) // 2 + jitter % (2 * config.jitter + 1) - config.jitter
        x, y = x + space, min(max(y, 0), config.height - height)
        image[y : y + height, x : x + width] = patch.astype(np.uint16) * bright // 255  # stays readable
        boxes.append((x, y, x + width, y + height))
        x += width
    return np.array(boxes, np.float32)
