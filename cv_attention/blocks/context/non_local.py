"""Non-local block (Wang et al., CVPR 2018), https://arxiv.org/abs/1711.07971."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, bottleneck, check_choice
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.half_precision import run_wide, widened, without_autocast
from cv_attention.blocks.functional.layout import project, to_map, to_tokens
from cv_attention.blocks.functional.scores import concat_scores

Mode = Literal["embedded_gaussian", "gaussian", "dot_product", "concatenation"]


class NonLocal(Block):
    """Adds what all positions say to each: ``x_i + W_z sum_j f(x_i, x_j) g(x_j) / C(x)`` (equations 1 and 6).

    Paper: Non-local block (Wang et al., CVPR 2018), https://arxiv.org/abs/1711.07971.

    - ``gaussian``: ``f / C = softmax_j(x_i . x_j)``
    - ``embedded_gaussian``: ``softmax_j(theta(x_i) . phi(x_j))``
    - ``dot_product``: ``theta(x_i) . phi(x_j) / N``, N positions j
    - ``concatenation``: ``relu(w_f . [theta(x_i), phi(x_j)]) / N``

    Map: `pairwise`, (B, 1, H*W, H, W), f / C; with `sub_sample`, the last two axes are the pooled ones. Where it
    is not observed, the modes with a softmax do not write it, nor does ``dot_product`` for more positions than d.

    A fresh block is an identity: the last norm's scale, or without it W_z, starts at zero. The paper does not
    scale the embedded Gaussian, the official code does.

    Args:
        channels: Channels C of the input.
        mode: The pairwise function f.
        reduction: theta, phi and g have max(C // reduction, 1) channels.
        use_scale: Whether the embedded Gaussian divides by the square root of theta's channels.
        sub_sample: Whether phi and g are max-pooled 2 x 2 (section 3.3).
        norm: Whether batch norm follows W_z.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `mode` is unknown or `channels` or `reduction` is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.NonLocal(64, mode="dot_product", sub_sample=True)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 8, 8)).shape)
        torch.Size([2, 64, 8, 8])
        >>> maps["map"].values.shape  # 64 positions attend to 4 x 4 pooled ones
        torch.Size([2, 1, 64, 4, 4])
    """

    def __init__(
        self,
        channels: int,
        *,
        mode: Mode = "embedded_gaussian",
        reduction: int = 2,
        use_scale: bool = True,
        sub_sample: bool = False,
        norm: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        inner = bottleneck(channels, reduction)
        check_choice("mode", mode, get_args(Mode))
        self.mode, self.sub_sample = mode, sub_sample
        self.scale = None if use_scale and mode == "embedded_gaussian" else 1.0
        # theta, phi and g, one below the other: one product instead of three.
        self.project = nn.Linear(channels, inner if mode == "gaussian" else 3 * inner, **factory)
        self.concat = nn.Linear(2 * inner, 1, bias=False, **factory) if mode == "concatenation" else None
        self.map = AttentionMap("pairwise")
        self.out = nn.Linear(inner, channels, bias=not norm, **factory)
        self.norm = nn.BatchNorm2d(channels, **factory) if norm else None
        for layer in (self.project, self.out):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.out.weight if self.norm is None else self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        projected = to_tokens(project(x, self.project))
        if self.mode == "gaussian":
            query, value = to_tokens(x), projected
            key = query
        else:
            query, key, value = projected.chunk(3, 2)
        if self.sub_sample:
            key, value = _pool(key, size), _pool(value, size)
            key_size = (max(size[0] // 2, 1), max(size[1] // 2, 1))
        else:
            key_size = size
        if self.mode in ("dot_product", "concatenation") and value.dtype in (torch.float16, torch.bfloat16):
            return x + self._wide(query, key, value, key_size, x).to(x.dtype)
        y = project(to_map(self._mix(query, key, value, key_size), x), self.out)
        return x + (y if self.norm is None else self.norm(y))

    def _wide(self, query: Tensor, key: Tensor, value: Tensor, size: tuple[int, int], x: Tensor) -> Tensor:
        """Returns what is added to `x`, in float32: weights without a softmax may make it too large for half."""
        with without_autocast(x):
            y = self._mix(widened(query), widened(key), widened(value), size)
            y = to_map(run_wide(self.out, y), x)
            return y if self.norm is None else run_wide(self.norm, y)

    def _mix(self, query: Tensor, key: Tensor, value: Tensor, size: tuple[int, int]) -> Tensor:
        """Returns sum_j f_ij value_j / C, (B, queries, d); keys and values are (B, keys, d) on a grid `size`."""
        if self.mode in ("gaussian", "embedded_gaussian"):
            parts = (query[:, None], key[:, None], value[:, None])
            return attend(*parts, scale=self.scale, observe=self.map.over(size))[:, 0]
        count = key.shape[1]
        if self.concat is not None:
            weights = F.relu(concat_scores(query, key, self.concat.weight)) / count
        elif self.map.observed or count < value.shape[2]:
            weights = (query / count) @ key.transpose(1, 2)
        else:  # the same products in the other order, linear in the positions
            return query @ (key.transpose(1, 2) @ (value / count))
        return self.map(weights[:, None].unflatten(3, size)).flatten(3)[:, 0] @ value


def _pool(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Takes maxima over 2 x 2 positions of `tokens` (B, H*W, d); an odd last row or column is left out."""
    kernel = (min(2, size[0]), min(2, size[1]))
    return F.max_pool2d(tokens.transpose(1, 2).unflatten(2, size), kernel).flatten(2).transpose(1, 2)
