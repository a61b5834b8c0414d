"""Context encoding, EncNet (Zhang et al., CVPR 2018), https://arxiv.org/abs/1803.08904."""

from typing import Literal

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_choice, check_whole, zero
from cv_attention.blocks.functional.gating import over_start
from cv_attention.blocks.functional.half_precision import run_wide, widened, without_autocast


class ContextEncoding(Block):
    """Reweights channels from how the positions differ from learned codewords: ``x * sigmoid(W mean_k relu(norm(e_k)))``.

    Paper: Context encoding, EncNet (Zhang et al., CVPR 2018), https://arxiv.org/abs/1803.08904.

    e is the output (B, K, C) of an `EncodingLayer` over the projected input. The paper's loss on the classes that are
    present in an image is not part of the block.

    Maps: `encode.map`, pairwise, (B, 1, K, H, W): each position's assignment to the codewords, which sums to 1 over K;
    and `gate_map`, channel, (B, C, 1, 1), in (0, 1), about 0.5 at the start.

    Args:
        channels: Channels C of the input.
        codewords: Number of codewords K.
        project: Whether the input is encoded after a 1 x 1 convolution with batch norm and relu, as in the official
            code; the paper encodes it as it is.
        aggregate: Whether the gate sees the ``mean`` over the codewords, as in the official code, or their ``sum``.
        residual: Whether the output is ``relu(x + x * gate)``, as in the official code, instead of the paper's
            ``x * gate``.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if a number is not a positive integer or `aggregate` is none of these.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.ContextEncoding(64, codewords=8)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 14, 14)).shape)
        torch.Size([2, 64, 14, 14])
        >>> maps["encode.map"].values.shape  # each position's share of each codeword
        torch.Size([2, 1, 8, 14, 14])
    """  # noqa: E501

    start: float = 1.0  # as in `Gate`

    def __init__(
        self,
        channels: int,
        *,
        codewords: int = 32,
        project: bool = True,
        aggregate: Literal["mean", "sum"] = "mean",
        residual: bool = False,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels, codewords=codewords)
        check_choice("aggregate", aggregate, ("mean", "sum"))
        self.aggregate = aggregate
        self.residual = residual
        self.project = (
            nn.Sequential(
                nn.Conv2d(channels, channels, 1, bias=False, **factory), nn.BatchNorm2d(channels, **factory), nn.ReLU()
            )
            if project
            else None
        )
        self.encode = EncodingLayer(channels, codewords, **factory)
        self.norm = nn.BatchNorm1d(codewords, **factory)
        self.gate = nn.Linear(channels, channels, **factory)
        self.gate_map = AttentionMap("channel")

    def start_as_identity(self) -> None:
        """Zeroes the last layer, divides by the start of the gate, and leaves out the last relu."""
        zero(self.gate)
        self.start = 1.5 if self.residual else 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        projected = x if self.project is None else self.project(x)
        with without_autocast(x):
            encoded = run_wide(self.norm, self.encode(projected)).relu()
            context = encoded.mean(1) if self.aggregate == "mean" else encoded.sum(1)
            gate = run_wide(self.gate, context).sigmoid().to(x.dtype)
        gate = self.gate_map(gate[:, :, None, None])
        if self.start != 1:
            return x * over_start(1 + gate if self.residual else gate, self.start)
        return torch.addcmul(x, x, gate).relu() if self.residual else x * gate


class EncodingLayer(nn.Module):
    """Sums the residuals to each codeword: ``e_k = sum_i softmax_k(scale_k |x_i - d_k|^2) (x_i - d_k)``.

    (B, C, H, W) -> (B, K, C). The scale is the paper's -s_k; it starts in (-1, 0). No (positions, K, C) tensor of
    residuals is ever built: ``|x - d|^2 = |x|^2 - 2 x . d + |d|^2``, and the sum is a matrix product as well.
    """

    def __init__(self, channels: int, codewords: int, *, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        bound = (codewords * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(codewords, channels, **factory).uniform_(-bound, bound))
        self.scale = nn.Parameter(torch.empty(codewords, 1, **factory).uniform_(-1, 0))
        self.map = AttentionMap("pairwise")

    def forward(self, x: Tensor) -> Tensor:
        """Returns the encoding (B, K, C) of `x` (B, C, H, W), in float32 or wider."""
        # In half precision the lengths would be too coarse for the softmax, and both sums could leave its range.
        size, x, codewords = x.shape[2:], widened(x.flatten(2)), widened(self.codewords)
        lengths = x.square().sum(1, keepdim=True) + codewords.square().sum(1, keepdim=True)
        weights = (self.scale * (lengths - 2 * (codewords @ x))).softmax(1)
        weights = self.map(weights.unflatten(2, size)[:, None])[:, 0].flatten(2)
        return weights @ x.transpose(1, 2) - weights.sum(2, keepdim=True) * codewords
