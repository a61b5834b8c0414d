"""Perceiver between convolutions (Jaegle et al., ICML 2021 and ICLR 2022), https://arxiv.org/abs/2107.14795.

Perceiver: https://arxiv.org/abs/2103.03206; its output queries: Perceiver IO, https://arxiv.org/abs/2107.14795.
"""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Block, Device, Dtype, Factory, check_divisible, check_whole, zero
from cv_attention.blocks.context.perceiver_layer import CrossAttention, PerceiverLayer, new_latents
from cv_attention.blocks.functional.fourier import fourier_features, grid_positions
from cv_attention.blocks.functional.layout import to_map, to_tokens


class LatentAttention(Block):
    """Lets a few latents read the map, think, and be read: ``z = think(z_0 + MHA(z_0, t))``, ``x + MHA(t, z)``.

    Papers: Perceiver (Jaegle et al., ICML 2021), https://arxiv.org/abs/2103.03206, for reading and thinking; Perceiver
    IO (Jaegle et al., ICLR 2022), https://arxiv.org/abs/2107.14795, for the positions as output queries.

    The tokens t are the positions' vectors, concatenated with Fourier features of the positions; z_0 are learned. All
    attention is preceded by layer norms; reading and each of the `layers` of self-attention among the latents are
    followed by ``z + MLP(LN(z))``. Any two positions are connected, and the cost is linear in H*W.

    Maps: `read.attention.map`, `pairwise`, (B, cross_heads, latents, H, W), the last two axes sum to 1:
    `cva.maps.query_heatmaps` shows what each latent reads; `think.<n>.attention.map`, `alignment`, (B, heads, latents,
    latents); `write.map`, `alignment`, (B, cross_heads, H*W, latents), the last axis sums to 1.

    Args:
        channels: Channels C of the input.
        latents: Number of latents.
        width: Channels of a latent; None takes C.
        layers: Layers of self-attention among the latents.
        heads: Heads of these layers.
        cross_heads: Heads of reading and writing; 1 in the paper.
        mlp_ratio: Width of the MLPs' hidden layers divided by `width`; 1 in the paper.
        bands: Frequencies of the Fourier features for each axis; with 0, positions are their two coordinates alone.
        resolution: Positions along an axis that the highest frequency tells apart.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `width` is not divisible by `heads` or `cross_heads`, or an argument is not in its range.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> block = cva.blocks.LatentAttention(64, latents=8)
        >>> with cva.record(block) as maps:
        ...     print(block(torch.randn(2, 64, 14, 14)).shape)
        torch.Size([2, 64, 14, 14])
        >>> cva.maps.query_heatmaps(maps["read.attention.map"]).shape  # what each of the 8 latents reads
        torch.Size([2, 8, 14, 14])
    """

    def __init__(
        self,
        channels: int,
        *,
        latents: int = 16,
        width: int | None = None,
        layers: int = 1,
        heads: int = 4,
        cross_heads: int = 1,
        mlp_ratio: float = 1.0,
        bands: int = 4,
        resolution: int = 16,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        if width is None:
            check_divisible(channels=channels, heads=heads)
            check_divisible(channels=channels, cross_heads=cross_heads)
        width = channels if width is None else width
        check_whole(channels=channels, width=width, layers=layers, resolution=resolution)
        if isinstance(bands, bool) or not isinstance(bands, int) or bands < 0:
            raise ValueError(f"bands must be a whole number of at least 0, got bands={bands!r}")
        self.bands, self.resolution = bands, resolution
        tokens = channels + 2 * (2 * bands + 1)
        self.latents = new_latents(latents, width, factory)
        self.read = PerceiverLayer(width, tokens, cross_heads, mlp_ratio, "pairwise", **factory)
        self.think = nn.ModuleList(PerceiverLayer(width, None, heads, mlp_ratio, **factory) for _ in range(layers))
        self.write = CrossAttention(tokens, width, cross_heads, width, channels, **factory)

    def start_as_identity(self) -> None:
        """Zeroes the last layer."""
        zero(self.write.project)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        positions = grid_positions(*size, device=x.device, dtype=torch.promote_types(x.dtype, torch.float32))
        places = fourier_features(positions, self.bands, 2 * [self.resolution])
        tokens = torch.cat([to_tokens(x), places.to(x.dtype).expand(len(x), -1, -1)], 2)
        z = self.read(self.latents.to(x.dtype), tokens, size)
        for layer in self.think:
            z = layer(z)
        return x + to_map(self.write(tokens, z), x)
