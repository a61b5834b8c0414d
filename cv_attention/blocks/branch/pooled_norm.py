"""What batch norm after global pooling asks of a batch."""

from torch import Tensor, nn


def check_batch(pooled: Tensor, norm: nn.Module) -> None:
    """Raises ValueError if `norm` would take its statistics from a single image's average.

    Args:
        pooled: (B, C, 1, 1), one value per image and channel.
        norm: The batch norm that is to normalise it; it takes any batch in evaluation.
    """
    if norm.training and pooled.shape[0] < 2:
        raise ValueError(
            "batch norm after global pooling needs a batch of 2 or more images in training, "
            f"got batch={pooled.shape[0]}; drop the last incomplete batch, or keep this norm in eval()"
        )
