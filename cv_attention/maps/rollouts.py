"""Attention rollout (Abnar and Zuidema, ACL 2020), https://arxiv.org/abs/2005.00928."""

import functools
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from cv_attention.maps.maps_table import Maps
from cv_attention.maps.recorded import RecordedMap, check_map, over_tokens


def rollout(maps: Maps | Iterable[RecordedMap], *, heads: Literal["mean", "max", "min"] = "mean") -> RecordedMap:
    """Follows attention through layers of self-attention: how much each position of the last draws on each input.

    Paper: Attention rollout (Abnar and Zuidema, ACL 2020), https://arxiv.org/abs/2005.00928.

    Each layer's heads are fused to A (queries, keys); with the residual connection its share of attention is
    (A + I) / 2 with rows normalised to sum 1; the rollout is the product over the layers, last times ... times first.

    Class and register tokens take part like any other. Attention within windows is put back in its place first.

    Args:
        maps: Pairwise maps (B, heads, H * W, H, W) of one grid, in the order of computation: all that `record` gave, or
            a choice such as ``[m for m in maps.values() if m.kind == "pairwise"]``.
        heads: How heads are fused.

    Returns:
        A pairwise map (B, 1, H * W, H, W) in float32 with the maps' prefix, rows sum to 1 with it; `to_heatmap` reduces
        it further: with ``reduce="class"`` to the class token's row, the usual picture of a vision transformer.

    Raises:
        ValueError: if there is no map, one is not pairwise over its own positions, or the grids or prefixes differ.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = torch.nn.Sequential(cva.blocks.ViTBlock(8, heads=2), cva.blocks.ViTBlock(8, heads=2))
        >>> with cva.record(model) as maps:
        ...     y = model(torch.randn(1, 8, 4, 4))
        >>> rolled = cva.maps.rollout(maps)
        >>> rolled.values.shape
        torch.Size([1, 1, 16, 4, 4])
        >>> cva.to_heatmap(rolled, size=32).shape
        torch.Size([1, 1, 32, 32])
    """
    maps = [check_map(map).dense() for map in (maps.values() if isinstance(maps, Maps) else maps)]
    if not maps:
        raise ValueError("rollout needs at least one map, got none")
    for number, map in enumerate(maps):
        if map.kind != "pairwise" or map.values.shape[2] != map.values.shape[3] * map.values.shape[4]:
            raise ValueError(
                "rollout needs pairwise maps (B, heads, H * W, H, W), "
                f"got kind {map.kind!r}, shape {tuple(map.values.shape)} for map {number}"
            )
        if map.values.shape[-2:] != maps[0].values.shape[-2:]:
            grids = [tuple(m.values.shape[-2:]) for m in (maps[0], map)]
            raise ValueError(f"rollout needs maps of one grid, got {grids[0]} and {grids[1]}")
        if map.prefix != maps[0].prefix:
            raise ValueError(f"rollout needs maps of one prefix, got {maps[0].prefix} and {map.prefix} tokens")
    attention = (map.values.flatten(3) if map.tokens is None else map.tokens for map in maps)
    product = chain(residual_share(layer, heads) for layer in attention)
    return over_tokens(product.unsqueeze(1), (maps[0].values.shape[3], maps[0].values.shape[4]), maps[0].prefix)


def residual_share(attention: Tensor, heads: str = "mean") -> Tensor:
    """Returns the share of each token in a layer's output: (A + I) / 2 with rows normalized to sum 1.

    A is the attention fused over heads, and I stands for the residual connection.

    Args:
        attention: (B, heads, N, N).
        heads: How heads are fused: ``mean``, ``max`` or ``min``.

    Returns:
        (B, N, N) float32.

    Raises:
        ValueError: if `heads` is another word.
    """
    fuse = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}
    if heads not in fuse:
        raise ValueError(f"heads must be one of {', '.join(fuse)}, got {heads!r}")
    share = fuse[heads](attention.float(), dim=1)
    share = (share + torch.eye(share.shape[-1], device=share.device)) / 2
    return share / share.sum(dim=-1, keepdim=True)


def chain(layers: Iterable[Tensor]) -> Tensor:
    """Multiplies matrices (B, N, N) in the order of computation, the last one leftmost: ``last @ ... @ first``.

    Args:
        layers: One matrix for each layer; at least one.
    """
    return functools.reduce(lambda product, layer: layer @ product, layers)
