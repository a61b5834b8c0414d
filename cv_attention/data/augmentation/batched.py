"""Augments whole batches on the device that holds the images, many times faster than one by one.

Each step transforms a batch as the albumentations transform of the same name does an image, with random numbers of the
same distribution. A pipeline whose steps are all in `STEPS` is computed this way if the images are held in memory;
others run image by image through albumentations.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.data.augmentation.random_bits import BITS, below, random_bits

# Images (B, H, W, 3) and 32 random bits for each of the step's draws, int64 (B, draws) -> images (B, H', W', 3).
Step = Callable[[Tensor, Tensor], Tensor]


class BatchedPipeline:
    """Applies a list of transforms to batches.

    Args:
        steps: The steps, each with its number of random draws.
    """

    def __init__(self, steps: list[tuple[Step, int]]):
        self.steps = steps

    @classmethod
    def of(cls, transforms: list[Any]) -> "BatchedPipeline | None":
        """Builds the batched version of albumentations transforms; None if one of them has none."""
        steps = [_batched(transform) for transform in transforms]
        return None if None in steps else cls([step for step in steps if step])

    def __call__(self, images: Tensor, seed: int, epoch: Tensor, index: Tensor) -> Tensor:
        """Transforms a batch.

        Args:
            images: uint8 (B, H, W, 3).
            seed: Determines all random numbers, together with `epoch` and `index`.
            epoch: int64 (B,).
            index: int64 (B,), index of each image in the split.

        Returns:
            uint8 (B, H', W', 3).

        Raises:
            ValueError: if a crop is larger than the images.
        """
        draws = sum(number for _, number in self.steps)
        bits = random_bits(seed, epoch, index, draws) if draws else index.new_empty(len(index), 0)
        for step, number in self.steps:
            images = step(images, bits[:, :number])
            bits = bits[:, number:]
        return images


def _batched(transform: Any) -> tuple[Step, int] | None:
    make = STEPS.get(type(transform).__name__)
    made = make(transform) if make else None
    if made is None or transform.p == 1:
        return made
    step, draws = made
    return (partial(_sometimes, step, transform.p), draws + 1) if type(transform).__name__ in _KEEP_SIZE else None


def _sometimes(step: Step, p: float, images: Tensor, bits: Tensor) -> Tensor:
    chosen = bits[:, -1] < round(p * 2**BITS)
    both = torch.cat([images, step(images, bits[:, :-1])])
    return both.index_select(0, torch.arange(len(images), device=images.device) + len(images) * chosen)


def _pad(transform: Any) -> tuple[Step, int] | None:
    modes = {0: "constant", 1: "edge", 2: "symmetric", 3: "wrap", 4: "reflect"}  # OpenCV's numbers, numpy's names
    padding = transform.padding
    if isinstance(padding, int):
        left = top = right = bottom = padding
    elif len(padding) == 2:
        left = right = padding[0]
        top = bottom = padding[1]
    else:
        left, top, right, bottom = padding
    mode = modes[transform.border_mode]

    def constant(images: Tensor, bits: Tensor) -> Tensor:
        return F.pad(images, (0, 0, left, right, top, bottom), value=transform.fill)

    def mirrored(images: Tensor, bits: Tensor) -> Tensor:
        size = zip(images.shape[1:3], ((top, bottom), (left, right)), strict=True)
        rows, columns = (torch.from_numpy(np.pad(np.arange(n), pads, mode=mode)).to(images.device) for n, pads in size)  # type: ignore[call-overload]
        return images[:, rows[:, None], columns]

    if mode != "constant":
        return mirrored, 0
    return (constant, 0) if isinstance(transform.fill, int | float) else None


def _crop(transform: Any) -> tuple[Step, int] | None:
    random = type(transform).__name__ == "RandomCrop"
    height, width = transform.height, transform.width

    def crop(images: Tensor, bits: Tensor) -> Tensor:
        spare_y, spare_x = images.shape[1] - height, images.shape[2] - width
        if min(spare_y, spare_x) < 0:
            raise ValueError(
                f"a crop of {height}×{width} does not fit into images of {images.shape[1]}×{images.shape[2]}"
            )
        if not random:
            y, x = spare_y // 2, spare_x // 2
            return images[:, y : y + height, x : x + width]
        return _windows(images, height, width, below(bits[:, 0], spare_y + 1), below(bits[:, 1], spare_x + 1))

    return None if transform.pad_if_needed else (crop, 2 if random else 0)


def _windows(images: Tensor, height: int, width: int, y: Tensor, x: Tensor) -> Tensor:
    """Crops a window from each image.

    In a view whose row p starts at pixel p of the batch, a window is `height` rows. Selecting rows with `index_select`
    is seven times as fast as advanced indexing.
    """
    images = images.contiguous()
    count, full_height, full_width, channels = images.shape
    pixels = images.as_strided((count * full_height * full_width - width + 1, width * channels), (channels, 1))
    top = torch.arange(count, device=images.device) * full_height + y
    rows = (top[:, None] + torch.arange(height, device=images.device)) * full_width + x[:, None]
    return pixels.index_select(0, rows.flatten()).view(count, height, width, channels)


def _flip(transform: Any) -> tuple[Step, int]:
    axis = 2 if type(transform).__name__ == "HorizontalFlip" else 1
    return lambda images, bits: images.flip(axis), 0


def _coarse_dropout(transform: Any) -> tuple[Step, int] | None:
    fewest, most = transform.num_holes_range

    def drop(images: Tensor, bits: Tensor) -> Tensor:
        size = images.shape[1:3]
        sides = [transform.hole_height_range, transform.hole_width_range]
        whole = sides[0][1] >= 1  # the range of the height decides for both, as in albumentations
        holes = fewest + below(bits[:, 0], most - fewest + 1)
        dropped = images.new_zeros(images.shape[:3], dtype=torch.bool)
        for hole in range(most):
            inside = []
            for axis in (0, 1):
                length_bits, place_bits = bits[:, 1 + 4 * hole + axis], bits[:, 3 + 4 * hole + axis]
                length = _length(length_bits, sides[axis], size[axis], whole=whole)
                start = below(place_bits, size[axis] - length + 1)
                position = torch.arange(size[axis], device=images.device)
                inside.append((position >= start[:, None]) & (position < (start + length)[:, None]))
            dropped |= (holes > hole)[:, None, None] & inside[0][:, :, None] & inside[1][:, None, :]
        fill = torch.as_tensor(transform.fill, dtype=torch.float, device=images.device).to(torch.uint8)
        return torch.where(dropped[..., None], fill, images)

    return None if isinstance(transform.fill, str) else (drop, 1 + 4 * most)


def _length(bits: Tensor, bounds: tuple[float, float], side: int, *, whole: bool) -> Tensor:
    """Returns the side of each hole in pixels, from a range in pixels or in fractions of the image's side."""
    if whole:
        low, high = int(bounds[0]), int(min(bounds[1], side))
        return low + below(bits, high - low + 1)
    share = bounds[0] + (bounds[1] - bounds[0]) * bits.double() / 2**BITS
    return (side * share).long()


STEPS: dict[str, Callable[[Any], tuple[Step, int] | None]] = {
    "Pad": _pad,
    "RandomCrop": _crop,
    "CenterCrop": _crop,
    "HorizontalFlip": _flip,
    "VerticalFlip": _flip,
    "CoarseDropout": _coarse_dropout,
}
_KEEP_SIZE = ("HorizontalFlip", "VerticalFlip", "CoarseDropout")
