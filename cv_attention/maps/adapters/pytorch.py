"""Maps of torch's own attention."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.blocks.functional import attention_weights
from cv_attention.maps.adapters.adapter import Adapter, by_softmax
from cv_attention.maps.adapters.layouts import NamedMaps, laid_out
from cv_attention.maps.recorded import RecordedMap
from cv_attention.maps.watch import WatchedCall


def _multihead(call: WatchedCall) -> NamedMaps:
    """nn.MultiheadAttention: recomputed from its inputs, without dropout, since its function shows nothing inside."""
    query, key = call.given["query"], call.given["key"]
    if query.dim() == 2:
        query, key = query[None], key[None]
    elif not call.module.batch_first:
        query, key = query.transpose(0, 1), key.transpose(0, 1)
    mask = call.given.get("attn_mask")
    weights = _weights(call.module, query, key, mask, call.given.get("key_padding_mask"))
    # a mask among the tokens, mostly a causal one, says that they are not an image
    yield "", RecordedMap(weights, "alignment") if mask is not None else laid_out(call, weights)


def _weights(module: Any, query: Tensor, key: Tensor, mask: Tensor | None, padding: Tensor | None) -> Tensor:
    """Query (B, L, E) and key (B, S, E') -> attention (B, heads, L, S)."""
    q_weight, k_weight = module.q_proj_weight, module.k_proj_weight
    if module.in_proj_weight is not None:
        q_weight, k_weight, _ = module.in_proj_weight.chunk(3)
    q_bias, k_bias = module.in_proj_bias.chunk(3)[:2] if module.in_proj_bias is not None else (None, None)
    q, k = F.linear(query, q_weight, q_bias), F.linear(key, k_weight, k_bias)
    if module.bias_k is not None:
        k = torch.cat([k, module.bias_k.to(k.dtype).expand(len(k), 1, -1)], dim=1)
    if module.add_zero_attn:
        k = F.pad(k, (0, 0, 0, 1))
    q, k = (x.unflatten(2, (module.num_heads, -1)).transpose(1, 2) for x in (q, k))
    if mask is not None and mask.dim() == 3:  # (B * heads, L, S)
        mask = mask.unflatten(0, (-1, module.num_heads))
    if padding is not None:
        padding = padding.reshape(-1, 1, 1, padding.shape[-1])
    masks = [_as_bias(each, q.dtype, k.shape[-2]) for each in (mask, padding) if each is not None]
    return attention_weights(q, k, attn_mask=sum(masks[1:], masks[0]) if masks else None)


def _as_bias(mask: Tensor, dtype: torch.dtype, keys: int) -> Tensor:
    """Turns a mask (..., S), whose True hides a key, into what is added to the scores; further keys are all seen."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=dtype).masked_fill(mask, -torch.inf)
    return F.pad(mask, (0, keys - mask.shape[-1]))


ADAPTERS: dict[str, Adapter] = {"torch.nn.modules.activation.MultiheadAttention": by_softmax(_multihead)}
