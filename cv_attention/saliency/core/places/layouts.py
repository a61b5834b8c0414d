"""Converts feature maps between layouts: channels first, channels last, or tokens of a grid."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor
from typing_extensions import TypeAliasType

from cv_attention.maps.grids import MOST_EXTRA, alike

# From a layer's output, or its gradient of the same shape, to (B, C, h, w); None finds it out.
Layout = TypeAliasType("Layout", Callable[[Tensor], Tensor] | None)


@dataclass(frozen=True)
class Grid:
    """Says where a module's output has the positions of the image.

    Attributes:
        axis: Channel axis: 1 for (B, C, h, w), -1 for (B, h, w, C) and for tokens (B, N, C).
        size: Height and width of the grid.
        before: Number of tokens before those of the grid: class, distillation and register tokens.
        after: Number of tokens behind them.
    """

    axis: int
    size: tuple[int, int]
    before: int = 0
    after: int = 0

    def __call__(self, output: Tensor) -> Tensor:
        """Returns the output, or a gradient of the same shape, as (B, C, h, w)."""
        if output.dim() == 3:
            return output[:, self.before : output.shape[1] - self.after].mT.unflatten(2, self.size)
        return output if self.axis == 1 else output.permute(0, 3, 1, 2)


def grid_of_map(output: Tensor, images: Tensor) -> Grid:
    """Returns the grid of a feature map of four dimensions, by its shape.

    (B, h, w, C), as in Swin, is recognised if its first two sides have the images' aspect ratio, the last two do not,
    and there are more channels than rows and columns. All others are (B, C, h, w).
    """
    aspect = images.shape[-2] / images.shape[-1]
    _, first, second, third = output.shape
    last = third > max(first, second) and alike(first, second, aspect) and not alike(second, third, aspect)
    return Grid(-1, (first, second)) if last else Grid(1, (second, third))


def token_grids(tokens: int, aspect: float, maps: list[tuple[int, int]]) -> Iterator[Grid]:
    """Yields the grids that `tokens` tokens may hold, those with the fewest other tokens first.

    Args:
        tokens: Number of tokens.
        aspect: Height / width of the images.
        maps: Sizes of the model's feature maps, which may have been flattened.
    """
    for extra in range(min(tokens - 1, MOST_EXTRA + 1)):
        count = tokens - extra
        sizes = {(h, count // h) for h in range(1, count + 1) if count % h == 0 and alike(h, count // h, aspect)}
        for size in sorted(sizes | {one for one in maps if one[0] * one[1] == count}):
            if count > 1:
                yield from (Grid(-1, size, before, extra - before) for before in range(extra, -1, -1))
