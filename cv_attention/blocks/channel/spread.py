"""How a gate of a coarse grid reaches the positions of a feature map."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def spread(gate: Tensor, size: Sequence[int]) -> Tensor:
    """Returns `gate` (B, C, h, w), repeated to the nearest positions of `size` (H, W); one value only broadcasts."""
    if gate.shape[2:].numel() == 1:
        return gate.expand(*gate.shape[:2], *size)
    return F.interpolate(gate, size=list(size))
