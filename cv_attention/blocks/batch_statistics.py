"""Checks that a batch norm behind a pooling has statistics to train on."""

from torch import Tensor, nn


def check_batch_statistics(norm: nn.Module, x: Tensor) -> None:
    """Checks that every channel of a batch norm's input has more than one value.

    Args:
        norm: The batch norm; in evaluation it takes any batch.
        x: Its input, (B, C, ...).

    Raises:
        ValueError: if `norm` is in training and every channel of `x` has a single value.
    """
    if norm.training and x.shape[0] * x.shape[2:].numel() == 1:
        raise ValueError(
            "batch norm after pooling to one position needs a batch of 2 or more images in training, got batch=1; "
            "drop the last incomplete batch, or keep this norm in eval()"
        )
