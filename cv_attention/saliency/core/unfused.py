"""Replaces fused attention kernels, to expose their attention weights.

Fused kernels keep no probabilities and cannot be differentiated twice. In this mode every scaled dot-product attention
runs as plain matrix products, whether called by timm, torchvision, transformers, `nn.MultiheadAttention` or our blocks.
Other threads are not affected.
"""

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cv_attention.blocks.functional import attention_weights


class Unfused(TorchFunctionMode):
    """Runs scaled dot-product attention step by step and keeps the probabilities, (B, heads, queries, keys)."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            func = self._attend
        elif func is F.multi_head_attention_forward:
            # function modes do not apply inside it, so a copy that calls ours is used
            own = {"scaled_dot_product_attention": self._attend, "has_torch_function": lambda _: False}
            func = FunctionType(func.__code__, {**func.__globals__, **own}, None, func.__defaults__)
        return func(*args, **(kwargs or {}))

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **options: Any,
    ) -> Tensor:
        """Takes the arguments of `scaled_dot_product_attention`; drops nothing out."""
        weights = attention_weights(query, key, attn_mask=attn_mask, is_causal=is_causal, **options)
        probabilities = weights.to(value.dtype)
        self.seen.append(probabilities)
        if probabilities.dim() > 2 and value.shape[-3] != probabilities.shape[-3]:  # grouped queries
            value = value.repeat_interleave(probabilities.shape[-3] // value.shape[-3], -3)
        return probabilities @ value
