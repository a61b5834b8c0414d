"""SigLIP's attention pooling by a latent query, "MAP" (Zhai et al., CVPR 2022), https://arxiv.org/abs/2106.04560.

The multihead attention pooling of Lee et al., ICML 2019, https://arxiv.org/abs/1810.00825, with one seed.
"""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, check_positive
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.layout import expanded_like, project, to_tokens


class LatentPool(Block):
    """Returns at every position what a learned query q reads from all: ``z + MLP(LN(z))``, ``z = W_o MHA(q, x, x)``.

    Paper: SigLIP's attention pooling by a latent query, "MAP" (Zhai et al., CVPR 2022), https://arxiv.org/abs/2106.04560.

    At the position `pool`, the network's mean gives this vector back. As in timm, no positions are encoded.

    Map: `pairwise`, (B, heads, 1, H, W); the last two axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads.
        mlp_ratio: Width of the MLP's hidden layer divided by C.
        norm: Whether the layer norm before the MLP is there, as in SigLIP.
        qkv_bias: Whether the query, key and value projections have biases.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or a number is not positive.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import LatentPool
        >>> block = LatentPool(64, heads=8)
        >>> pooled = block(torch.randn(2, 64, 7, 7))
        >>> pooled.shape, torch.equal(pooled[..., 0, 0], pooled[..., 3, 5])  # one vector, at every position
        (torch.Size([2, 64, 7, 7]), True)
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        mlp_ratio: float = 4.0,
        norm: bool = True,
        qkv_bias: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_positive(mlp_ratio=mlp_ratio)
        self.heads = heads
        self.latent = nn.Parameter(torch.empty(1, 1, channels, **factory))
        nn.init.trunc_normal_(self.latent, std=channels**-0.5)
        self.query = nn.Linear(channels, channels, bias=qkv_bias, **factory)
        self.key_value = nn.Linear(channels, 2 * channels, bias=qkv_bias, **factory)
        self.project = nn.Linear(channels, channels, **factory)
        self.norm = nn.LayerNorm(channels, eps=1e-6, **factory) if norm else nn.Identity()
        hidden = max(int(channels * mlp_ratio), 1)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, **factory), nn.GELU(), nn.Linear(hidden, channels, **factory)
        )
        self.map = AttentionMap("pairwise")

    def forward(self, x: Tensor) -> Tensor:
        """Reads from the positions of `x` (B, C, H, W); keeps shape and memory format."""
        query = self.query(self.latent.to(x.dtype)).expand(len(x), -1, -1)
        key, value = (to_tokens(part) for part in project(x, self.key_value).chunk(2, 1))
        parts = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        mixed = attend(*parts, observe=self.map.over((x.shape[2], x.shape[3])))
        latent = self.project(mixed.transpose(1, 2).flatten(2))[:, 0]
        return expanded_like(latent + self.mlp(self.norm(latent)), x)
