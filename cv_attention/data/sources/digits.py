"""Generates cluttered digits: real handwritten digits at random places among fragments of others.

As in the cluttered MNIST of recurrent attention models (Mnih et al., NeurIPS 2014,
https://arxiv.org/abs/1406.6247), but from scikit-learn's bundled 8×8 digits (UCI, 1,797 images), so that
nothing is downloaded.

The source digits are divided among the splits before drawing: no digit, whole or as a fragment,
occurs in two splits. All pixel arithmetic uses integers, so that a seed gives the same bytes on every
platform.
"""

from dataclasses import fields
from typing import Any

import numpy as np

from cv_attention.config import Digits
from cv_attention.config.bounds import check_bounds

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}  # fractions of the source digits of each class
_INK = 64  # darker pixels of an enlarged digit are its soft edge and ignored for its box


def draw(config: Digits) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Draws the images of all splits.

    Returns:
        For `train`, `val` and `test`: images uint8 (N, canvas, canvas, 3), grey; labels int64 (N,), each
        class equally often; boxes float32 (N, 4), x0, y0, x1, y1 in pixels, x1 and y1 exclusive, tight around
        the digit's ink.

    Raises:
        ValueError: if a number is too small, or the digit does not fit the canvas.
    """
    check(config)
    digits, labels = load()
    sources = split_sources(labels, config.seed)
    if config.plain:
        return {split: _as_they_are(digits[own], labels[own]) for split, own in sources.items()}
    sizes = enlarged_sizes(config.digit)
    drawn = {}
    for number, split in enumerate(SHARES):
        enlarged = {size: enlarge(digits[sources[split]], size) for size in {*sizes, config.digit}}
        rng = np.random.default_rng((config.seed, number))
        drawn[split] = _draw_split(enlarged, labels[sources[split]], getattr(config, split), config, rng)
    return drawn


_MOST_PIXELS = 1 << 33


def check(config: Digits) -> None:
    """Raises ValueError if digits cannot be drawn with these settings."""
    check_bounds(config, "data.digits.")
    if config.plain:
        _check_plain(config)
        return
    largest = enlarged_sizes(config.digit)[-1]
    if config.canvas < largest:
        raise ValueError(f"data.digits.canvas must be at least {largest} for digit={config.digit}, got {config.canvas}")
    size = (config.train + config.val + config.test) * config.canvas**2
    if size > _MOST_PIXELS:
        raise ValueError(
            f"data.digits: {size:,} pixels on all canvases are too many; at most {_MOST_PIXELS:,} fit into memory"
        )


def _check_plain(config: Digits) -> None:
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name not in ("plain", "seed") and value != field.default:
            raise ValueError(
                f"data.digits.{field.name} is {value}, but data.digits.plain takes the digits as they are; leave it out"
            )


def _as_they_are(digits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns digits (N, 8, 8) in [0, 16] as the images, labels and boxes of a split."""
    images = (digits * 255 // 16).astype(np.uint8)
    boxes = np.array([[x0, y0, x1, y1] for x0, y0, x1, y1 in map(ink_box, images)], np.float32)
    return np.repeat(images[..., None], 3, axis=3), labels, boxes


def split_sources(labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Divides the source digits of each class by `SHARES`; disjoint indices for each split."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[np.ndarray]] = {split: [] for split in SHARES}
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        ends = (np.cumsum(list(SHARES.values())) * len(members)).round().astype(int)
        for split, part in zip(SHARES, np.split(members, ends[:-1]), strict=True):
            parts[split].append(part)
    return {split: np.sort(np.concatenate(members)) for split, members in parts.items()}


def load() -> tuple[np.ndarray, np.ndarray]:
    """Returns the 1,797 digits as int64 (1797, 8, 8) in [0, 16], and their labels."""
    from sklearn.datasets import load_digits

    digits: Any = load_digits(return_X_y=True)  # frames in the eyes of type checkers that know pandas
    images, labels = digits
    return images.reshape(-1, 8, 8).astype(np.int64), labels.astype(np.int64)


def enlarged_sizes(digit: int) -> list[int]:
    """Returns the sizes to which digits are enlarged: a sixth smaller to a sixth larger."""
    return list(range(digit - digit // 6, digit + digit // 6 + 1))


def enlarge(digits: np.ndarray, size: int) -> np.ndarray:
    """Enlarges bilinearly in integers: (N, 8, 8) in [0, 16] -> uint8 (N, size, size)."""
    # Weights of source pixels in 1/256; pixel centres are aligned, the border is repeated.
    centre = ((2 * np.arange(size) + 1) * 8 * 256 // size - 256) // 2
    low, fraction = np.divmod(np.clip(centre, 0, 7 * 256), 256)
    weights = np.zeros((size, 9), np.int64)
    weights[np.arange(size), low] = 256 - fraction
    weights[np.arange(size), low + 1] += fraction
    weights = weights[:, :8]
    enlarged = weights @ digits @ weights.T  # (N, size, size)
    return (enlarged * 255 // (16 * 256 * 256)).astype(np.uint8)


def _draw_split(
    enlarged: dict[int, np.ndarray], labels: np.ndarray, count: int, config: Digits, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws one split; `enlarged` holds its source digits at every size, `labels` their classes."""
    sizes = enlarged_sizes(config.digit)
    targets = rng.permutation(np.arange(count) % 10)
    members = [np.flatnonzero(labels == label) for label in range(10)]
    # All random numbers at once: one call per quantity makes this fast.
    picks, places, levels = rng.integers(1 << 31, size=(3, count, 2))
    levels = 176 + levels % 80  # brightness of the digit and of the clutter
    images = scatter(enlarged[config.digit], count, config.clutter, (config.canvas, config.canvas), rng)
    boxes = np.zeros((count, 4), np.float32)
    tight = {size: [ink_box(patch) for patch in patches] for size, patches in enlarged.items()}
    for i in range(count):
        size = sizes[picks[i, 0] % len(sizes)]
        source = members[targets[i]][picks[i, 1] % len(members[targets[i]])]
        x0, y0, x1, y1 = tight[size][source]
        patch = enlarged[size][source, y0:y1, x0:x1].astype(np.uint16) * levels[i, 0] // 255
        x = places[i, 0] % (config.canvas - (x1 - x0) + 1)
        y = places[i, 1] % (config.canvas - (y1 - y0) + 1)
        np.copyto(images[i], images[i].astype(np.uint16) * levels[i, 1] // 255, casting="unsafe")
        images[i, y : y + y1 - y0, x : x + x1 - x0] = patch  # over the clutter, so that it stays readable
        boxes[i] = x, y, x + x1 - x0, y + y1 - y0
    return np.repeat(images[..., None], 3, axis=3), targets.astype(np.int64), boxes


def scatter(
    digits: np.ndarray, count: int, fragments: int, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Draws square fragments of digits, a third to half of a digit wide, the brighter pixel on top.

    Args:
        digits: Enlarged digits, uint8 (M, side, side).
        count: Number of images.
        fragments: Number of fragments on each image.
        size: Height and width of the images in pixels.
        rng: Source of the random numbers.

    Returns:
        uint8 (count, H, W).
    """
    shape, digit = (count, fragments), digits.shape[1]
    images = np.zeros((count, *size), np.uint8)
    sources = rng.integers(len(digits), size=shape)
    sides = rng.integers(digit // 3, digit // 2 + 1, size=shape)
    cuts = rng.integers(1 << 31, size=(*shape, 2)) % (digit - sides + 1)[..., None]
    places = rng.integers(1 << 31, size=(*shape, 2)) % (np.array(size[::-1]) - sides[..., None] + 1)
    for i in range(count):
        image = images[i]
        for source, side, (u, v), (x, y) in zip(
            sources[i].tolist(), sides[i].tolist(), cuts[i].tolist(), places[i].tolist(), strict=True
        ):
            under = image[y : y + side, x : x + side]
            np.maximum(under, digits[source, v : v + side, u : u + side], out=under)
    return images


def ink_box(patch: np.ndarray) -> tuple[int, int, int, int]:
    """Returns the box (x0, y0, x1, y1), ends exclusive, of the pixels with at least `_INK`."""
    ink = patch >= _INK
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
