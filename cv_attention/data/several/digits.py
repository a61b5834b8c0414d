"""Draws cluttered digits with several digits on each image, which differ from each other; see `sources/digits.py`."""

import numpy as np

from cv_attention.config import Digits
from cv_attention.data.sources.digits import (
    SHARES,
    check,
    enlarge,
    enlarged_sizes,
    ink_box,
    load,
    scatter,
    split_sources,
)
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.memory import in_memory

_TRIED = 24  # places of a digit, of which the one is taken that covers other digits least


def draw(config: Digits) -> dict[str, Images]:
    """Draws the images of all splits.

    An image has between ``config.least`` and ``config.most`` digits, each number as often; their classes are drawn
    without repetition, and they cover each other only where there is no room.

    Returns:
        For `train`, `val` and `test`: grey images with labels uint8 (N, 10), 1 for each digit that is there.

    Raises:
        ValueError: if a number is too small, or the digits do not fit the canvas.
    """
    check(config)
    if config.plain:
        raise ValueError("data.digits.plain has one digit on each image, so data.targets must be single")
    if config.least > config.most:
        raise ValueError(f"data.digits.least is {config.least}, more than data.digits.most, {config.most}")
    digits, labels = load()
    sources, sizes = split_sources(labels, config.seed), enlarged_sizes(config.digit)
    drawn = {}
    for number, split in enumerate(SHARES):
        own = sources[split]
        patches = {size: enlarge(digits[own], size) for size in {*sizes, config.digit}}
        random = np.random.default_rng((config.seed, number, 2))
        drawn[split] = in_memory(*_draw_split(patches, labels[own], getattr(config, split), config, random))
    return drawn


def _draw_split(
    patches: dict[int, np.ndarray], labels: np.ndarray, count: int, config: Digits, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    sizes, side, most = enlarged_sizes(config.digit), config.canvas, config.most
    numbers = random.permutation(config.least + np.arange(count) % (most - config.least + 1))
    members = [np.flatnonzero(labels == label) for label in range(10)]
    images = scatter(patches[config.digit], count, config.clutter, (side, side), random)
    classes = random.permuted(np.tile(np.arange(10), (count, 1)), axis=1)
    # All random numbers at once: one call per quantity makes this fast.
    picks = random.integers(1 << 31, size=(count, most, 2))
    levels = random.integers(176, 256, size=(count, most + 1))  # brightness of the digits and of the clutter
    places = random.integers(1 << 31, size=(count, most, 2, _TRIED))
    tight = {size: [ink_box(patch) for patch in own] for size, own in patches.items()}
    there = np.zeros((count, 10), np.uint8)
    for i, number in enumerate(numbers.tolist()):
        there[i, classes[i, :number]] = 1
        np.copyto(images[i], images[i].astype(np.uint16) * levels[i, most] // 255, casting="unsafe")
        taken: list[tuple[int, int, int, int]] = []
        for k in range(number):
            own, size = members[classes[i, k]], sizes[picks[i, k, 0] % len(sizes)]
            source = own[picks[i, k, 1] % len(own)]
            x0, y0, x1, y1 = tight[size][source]
            ink = patches[size][source, y0:y1, x0:x1].astype(np.uint16) * levels[i, k] // 255
            xs, ys = places[i, k, 0] % (side - (x1 - x0) + 1), places[i, k, 1] % (side - (y1 - y0) + 1)
            x, y = _free_place(taken, xs, ys, x1 - x0, y1 - y0)
            images[i, y : y + y1 - y0, x : x + x1 - x0] = ink
            taken.append((x, y, x + x1 - x0, y + y1 - y0))
    return np.repeat(images[..., None], 3, axis=3), there


def _free_place(
    taken: list[tuple[int, int, int, int]], xs: np.ndarray, ys: np.ndarray, width: int, height: int
) -> tuple[int, int]:
    """Returns the upper left corner of a digit: of several that which covers other digits least."""
    covered = np.zeros(len(xs), np.int64)
    for x0, y0, x1, y1 in taken:
        across = np.minimum(xs + width, x1) - np.maximum(xs, x0)
        down = np.minimum(ys + height, y1) - np.maximum(ys, y0)
        covered += across.clip(0) * down.clip(0)
    best = int(covered.argmin()) if taken else 0
    return int(xs[best]), int(ys[best])
