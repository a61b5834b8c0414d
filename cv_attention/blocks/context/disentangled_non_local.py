"""Disentangled non-local block (Yin et al., ECCV 2020), https://arxiv.org/abs/2006.06668."""

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, bottleneck, check_positive
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.layout import to_map, to_tokens


class DisentangledNonLocal(Block):
    """Parts the non-local block's attention: ``x_i + W_z sum_j (p_ij + u_j) g(x_j)``.

    Paper: Disentangled non-local block (Yin et al., ECCV 2020), https://arxiv.org/abs/2006.06668.

    The pairwise term is whitened, ``p_ij = softmax_j((q_i - mean q) . (k_j - mean k) / (sqrt(d) temperature))``, the
    unary term the same for all queries, ``u_j = softmax_j(m . x_j)``.

    Maps: `pairwise`, (B, 1, H*W, H, W), p, written when observed only; `unary`, of kind `pairwise` with a single
    query, (B, 1, 1, H, W), u. The last two axes sum to 1.

    A fresh block is an identity: the last norm's scale, or without it W_z, starts at zero. The official code has
    a temperature, 1 by default; mmsegmentation's models use 0.05. Queries and keys have no biases, which
    whitening would take away.

    Args:
        channels: Channels C of the input.
        reduction: q, k and g have d = max(C // reduction, 1) channels.
        use_scale: Whether the pairwise logits are divided by sqrt(d).
        temperature: Divisor of the pairwise logits, in addition.
        norm: Whether batch norm follows W_z.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `reduction` is not a positive integer, or `temperature` not positive.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.DisentangledNonLocal(64, temperature=0.05)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 7, 7)).shape)
        torch.Size([2, 64, 7, 7])
        >>> {name: tuple(map.values.shape) for name, map in maps.items()}
        {'pairwise': (2, 1, 49, 7, 7), 'unary': (2, 1, 1, 7, 7)}
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 2,
        use_scale: bool = True,
        temperature: float = 1.0,
        norm: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        inner = bottleneck(channels, reduction)
        check_positive(temperature=temperature)
        self.scale = (inner**-0.5 if use_scale else 1.0) / temperature
        self.query = nn.Linear(channels, inner, bias=False, **factory)
        self.key = nn.Linear(channels, inner, bias=False, **factory)
        self.g = nn.Linear(channels, inner, **factory)
        self.mask = nn.Linear(channels, 1, bias=False, **factory)
        self.pairwise = AttentionMap("pairwise")
        self.unary = AttentionMap("pairwise")
        self.out = nn.Linear(inner, channels, bias=not norm, **factory)
        self.norm = nn.BatchNorm2d(channels, **factory) if norm else None
        for layer in (self.query, self.key, self.g, self.mask, self.out):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.out.weight if self.norm is None else self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        tokens = to_tokens(x)
        query, key, value = self.query(tokens), self.key(tokens), self.g(tokens)
        # The keys stay as they are: their mean adds the same to all logits of a query.
        query = query - query.mean(1, keepdim=True)
        parts = (query[:, None], key[:, None], value[:, None])
        mixed = attend(*parts, scale=self.scale, observe=self.pairwise.over(size))[:, 0]
        unary = self.unary(self.mask(tokens).softmax(1).transpose(1, 2)[:, None].unflatten(3, size))
        mixed = mixed + unary.flatten(3)[:, 0].to(value.dtype) @ value
        y = to_map(self.out(mixed), x)
        return x + (y if self.norm is None else self.norm(y))
