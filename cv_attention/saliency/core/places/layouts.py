"""Converts feature maps between layouts: channels first, channels last, or tokens of a grid."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor
from typing_extensions import TypeAliasType

from cv_attention.maps.grids import MOST_EXTRA, alike

# From a layer's output, or its gradient of the same shape, to (B, C, h, w); None finds it out.
Layout = TypeAliasType("Layout", Callable[[Tensor], Tensor] | None)
Size = tuple[int, ...]  # rows and columns; of volumes and videos slices or frames, rows and columns


@dataclass(frozen=True)
class Grid:
    """Says where a module's output has the positions of the image.

    Attributes:
        axis: Channel axis: 1 for (B, C, h, w), -1 for (B, h, w, C) and for tokens (B, N, C).
        size: Height and width of the grid; of volumes depth, height and width.
        before: Number of tokens before those of the grid: class, distillation and register tokens.
        after: Number of tokens behind them.
    """

    axis: int
    size: Size
    before: int = 0
    after: int = 0

    def __call__(self, output: Tensor) -> Tensor:
        """Returns the output, or a gradient of the same shape, as (B, C, h, w)."""
        if output.dim() == 3:
            return output[:, self.before : output.shape[1] - self.after].mT.unflatten(2, self.size)
        return output if self.axis == 1 else output.movedim(-1, 1)


def grid_of_map(output: Tensor, images: Tensor) -> Grid:
    """Returns the grid of a feature map with as many dimensions as the images, by its shape.

    (B, h, w, C), as in Swin, is recognised if its first sides have the images' aspect ratio, the last ones do not, and
    there are more channels than positions along any side. All others are (B, C, h, w).
    """
    aspect = images.shape[-2] / images.shape[-1]
    _, *first, second, third = output.shape
    last = third > max(*first, second) and alike(first[-1], second, aspect) and not alike(second, third, aspect)
    return Grid(-1, tuple(output.shape[1:-1])) if last else Grid(1, tuple(output.shape[2:]))


def token_grids(tokens: int, aspect: float, maps: Sequence[Size], *, flat: bool = True) -> Iterator[Grid]:
    """Yields the grids that `tokens` tokens may hold, those with the fewest other tokens first.

    Args:
        tokens: Number of tokens.
        aspect: Height / width of the images.
        maps: Sizes of the model's feature maps, which may have been flattened.
        flat: Whether images are flat, so that any grid of their aspect is possible; of volumes, only those of `maps`.
    """
    for extra in range(min(tokens - 1, MOST_EXTRA + 1)):
        count = tokens - extra
        rows = range(1, count + 1) if flat else ()
        sizes: set[Size] = {(h, count // h) for h in rows if count % h == 0 and alike(h, count // h, aspect)}
        for size in sorted(sizes | {one for one in maps if prod(one) == count}):
            if count > 1:
                yield from (Grid(-1, size, before, extra - before) for before in range(extra, -1, -1))
