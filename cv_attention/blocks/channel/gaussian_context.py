"""Gaussian context transformer, GCT (Ruan et al., CVPR 2021).

https://openaccess.thecvf.com/content/CVPR2021/html/Ruan_Gaussian_Context_Transformer_CVPR_2021_paper.html
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, check_positive, check_whole
from cv_attention.blocks.functional.pooling import average


class GaussianContextTransformer(Gate):
    """Damps channels whose average is unusual: ``x * exp(-n^2 / (2 c^2))``.

    Paper: Gaussian context transformer, GCT (Ruan et al., CVPR 2021),
    https://openaccess.thecvf.com/content/CVPR2021/html/Ruan_Gaussian_Context_Transformer_CVPR_2021_paper.html.

    n are the channels' averages, normalised to mean 0 and variance 1 over the channels. Without parameters by
    default (the paper's B0); B1 learns one, theta, which bounds the width by
    ``c = alpha sigmoid(theta) + beta`` and starts at 0.

    Map: `channel`, (B, C, 1, 1), values in (0, 1]; about 0.89 on average at c = 2.

    Args:
        channels: Channels C of the input; the gate has no weights per channel.
        c: Standard deviation of the Gaussian, where it is not learned.
        learnable: Whether c is learned (B1).
        alpha: Range of a learned c.
        beta: Least value of a learned c.
        eps: Added to the variance.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer, or `c`, `alpha`, `beta` or `eps` not positive.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import GaussianContextTransformer
        >>> block = GaussianContextTransformer(4)
        >>> x = torch.tensor([0.0, 0.0, 0.0, 10.0]).view(1, 4, 1, 1)  # one channel is unusual
        >>> block.attention(x).flatten()
        tensor([0.9592, 0.9592, 0.9592, 0.6873])
        >>> block(torch.randn(2, 4, 7, 7)).shape
        torch.Size([2, 4, 7, 7])
    """

    kind = "channel"

    def __init__(
        self,
        channels: int,
        *,
        c: float = 2.0,
        learnable: bool = False,
        alpha: float = 3.0,
        beta: float = 1.0,
        eps: float = 1e-5,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        check_positive(c=c, alpha=alpha, beta=beta, eps=eps)
        self.c, self.alpha, self.beta, self.eps = c, alpha, beta, eps
        self.theta = nn.Parameter(torch.zeros((), **factory)) if learnable else None

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, 1, 1) of `x` (B, C, H, W)."""
        width = self.c if self.theta is None else self.alpha * self.theta.sigmoid() + self.beta
        unusual = F.layer_norm(average(x, (2, 3)), x.shape[1:2], eps=self.eps) / width
        return torch.exp(unusual.square() / -2).to(x.dtype)[:, :, None, None]
