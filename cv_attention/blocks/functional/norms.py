"""The L2 norm of every channel, which several gates squeeze a feature map into."""

import torch
from torch import Tensor


def l2_norm(x: Tensor) -> Tensor:
    """Computes the Euclidean norm of each channel over the positions: ``sqrt(sum_hw x^2)``; its gradient at 0 is 0.

    Args:
        x: (B, C, H, W).

    Returns:
        (B, C), in float32 or wider.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.l2_norm(torch.tensor([[3.0, 4.0]]).view(1, 1, 1, 2))
        tensor([[5.]])
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    if x.is_contiguous() or x.dtype != dtype:
        return torch.linalg.vector_norm(x, dim=(2, 3), dtype=dtype)
    # In channels_last, the one-pass kernel takes at least three times as long on a CPU as squares and a sum.
    return x.square().sum((2, 3)).clamp(min=torch.finfo(dtype).tiny).sqrt()
