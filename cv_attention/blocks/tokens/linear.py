"""Linear attention (Katharopoulos et al., ICML 2020), https://arxiv.org/abs/2006.16236."""

from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, zero
from cv_attention.blocks.functional.layout import project, to_map
from cv_attention.blocks.functional.linear import attend_linearly


class LinearAttention(Block):
    """Attention without softmax: ``φ(q_i)ᵀ Σ_j φ(k_j) v_jᵀ / (φ(q_i)ᵀ Σ_j φ(k_j) + ε)``, φ(x) = elu(x) + 1, then W_o.

    Paper: Linear attention (Katharopoulos et al., ICML 2020), https://arxiv.org/abs/2006.16236.

    The sums over positions come first, so cost and memory are linear in their number, unless the map is observed.

    Map: `pairwise`, (B, heads, H*W, H, W), ``φ(q_i)·φ(k_j) / Σ_j``; the last two axes sum to 1 but for ε = 1e-6.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; d = C / heads.
        qkv_bias: Whether the query, key and value projections have biases.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import LinearAttention
        >>> block = LinearAttention(64, heads=4)
        >>> x = torch.randn(1, 64, 56, 56)  # all pairs of these positions would be 157 MB
        >>> (x + block(x)).shape  # it has no residual connection of its own
        torch.Size([1, 64, 56, 56])
    """

    def __init__(
        self, channels: int, *, heads: int = 4, qkv_bias: bool = True, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias, **factory)
        self.project = nn.Linear(channels, channels, **factory)
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the last layer: the block returns zeros, to be added to its input."""
        zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        # (B, 3C, H, W) -> three of (B, heads, N, d)
        qkv = project(x, self.qkv).flatten(2).unflatten(1, (3, self.heads, -1))
        query, key, value = qkv.transpose(-2, -1).unbind(1)
        mixed = attend_linearly(F.elu(query) + 1, F.elu(key) + 1, value, observe=self.map.over(size))
        return project(to_map(mixed.transpose(1, 2).flatten(2), x), self.project)
