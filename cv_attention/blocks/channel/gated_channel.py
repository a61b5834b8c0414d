"""Gated channel transformation, GCT (Yang et al., CVPR 2020), https://arxiv.org/abs/1909.11519."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, check_choice, check_positive, check_whole
from cv_attention.blocks.functional.norms import l2_norm

Norm = Literal["l2", "l1"]


class GatedChannelTransform(Gate):
    """Lets channels compete or cooperate by their norms: ``x * (1 + tanh(gamma s / |s| + beta))``.

    Paper: Gated channel transformation, GCT (Yang et al., CVPR 2020), https://arxiv.org/abs/1909.11519.

    The embedding is ``s_c = alpha_c sqrt(sum_hw x_c^2 + eps)``, and ``|s| = sqrt(mean_c s_c^2 + eps)``
    normalises it over the channels (equations 1 to 3).

    Map: `channel`, (B, C, 1, 1), values in (0, 2); 1 at the start, where the block is the identity. The
    authors train `beta` without weight decay.

    Args:
        channels: Channels C of the input.
        norm: ``l2``, the paper's; ``l1`` takes the sum of absolute values, and their mean over the channels,
            as the official code can.
        eps: Keeps roots and quotients away from zero.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer, `norm` unknown or `eps` not positive.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import GatedChannelTransform
        >>> block = GatedChannelTransform(64)
        >>> x = torch.randn(2, 64, 14, 14)
        >>> torch.equal(block(x), x)  # a new block is the identity
        True
        >>> sum(parameter.numel() for parameter in block.parameters())  # three numbers for each channel
        192
    """

    kind = "channel"

    def __init__(
        self, channels: int, *, norm: Norm = "l2", eps: float = 1e-5, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        check_choice("norm", norm, get_args(Norm))
        check_positive(eps=eps)
        self.norm, self.eps = norm, eps
        self.alpha = nn.Parameter(torch.ones(channels, **factory))
        self.gamma = nn.Parameter(torch.zeros(channels, **factory))
        self.beta = nn.Parameter(torch.zeros(channels, **factory))

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, 1, 1) of `x` (B, C, H, W)."""
        if self.norm == "l2":
            embedding = self.alpha * (l2_norm(x).square() + self.eps).sqrt()
            size = (embedding.square().mean(1, keepdim=True) + self.eps).sqrt()
        else:
            embedding = self.alpha * x.abs().sum((2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
            size = embedding.abs().mean(1, keepdim=True) + self.eps
        gate = 1 + torch.tanh(self.gamma * embedding / size + self.beta)
        return gate.to(x.dtype)[:, :, None, None]
