"""The L2 norm of every channel, which several gates squeeze a feature map into."""

import torch
from torch import Tensor


def l2_norm(x: Tensor) -> Tensor:
    """Returns ``sqrt(sum_hw x^2)`` of `x` (B, C, H, W) as (B, C), in float32 or wider; its gradient at 0 is 0."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    if x.is_contiguous() or x.dtype != dtype:
        return torch.linalg.vector_norm(x, dim=(2, 3), dtype=dtype)
    # In channels_last, the one-pass kernel takes at least three times as long on a CPU as squares and a sum.
    return x.square().sum((2, 3)).clamp(min=torch.finfo(dtype).tiny).sqrt()
