"""Measures how often the weights of a step lie on the character that it reads."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from cv_attention.alignment import align


class AttentionInBox(Metric):
    """Computes the share of characters whose largest attention weight lies in a position that touches their box.

    The characters are those of the true texts whose boxes are known, and each is found by the edit alignment: the step
    that reads it, rightly or as another character, must look at it. A character that was not read counts as missed.
    Weights are the mean over heads.

    Examples:
        >>> import torch
        >>> from cv_attention.training.tasks.reading.pointing import AttentionInBox
        >>> metric = AttentionInBox()
        >>> boxes = torch.tensor([[[0.0, 0.0, 8.0, 8.0], [8.0, 0.0, 16.0, 8.0]]])
        >>> weights = torch.tensor([[[[0.9, 0.1], [0.8, 0.2]]]])  # two steps, both look at the left half
        >>> metric.update([("4", "2")], [("4", "2")], weights, boxes, (1, 2), (8, 16))
        >>> metric.compute()
        tensor(0.5000)
    """

    higher_is_better = True
    full_state_update = False
    hits: Tensor
    total: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("hits", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        read: Sequence[Sequence[str]],
        true: Sequence[Sequence[str]],
        weights: Tensor,
        boxes: Tensor,
        grid: tuple[int, int],
        size: tuple[int, int],
    ) -> None:
        """Counts a batch.

        Args:
            read: The units of each text that was read.
            true: The units of each true text.
            weights: (B, heads, steps, N), N positions row by row.
            boxes: x0, y0, x1, y1 of each unit of the true texts in pixels, (B, T, 4); NaN where there is none.
            grid: Rows and columns of the positions.
            size: Height and width of the images in pixels.
        """
        touched = touches(weights.mean(1).argmax(2), boxes, grid, size).tolist()
        known = boxes.isfinite().all(2).tolist()
        for image, (units, truth) in enumerate(zip(read, true, strict=True)):
            for pair in align(units, truth):
                if pair.true is not None and known[image][pair.true]:
                    self.total += 1
                    self.hits += int(pair.read is not None and touched[image][pair.read][pair.true])

    def compute(self) -> Tensor:
        """Returns the share in [0, 1]; NaN without boxes."""
        return self.hits / self.total


def touches(positions: Tensor, boxes: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Returns whether the cells of positions and boxes have pixels in common.

    Args:
        positions: Numbers of positions, row by row, (B, steps).
        boxes: x0, y0, x1, y1 in pixels, (B, T, 4).
        grid: Rows and columns of the positions.
        size: Height and width of the images in pixels.

    Returns:
        bool (B, steps, T).
    """
    high, wide = size[0] / grid[0], size[1] / grid[1]
    rows, columns = positions[..., None] // grid[1], positions[..., None] % grid[1]
    x0, y0, x1, y1 = boxes[:, None].unbind(-1)
    across = (columns * wide < x1) & ((columns + 1) * wide > x0)
    return across & (rows * high < y1) & ((rows + 1) * high > y0)
