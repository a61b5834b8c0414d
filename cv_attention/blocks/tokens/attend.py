"""Scaled dot-product attention (Vaswani et al., NeurIPS 2017), https://arxiv.org/abs/1706.03762."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cv_attention.blocks.base import AttentionMap
from cv_attention.blocks.half_precision import widened, without_autocast
from cv_attention.blocks.pooling import needs_gradient


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    observer: AttentionMap,
    size: tuple[int, int],
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Computes ``softmax(scale * q kᵀ + bias) v``, in the fastest way unless `observer` is observed.

    Args:
        query: (B, heads, queries, d).
        key: (B, heads, H*W, d).
        value: (B, heads, H*W, v).
        observer: `pairwise` map, which sees (B, heads, queries, H, W).
        size: (H, W) of the keys.
        bias: Added to the logits, broadcastable to (B, heads, queries, H*W); -inf hides a key.
        scale: Factor of the logits; None is ``1 / sqrt(d)``.

    Returns:
        (B, heads, queries, v).
    """
    if not observer.observed:
        return attend_unseen(query, key, value, bias=bias, scale=scale)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    attention = observer(logits_of(query * factor, key, bias).softmax(-1).unflatten(-1, size))
    return attention.flatten(-2).to(value.dtype) @ value


def attend_unseen(
    query: Tensor, key: Tensor, value: Tensor, *, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Computes the same as `attend`, which describes the arguments, if no map is needed."""
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    on_processor, narrow = query.device.type == "cpu", query.dtype in (torch.float16, torch.bfloat16)
    if on_processor and not narrow and bias is not None and bias.shape == (*query.shape[:-1], query.shape[-2]):
        # All positions among each other, with a bias for every logit: one pass adds the logits to it, which together
        # with the softmax is faster than the processor's fused kernel.
        batches = (part.flatten(0, 1) for part in (bias, query, key.transpose(-2, -1)))
        return torch.baddbmm(*batches, alpha=factor).unflatten(0, query.shape[:2]).softmax(-1) @ value
    # The processor's fused kernel wants queries as wide as values, and has no gradient for a bias; what torch falls
    # back to is slower than the steps below.
    unfused = on_processor and (query.shape[-1] != value.shape[-1] or (bias is not None and needs_gradient(bias)))
    # The exporter to ONNX replaces the fused kernel, if it has a bias, by steps whose result is laid out otherwise
    # than the views that were traced behind it expect.
    if unfused or (bias is not None and torch.compiler.is_exporting()):
        return logits_of(query * factor, key, bias).softmax(-1).to(value.dtype) @ value
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)


def logits_of(query: Tensor, key: Tensor, bias: Tensor | None = None) -> Tensor:
    """Computes ``q kᵀ + bias`` of queries that are scaled, in float32 or wider: half precision ends at 65,504."""
    with without_autocast(query):
        logits = widened(query) @ widened(key).transpose(-2, -1)
    return logits if bias is None else logits.add_(bias)
