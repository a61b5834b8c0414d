"""SimAM (Yang et al., ICML 2021), https://proceedings.mlr.press/v139/yang21o.html."""

from torch import Tensor

from cv_attention.blocks.base import Device, Dtype, Gate, check_positive, check_whole
from cv_attention.blocks.functional.half_precision import widened
from cv_attention.blocks.functional.pooling import average


class SimAM(Gate):
    """Reweights what stands out of its channel, without parameters: ``x * sigmoid(1 / e)``.

    Paper: SimAM (Yang et al., ICML 2021), https://proceedings.mlr.press/v139/yang21o.html.

    ``1 / e = (x - mean)^2 / (4 (variance + e_lambda)) + 0.5``, mean and variance over a channel's positions: the
    inverse of the smallest energy that separates a position from the others.

    Map: `joint`, (B, C, H, W), values in (0.622, 1); it scales normal numbers by about 0.76.

    Args:
        channels: Channels C of the input; the gate does not depend on them.
        e_lambda: Regularisation, added to the variance.
        unbiased: Whether the variance divides by H W - 1, as in the official code and the paper's figure 3, or by H W
            as in its text.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer or `e_lambda` not positive.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import SimAM
        >>> block = SimAM(1)
        >>> x = torch.tensor([[0.0, 0.0], [0.0, 4.0]])[None, None]
        >>> block.attention(x)  # the position that stands out has the largest gate
        tensor([[[[0.6370, 0.6370],
                  [0.6370, 0.7432]]]])
        >>> len(list(block.parameters()))
        0
    """

    kind = "joint"

    def __init__(
        self,
        channels: int,
        *,
        e_lambda: float = 1e-4,
        unbiased: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        check_whole(channels=channels)
        check_positive(e_lambda=e_lambda)
        self.e_lambda = e_lambda
        self.unbiased = unbiased

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, H, W) of `x` (B, C, H, W)."""
        wide = widened(x)
        squares = (wide - average(wide, (2, 3), keepdim=True)).square()
        positions = x.shape[2] * x.shape[3]
        # A single position has no unbiased variance, but nothing to tell apart either: its square is 0.
        divisor = max(positions - 1, 1) if self.unbiased else positions
        variance = squares.sum((2, 3), keepdim=True) / divisor
        return (squares * (0.25 / (variance + self.e_lambda)) + 0.5).sigmoid().to(x.dtype)
