"""Turns, mirrors and warps whole batches of images."""

import numpy as np
import torch
from torch import Tensor

_ONE = 256  # entries of a matrix are in 1/256
_MOST_TURN = 30  # degrees
_MOST_SHEAR = 0.3
_SCALES = (0.8, 1.2)


def turned(images: Tensor, turns: np.ndarray, mirrored: np.ndarray) -> Tensor:
    """Mirrors images left to right, then turns them.

    Args:
        images: uint8 (N, H, W, C).
        turns: int64 (N,), quarter turns to the left.
        mirrored: bool (N,).

    Returns:
        uint8 (N, H, W, C).

    Raises:
        ValueError: if images that are not square are to be turned by 90 or 270 degrees.
    """
    if not turns.any() and not mirrored.any():
        return images
    height, width = images.shape[1:3]
    if height != width and (turns % 2).any():
        raise ValueError(
            f"data.episodes.rotations needs square images, got {width}x{height}; set data.episodes.side, or crop them"
        )
    result = images.clone()
    for turn, flip in {*zip(turns.tolist(), mirrored.tolist(), strict=True)} - {(0, False)}:
        chosen = torch.from_numpy(np.flatnonzero((turns == turn) & (mirrored == flip))).to(images.device)
        some = images[chosen]
        result[chosen] = torch.rot90(some.flip(2) if flip else some, turn, (1, 2))
    return result


def draw_matrices(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws matrices that turn by up to 30 degrees, shear and scale.

    Args:
        count: How many.
        rng: Source of the random numbers.

    Returns:
        int64 (count, 2, 2), in 1/256: they take offsets (y, x) from the centre of the result to those in the image.
    """
    angle = np.deg2rad(rng.integers(-_MOST_TURN, _MOST_TURN + 1, count))
    shear = rng.uniform(-_MOST_SHEAR, _MOST_SHEAR, count)
    scales = rng.uniform(*_SCALES, (count, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    rows = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)  # (count, 2, 2)
    rows[:, :, 0] += shear[:, None] * rows[:, :, 1]
    return np.rint(rows / scales[:, None, :] * _ONE).astype(np.int64)


def warped(images: Tensor, matrices: Tensor) -> Tensor:
    """Warps grey images around their centres, bilinearly and in integers: the same bytes on every platform.

    Args:
        images: uint8 (N, S, S, 3), three equal channels.
        matrices: int64 (N, 2, 2), see `draw_matrices`.

    Returns:
        uint8 (N, S, S, 3), black where the image does not reach.
    """
    side = images.shape[1]
    grey = torch.nn.functional.pad(images[..., 0], (1, 1, 1, 1)).int().flatten(1)
    half = 2 * torch.arange(side, device=images.device) - (side - 1)  # offsets from the centre, in half pixels
    down, right = half[:, None], half[None, :]
    first, second = matrices[:, 0, :, None, None], matrices[:, 1, :, None, None]
    scale, wide = 2 * _ONE, side + 2
    ends = (side - 1) * _ONE + scale  # the first pixel is black
    rows = (first[:, 0] * down + first[:, 1] * right + ends).clamp(0, (side + 1) * scale - 1)
    columns = (second[:, 0] * down + second[:, 1] * right + ends).clamp(0, (side + 1) * scale - 1)
    top, left = rows // scale, columns // scale
    low, along = (rows % scale).int(), (columns % scale).int()
    corner = (top * wide + left).flatten(1)

    def at(offset: int) -> Tensor:
        return grey.gather(1, corner + offset).view(-1, side, side)

    above = at(0) * (scale - along) + at(1) * along
    below = at(wide) * (scale - along) + at(wide + 1) * along
    result = ((above * (scale - low) + below * low) // scale**2).to(torch.uint8)
    return result[..., None].expand(-1, -1, -1, 3).contiguous()
