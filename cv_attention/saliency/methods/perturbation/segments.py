"""Prepares segments of an image: the cells of a grid, or labels that are given."""

import torch
from torch import Tensor


def label_segments(given: Tensor | None, cells: int, images: Tensor) -> Tensor:
    """Returns segment labels (1 or B, 1, H, W), of volumes (1 or B, 1, D, H, W), renumbered from 0 without gaps.

    Args:
        given: Integer labels, (1, 1, H, W) for all images or (B, 1, H, W); None makes a grid.
        cells: Number of grid cells along each side, at most one for each pixel.
        images: (B, C, H, W).

    Raises:
        ValueError: if the labels do not fit the images, or `cells` is not positive.
    """
    batch, size = len(images), tuple(images.shape[2:])
    if cells < 1:
        raise ValueError(f"cells must be positive, got {cells}")
    if given is None:
        labels = torch.zeros([1] * len(size), dtype=torch.int64, device=images.device)
        for axis, side in enumerate(size):
            place = torch.arange(side, device=images.device) * min(cells, side) // side
            labels = labels * min(cells, side) + place.view([-1 if one == axis else 1 for one in range(len(size))])
        return labels[None, None]
    if given.shape[1:] != (1, *size) or len(given) not in (1, batch) or given.dtype.is_floating_point:
        wanted = f"(1 or {batch}, 1, {', '.join(map(str, size))})"
        raise ValueError(f"segments must be integers {wanted}, got {given.dtype} {(*given.shape,)}")
    return torch.stack([part.unique(return_inverse=True)[1] for part in given.to(images.device)])


def show(images: Tensor, segments: Tensor, shown: Tensor, value: float) -> Tensor:
    """Returns images in which all segments but those shown have a value.

    Args:
        images: (B, C, H, W).
        segments: (1 or B, 1, H, W), from `label_segments`.
        shown: bool (S,) for all images, or (B, S).
        value: What covers the others.
    """
    shown = shown.expand(len(segments), -1) if shown.dim() == 1 else shown
    labels = segments.expand(len(shown), *segments.shape[1:])
    mask = shown.gather(1, labels.flatten(1)).view(labels.shape)
    return torch.where(mask, images, torch.full_like(images, value))


def paint(segments: Tensor, values: Tensor) -> Tensor:
    """Returns maps (B, T, H, W) of the values (B, T, S) of each segment."""
    labels = segments.expand(len(values), *segments.shape[1:]).flatten(2).expand(-1, values.shape[1], -1)
    return values.gather(2, labels).unflatten(2, segments.shape[2:])
