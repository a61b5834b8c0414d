"""Says which part of the image an output depends on: models that cut it show a map of that part alone."""

import torch
from torch import Tensor

from cv_attention.saliency.core.noise import Source


def missing_part(output: Tensor, size: tuple[int, ...], images: Tensor) -> str:
    """Says which rows or columns of the image an output depends on, if it does not depend on all of them.

    A margin of half a position is allowed, as where strides do not divide the image.

    Args:
        output: A feature map or tokens, with a graph.
        size: Its positions along the axes of the image.
        images: The images that it was computed from, a leaf of the graph, (B, C, H, W).

    Returns:
        Such as ``it sees rows 16 to 239 of 256 alone``; empty if it depends on all of the image.
    """
    with torch.enable_grad():
        weights = Source(2).normal(tuple(output.shape), output)
        [pixels] = torch.autograd.grad((output * weights).sum(), images, retain_graph=True, allow_unused=True)
    if pixels is None:
        return ""
    for axis, positions in enumerate(size, 2):
        seen = pixels.ne(0).movedim(axis, 0).flatten(1).any(1).nonzero().flatten().tolist()
        pixels_here = images.shape[axis]
        if seen and 2 * positions * max(seen[0], pixels_here - 1 - seen[-1]) > pixels_here:
            name = ("slices", "rows", "columns")[axis - images.dim()]
            return f"it sees {name} {seen[0]} to {seen[-1]} of {pixels_here} alone"
    return ""
