"""Replaces fused attention kernels, to expose their attention weights.

Fused kernels keep no probabilities and cannot be differentiated twice. In this mode every scaled dot-product attention
runs as plain matrix products, whether called by timm, torchvision, transformers, `nn.MultiheadAttention` or our blocks.
Other threads are not affected.
"""

import math
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


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
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        if enable_gqa:
            key, value = (x.repeat_interleave(query.shape[-3] // x.shape[-3], -3) for x in (key, value))
        logits = query @ key.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
        if is_causal:
            attn_mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
        if attn_mask is not None:
            logits = logits.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else logits + attn_mask
        probabilities = logits.softmax(-1)
        self.seen.append(probabilities)
        return probabilities @ value
