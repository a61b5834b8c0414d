"""Global response normalisation, GRN (ConvNeXt V2; Woo et al., CVPR 2023), https://arxiv.org/abs/2301.00808."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_positive, check_whole
from cv_attention.blocks.functional.norms import l2_norm


class GlobalResponseNorm(Block):
    """Lets channels compete by their norms: ``x + gamma * (x * n) + beta``, ``n = |x_c| / mean_c |x_c|``.

    Paper: Global response normalisation, GRN (ConvNeXt V2; Woo et al., CVPR 2023), https://arxiv.org/abs/2301.00808.

    The norm is over positions (equations 1 to 3 and algorithm 1). Both parameters start at zero, where the
    block is the identity.

    Map: `channel`, (B, C, 1, 1): the relative norm n, positive, with mean 1 over the channels.

    Args:
        channels: Channels C of the input.
        eps: Added to the mean norm.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer or `eps` not positive.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.GlobalResponseNorm(2)
        >>> x = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
        >>> with record(block) as maps:
        ...     y = block(x)
        >>> maps["map"].values.flatten()  # each channel's norm over the mean of all
        tensor([0.5000, 1.5000])
        >>> torch.equal(y, x)  # a new block is the identity
        True
    """

    def __init__(self, channels: int, *, eps: float = 1e-6, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        check_positive(eps=eps)
        self.eps = eps
        self.gamma = nn.Parameter(torch.zeros(channels, **factory))
        self.beta = nn.Parameter(torch.zeros(channels, **factory))
        self.map = AttentionMap("channel")

    def forward(self, x: Tensor) -> Tensor:
        """Normalises `x` (B, C, H, W); keeps shape and memory format."""
        norm = l2_norm(x)
        response = self.map((norm / (norm.mean(1, keepdim=True) + self.eps))[:, :, None, None])
        gain = 1 + self.gamma[:, None, None] * response
        # One pass over x: the residual is part of the gain.
        return torch.addcmul(self.beta[:, None, None].to(x.dtype), x, gain.to(x.dtype))
