"""Shares what attention to the neighbours on a grid needs: shifted maps in place of gathered edges, and their map."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Offset = tuple[int, int]  # rows and columns from a position to its neighbour, -1 to 1


def offsets(neighbours: int, self_loops: bool) -> tuple[Offset, ...]:
    """Returns the offsets of the 4 or 8 neighbours, in raster order, with that of the position itself or without."""
    nearest = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return tuple(o for o in nearest if (any(o) or self_loops) and (neighbours == 8 or 0 in o))


def shifted(padded: Tensor, offset: Offset) -> Tensor:
    """Returns what lies at `offset` from each position: a view (..., H, W) of a map (..., H + 2, W + 2)."""
    height, width = padded.shape[-2] - 2, padded.shape[-1] - 2
    return padded[..., 1 + offset[0] :, 1 + offset[1] :][..., :height, :width]


def visible(height: int, width: int, steps: tuple[Offset, ...], device: torch.device) -> Tensor:
    """Tells which neighbours are on the grid, (steps, H, W)."""
    row, column = (torch.arange(length, device=device) for length in (height, width))
    seen = [
        ((row + down >= 0) & (row + down < height))[:, None] & (column + right >= 0) & (column + right < width)
        for down, right in steps
    ]
    return torch.stack(seen)


def compare(query: Tensor, key: Tensor, vectors: Tensor, slope: float, steps: tuple[Offset, ...]) -> Tensor:
    """Computes ``a · LeakyReLU(query_i + key_j)`` for each position i and neighbour j.

    Args:
        query: (B, heads, d, H, W).
        key: (B, heads, d, H, W).
        vectors: The vectors a, (heads, d).
        slope: Slope of the LeakyReLU below 0.
        steps: Offsets of the neighbours.

    Returns:
        (B, heads, steps, H, W), in the type of `vectors`; numbers without meaning where a neighbour is off the grid.
    """
    parts = (query, key, vectors)
    if _gradient_follows(*parts):
        return _Compare.apply(*parts, slope, steps)  # pyright: ignore[reportReturnType]
    return _compared(*parts, slope, steps)


def _compared(query: Tensor, key: Tensor, vectors: Tensor, slope: float, steps: tuple[Offset, ...]) -> Tensor:
    padded = F.pad(key.flatten(1, 2), (1, 1, 1, 1)).unflatten(1, key.shape[1:3])
    return torch.stack([leaky_products(query + shifted(padded, offset), vectors, slope) for offset in steps], 2)


def leaky_products(total: Tensor, vectors: Tensor, slope: float) -> Tensor:
    """Computes ``a · LeakyReLU(total)``, (B, heads, ...), of `total` (B, heads, d, ...) and vectors a (heads, d)."""
    active = F.leaky_relu(total, slope).flatten(3).to(vectors.dtype)
    return torch.matmul(vectors[:, None], active)[:, :, 0].unflatten(2, total.shape[3:])


class _Compare(torch.autograd.Function):
    """`compare`, which keeps its inputs alone for the backward, and adds each neighbour's part to it in place."""

    generate_vmap_rule = True

    @staticmethod
    def forward(query: Tensor, key: Tensor, vectors: Tensor, slope: float, steps: tuple[Offset, ...]) -> Tensor:
        return _compared(query, key, vectors, slope, steps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.slope, ctx.steps = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = grad_outputs
        query, key, vectors = ctx.saved_tensors
        padded = F.pad(key.flatten(1, 2), (1, 1, 1, 1)).unflatten(1, key.shape[1:3])
        # Summed over neighbours before a is applied, which all of them share; its own gradient follows from the sums.
        of_query, of_key = torch.zeros_like(query), torch.zeros_like(padded)
        for step, offset in enumerate(ctx.steps):
            total = query + shifted(padded, offset)
            own = gradient[:, :, step, None].to(query.dtype).expand_as(total)
            part = torch.ops.aten.leaky_relu_backward(own, total, ctx.slope, False)
            of_query += part
            shifted(of_key, offset).add_(part)
        of_key = of_key[..., 1:-1, 1:-1]
        products = of_query.to(vectors.dtype) * query + of_key.to(vectors.dtype) * key
        of_vectors = products.sum((0, 3, 4))
        scale = vectors[:, :, None, None].to(query.dtype)
        return of_query * scale, of_key * scale, of_vectors, None, None


def _gradient_follows(*tensors: Tensor) -> bool:
    """Whether a gradient is wanted and the steps run one by one, not within a graph that is drawn of them."""
    drawn = torch.jit.is_tracing() or torch.compiler.is_compiling()
    return not drawn and torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def mix(values: Tensor, weights: Tensor, steps: tuple[Offset, ...]) -> Tensor:
    """Adds up the neighbours' values by their weights.

    Args:
        values: (B, heads * d, H, W).
        weights: (B, heads, steps, H, W), in the type of `values`.
        steps: Offsets of the neighbours.

    Returns:
        The shape and memory format of `values`.
    """
    if _gradient_follows(values, weights):
        return _Mix.apply(values, weights, steps)  # pyright: ignore[reportReturnType]
    return _mixed(values, weights, steps)


def _mixed(values: Tensor, weights: Tensor, steps: tuple[Offset, ...]) -> Tensor:
    heads = weights.shape[1]
    padded = F.pad(values, (1, 1, 1, 1)).unflatten(1, (heads, -1))
    total = shifted(padded, steps[0]) * weights[:, :, 0, None]
    for step, offset in enumerate(steps[1:], 1):
        total = torch.addcmul(total, shifted(padded, offset), weights[:, :, step, None])
    return total.flatten(1, 2)


class _Mix(torch.autograd.Function):
    """`mix` whose backward adds each neighbour's part in place, where autograd would fill a map for each offset."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor, weights: Tensor, steps: tuple[Offset, ...]) -> Tensor:
        return _mixed(values, weights, steps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        values, weights, ctx.steps = inputs
        ctx.save_for_backward(values, weights)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = grad_outputs
        values, weights = ctx.saved_tensors
        by_head = (weights.shape[1], -1)
        padded, gradient = F.pad(values, (1, 1, 1, 1)).unflatten(1, by_head), gradient.unflatten(1, by_head)
        total, of_weights = torch.zeros_like(padded), []
        for step, offset in enumerate(ctx.steps):
            of_weights.append((gradient * shifted(padded, offset)).sum(2))
            shifted(total, offset).addcmul_(gradient, weights[:, :, step, None])
        return total[..., 1:-1, 1:-1].flatten(1, 2), torch.stack(of_weights, 2), None
