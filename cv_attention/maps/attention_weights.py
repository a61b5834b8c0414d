"""Computes the weights of scaled dot-product attention, which fused kernels do not return."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def attention_weights(
    query: Tensor,
    key: Tensor,
    value: Tensor | None = None,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Computes what `torch.nn.functional.scaled_dot_product_attention` multiplies the values by, without dropout.

    ``softmax(query keyᵀ scale + mask)``, with the query scaled before the product, as in torch's own kernels: in half
    precision the product alone may overflow.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: Makes no difference.
        attn_mask: Broadcastable to (..., L, S): True keeps a key, or numbers to add; keys beyond its last stay.
        dropout_p: Makes no difference.
        is_causal: Whether query i sees the keys up to i alone.
        scale: Factor of the products; None takes 1 / sqrt(E).
        enable_gqa: Whether fewer heads of keys serve more heads of queries.

    Returns:
        (..., L, S); rows sum to 1.

    Example:
        >>> attention_weights(q, k, attn_mask=mask) @ v  # scaled_dot_product_attention(q, k, v, mask)
    """
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ key.mT
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores + additive_mask(attn_mask, scores.shape[-1], scores.dtype)
    return scores.softmax(-1)


def additive_mask(mask: Tensor, keys: int, dtype: torch.dtype, *, true_is_kept: bool = True) -> Tensor:
    """Returns a mask as numbers to add to the scores; keys beyond its last get 0.

    Args:
        mask: (..., K), K <= `keys`: bool, or already numbers.
        keys: Number of keys S.
        dtype: Of the scores.
        true_is_kept: What True means in a bool mask: the key is kept, or it is dropped as in `nn.MultiheadAttention`.

    Returns:
        (..., S), 0 or -inf for bool masks.
    """
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=dtype).masked_fill(~mask if true_is_kept else mask, -math.inf)
    return F.pad(mask, (0, keys - mask.shape[-1]))
