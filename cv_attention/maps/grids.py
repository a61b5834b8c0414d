"""Which grid of positions a sequence of tokens stands for."""

import math
from collections.abc import Iterable, Sequence

# Class, distillation and register tokens come before the patches: this many at most.
MOST_EXTRA = 16


def find_grid(
    tokens: int, grids: Iterable[tuple[int, int]], images: Sequence[int] | None = None
) -> tuple[int, int, int] | None:
    """Returns height and width of the grid behind `tokens` tokens, and how many tokens are not of it, or None.

    Args:
        tokens: Number of tokens.
        grids: Sizes of feature maps that may have been flattened, the likeliest first. Of those that fit, the one that
            leaves the fewest tokens over is taken.
        images: Shape of the images (B, C, H, W); where there was no feature map, a grid of their aspect may fit.
    """
    grids = list(grids)
    fitting = [(tokens - h * w, h, w) for h, w in grids if h * w > 1 and 0 <= tokens - h * w <= MOST_EXTRA]
    if fitting:
        extra, height, width = min(fitting, key=lambda one: one[0])
        return height, width, extra
    grid = grid_of(tokens, images[-2] / images[-1]) if images is not None and not grids else None
    if grid is None or grid[0] * grid[1] <= 1:
        return None
    return *grid, tokens - grid[0] * grid[1]


def grid_of(tokens: int, aspect: float) -> tuple[int, int] | None:
    """Returns height and width of the largest grid of this height / width that leaves few tokens over, or None."""
    for extra in range(min(tokens, MOST_EXTRA + 1)):
        height = round(math.sqrt((tokens - extra) * aspect))
        if height and (tokens - extra) % height == 0 and alike(height, (tokens - extra) // height, aspect):
            return height, (tokens - extra) // height
    return None


def alike(height: int, width: int, aspect: float) -> bool:
    """Returns whether a grid has the images' aspect, up to the rounding of its sides."""
    return abs(height - width * aspect) < 0.5 * (1 + aspect)
