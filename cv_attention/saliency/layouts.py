"""Feature maps in the layouts that networks give them: channels first, channels last, or tokens of a grid."""

import math

from torch import Tensor

# Class, distillation and register tokens come before the patches: this many at most.
_MOST_EXTRA = 16


def to_grid(output: object, images: Tensor) -> Tensor | None:
    """Returns a module's output as (B, C, h, w), or None where it is no feature map of `images`.

    (B, C, h, w) stays. (B, h, w, C) is taken as such where its first two sides have the images' shape, the last two
    do not, and there are more channels than rows and columns: Swin. Tokens (B, N, C) lose what comes before the grid:
    class and register tokens.

    Args:
        output: What a module returned, or a gradient of the same shape.
        images: (B, C, H, W).
    """
    if not isinstance(output, Tensor) or len(output) != len(images):
        return None
    aspect = images.shape[-2] / images.shape[-1]
    if output.dim() == 4:
        _, first, second, third = output.shape
        last = third > max(first, second) and _alike(first, second, aspect) and not _alike(second, third, aspect)
        return output.permute(0, 3, 1, 2) if last else output
    if output.dim() == 3 and output.shape[1] > 1:
        grid = grid_of(output.shape[1], aspect)
        if grid is not None:
            return output[:, output.shape[1] - grid[0] * grid[1] :].mT.unflatten(2, grid)
    return None


def grid_of(tokens: int, aspect: float) -> tuple[int, int] | None:
    """Returns height and width of the largest grid of this height / width that leaves few tokens over, or None."""
    for extra in range(min(tokens, _MOST_EXTRA + 1)):
        height = round(math.sqrt((tokens - extra) * aspect))
        if height and (tokens - extra) % height == 0 and _alike(height, (tokens - extra) // height, aspect):
            return height, (tokens - extra) // height
    return None


def _alike(height: int, width: int, aspect: float) -> bool:
    """Whether a grid has the images' aspect, up to the rounding of its sides."""
    return abs(height - width * aspect) < 0.5 * (1 + aspect)
