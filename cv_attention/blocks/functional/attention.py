"""Scaled dot-product attention (Vaswani et al., NeurIPS 2017), https://arxiv.org/abs/1706.03762."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from cv_attention.blocks.functional.half_precision import without_autocast
from cv_attention.blocks.functional.pooling import needs_gradient
from cv_attention.blocks.functional.scores.dot import dot_scores

# A function of attention weights that returns the weights to use, so that an attention map can be seen and changed.
Observe = Callable[[Tensor], Tensor]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    observe: Observe | None = None,
) -> Tensor:
    """Computes ``softmax(scale * q kᵀ + bias) v``, by the fastest kernel unless the weights are to be seen.

    Paper: Scaled dot-product attention (Vaswani et al., NeurIPS 2017), https://arxiv.org/abs/1706.03762.

    Args:
        query: (B, heads, Q, d).
        key: (B, heads, K, d).
        value: (B, heads, K, v).
        bias: Added to the scores, broadcastable to (B, heads, Q, K); -inf hides a key.
        scale: Factor of the scores; None is ``1 / sqrt(d)``.
        observe: Is given the weights (B, heads, Q, K), in float32 or wider, and returns those to multiply the values
            by; None computes no weights.

    Returns:
        (B, heads, Q, v), in the dtype of `value`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> query, key, value = torch.randn(3, 2, 4, 49, 16).unbind()
        >>> functional.attend(query, key, value).shape
        torch.Size([2, 4, 49, 16])
        >>> y = functional.attend(query, key, value, observe=lambda weights: print(weights.shape) or weights)
        torch.Size([2, 4, 49, 49])
    """
    if observe is None and not _is_slow_when_fused(query, key, value, bias):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)
    weights = attention_weights(query, key, attn_mask=bias, scale=scale)
    weights = weights if observe is None else observe(weights)
    return weights.to(value.dtype) @ value


def attention_weights(
    query: Tensor,
    key: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Computes what `torch.nn.functional.scaled_dot_product_attention` multiplies the values by, without dropout.

    The arguments are those of that function.

    Args:
        query: (..., Q, d).
        key: (..., K, d).
        attn_mask: Broadcastable to (..., Q, K): True where a query sees a key, or numbers that are added to the scores,
            of which -inf hides a key. A query to which a boolean mask shows no key has weights of 0.
        is_causal: Whether query i sees the keys 0 to i alone.
        scale: Factor of the scores; None is ``1 / sqrt(d)``.
        enable_gqa: Whether each head of the keys, axis -3, serves several neighbouring heads of the queries.

    Returns:
        (..., Q, K), in float32 or wider; rows sum to 1.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.attention_weights(torch.zeros(2, 4), torch.zeros(2, 4), is_causal=True)
        tensor([[1.0000, 0.0000],
                [0.5000, 0.5000]])
    """
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    if is_causal:
        attn_mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    if attn_mask is None:
        return dot_scores(query * factor, key).softmax(-1)
    if attn_mask.dtype == torch.bool:
        weights = dot_scores(query * factor, key).masked_fill(~attn_mask, -torch.inf).softmax(-1)
        return weights.masked_fill(~attn_mask.any(-1, keepdim=True), 0)
    if _biases_every_score(query, key, attn_mask):
        # One pass adds the scores to their biases.
        batches = (part.flatten(0, 1) for part in (attn_mask, query, key.transpose(-2, -1)))
        with without_autocast(query):
            return torch.baddbmm(*batches, alpha=factor).unflatten(0, query.shape[:2]).softmax(-1)
    return (dot_scores(query * factor, key) + attn_mask).softmax(-1)


def _biases_every_score(query: Tensor, key: Tensor, bias: Tensor) -> bool:
    """Whether all positions attend to each other on a processor, with a bias of float32 or wider for every score."""
    if query.device.type != "cpu" or query.dim() != 4 or query.dtype in (torch.float16, torch.bfloat16):
        return False
    every = bias.shape == (*query.shape[:-1], query.shape[-2]) and key.shape[:-1] == query.shape[:-1]
    return every and bias.dtype == query.dtype == key.dtype


def _is_slow_when_fused(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> bool:
    """Returns whether plain steps are faster here than the fused kernel, or the fused kernel is exported wrongly."""
    # The exporter to ONNX replaces the fused kernel, if it has a bias, by steps whose result is laid out otherwise
    # than the views that were traced behind it expect.
    if bias is not None and torch.compiler.is_exporting():
        return True
    if query.device.type != "cpu":
        return False
    if bias is not None and (needs_gradient(bias) or _biases_every_score(query, key, bias)):
        return True  # the processor's fused kernel has no gradient for a bias, and torch falls back to slower steps
    return query.shape[-1] != value.shape[-1]  # nor does it take values of another depth
