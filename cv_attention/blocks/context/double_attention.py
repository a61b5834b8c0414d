"""Double attention block of A²-Nets (Chen et al., NeurIPS 2018), https://arxiv.org/abs/1810.11579."""

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_whole, zero


class DoubleAttention(Block):
    """Gathers n descriptors of the image and hands them out: ``x + W [G softmax_n(rho x)]``.

    Paper: Double attention block of A²-Nets (Chen et al., NeurIPS 2018), https://arxiv.org/abs/1810.11579.

    ``G = (phi x) softmax_positions(theta x)'`` holds one descriptor per column, a weighted average over the
    positions. Every position then takes its own mixture of them.

    Maps: `gather`, `pairwise`, (B, 1, n, H, W), the last two axes sum to 1; `distribute`, `alignment`,
    (B, 1, H*W, n), the last axis sums to 1. Widespread copies take both softmaxes over the positions; the paper
    takes the second over the descriptors, so that every position's weights sum to 1.

    Args:
        channels: Channels C of the input.
        m: Channels of a descriptor; None takes max(C // 4, 1).
        n: Number of descriptors; None takes max(C // 4, 1).
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if an argument is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.DoubleAttention(64, m=32, n=8)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 7, 7)).shape)
        torch.Size([2, 64, 7, 7])
        >>> maps["gather"].values.shape  # from where each of the 8 descriptors is gathered
        torch.Size([2, 1, 8, 7, 7])
    """

    def __init__(
        self, channels: int, *, m: int | None = None, n: int | None = None, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        m = max(channels // 4, 1) if m is None else m
        n = max(channels // 4, 1) if n is None else n
        check_whole(m=m, n=n)
        self.phi = nn.Conv2d(channels, m, 1, **factory)
        self.theta = nn.Conv2d(channels, n, 1, **factory)
        self.rho = nn.Conv2d(channels, n, 1, **factory)
        self.out = nn.Conv2d(m, channels, 1, **factory)
        self.gather = AttentionMap("pairwise")
        self.distribute = AttentionMap("alignment")

    def start_as_identity(self) -> None:
        """Zeroes the last layer."""
        zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        features = self.phi(x).flatten(2)
        gather = self.gather(self.theta(x).flatten(2).softmax(2)[:, None].unflatten(3, x.shape[2:]))
        distribute = self.distribute(self.rho(x).flatten(2).softmax(1).transpose(1, 2)[:, None])
        # (B, m, N) @ (B, N, n), then (B, m, n) @ (B, n, N)
        descriptors = features @ gather[:, 0].flatten(2).transpose(1, 2).to(features.dtype)
        mixed = descriptors @ distribute[:, 0].transpose(1, 2).to(features.dtype)
        return x + self.out(mixed.unflatten(2, x.shape[2:]))
