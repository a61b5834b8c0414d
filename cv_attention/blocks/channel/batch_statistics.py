"""What batch normalisation after a pooling to one position needs."""

from torch import Tensor, nn


def check_several_values(norm: nn.Module, x: Tensor) -> None:
    """Checks that `norm` can train on `x` (B, C, ...): that a channel has more than one value.

    Raises:
        ValueError: if `norm` is in training and every channel of `x` has a single value.
    """
    if norm.training and x.shape[0] * x.shape[2:].numel() == 1:
        raise ValueError(
            "training needs a batch of at least 2: a single image's pooled channel is one value, "
            "which has no batch statistics"
        )
