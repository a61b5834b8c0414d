"""Graphs as lists of nodes and edges: of a grid, of the segments of an image, and attention along their edges."""

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor


class LabelGraph(NamedTuple):
    """Holds the graph of an image's segments, which `from_labels` makes.

    Attributes:
        nodes: (N, C): the mean of the feature map over each segment.
        edges: (2, E): both directions of every pair of segments that touch.
        node_of: (B, H, W): the node of each position; -1 where there is none.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> labels = torch.tensor([[0, 0, 1]])
        >>> functional.from_labels(torch.ones(1, 8, 1, 3), labels).node_of
        tensor([[[0, 0, 1]]])
    """

    nodes: Tensor
    edges: Tensor
    node_of: Tensor


def from_labels(x: Tensor, labels: Tensor) -> LabelGraph:
    """Makes a graph of labelled segments, such as superpixels: each is a node, and those that touch have an edge.

    Segments touch where two of their positions share an edge of the grid. The images of a batch become one graph
    without edges between them, as in PyTorch Geometric.

    Args:
        x: A feature map (B, C, H, W).
        labels: Whole numbers, (H, W) for all images or (B, H, W): positions of one label are one segment, also where
            they lie apart; positions with negative labels are left out.

    Returns:
        The graph. Its nodes are in the order of the images, then of the labels.

    Raises:
        ValueError: if the labels are not integers, have another size than `x`, or are all negative.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks
        >>> from cv_attention.blocks import functional
        >>> labels = torch.tensor([[5, 5, 7], [9, 9, 7]])  # three segments, all of which touch
        >>> graph = functional.from_labels(torch.randn(1, 8, 2, 3), labels)
        >>> graph.nodes.shape, graph.edges.shape
        (torch.Size([3, 8]), torch.Size([2, 6]))
        >>> y = blocks.GraphAttention(8).on(graph.nodes, graph.edges)
        >>> functional.paint(y.T, graph.node_of).shape  # back to positions: (C, B, H, W)
        torch.Size([8, 1, 2, 3])
    """
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"labels must be whole numbers, got labels of type {labels.dtype}")
    batch, channels, height, width = x.shape
    if labels.shape not in ((height, width), (batch, height, width)):
        raise ValueError(
            f"labels must be (H, W) or (B, H, W) of the feature map, {(batch, height, width)}, "
            f"got shape {tuple(labels.shape)}"
        )
    labels = labels.long().expand(batch, height, width)
    there = labels >= 0
    if not there.any():
        raise ValueError("labels has no segment: every label is negative")
    span = int(labels.max()) + 1
    image = torch.arange(batch, device=x.device)[:, None, None]
    found, node = (labels + image * span)[there].unique(return_inverse=True)
    index = labels.new_full(labels.shape, -1).masked_scatter(there, node)
    pixels = x.movedim(1, 3)[there]
    sums = pixels.new_zeros(len(found), channels).index_add(0, node, pixels)
    return LabelGraph(sums / node.bincount()[:, None].to(x.dtype), _touching(index), index)


def _touching(index: Tensor) -> Tensor:
    """Returns both directions of the pairs of different nodes next to each other, (2, E)."""
    right = torch.stack([index[:, :, :-1].flatten(), index[:, :, 1:].flatten()])
    down = torch.stack([index[:, :-1].flatten(), index[:, 1:].flatten()])
    pairs = torch.cat([right, down], 1)
    pairs = pairs[:, (pairs >= 0).all(0) & (pairs[0] != pairs[1])]
    return torch.cat([pairs, pairs.flip(0)], 1).unique(dim=1)


def grid_edges(height: int, width: int, *, neighbours: int = 8, device: torch.device | None = None) -> Tensor:
    """Lists the edges between the positions of a grid, numbered in raster order.

    Args:
        height: Rows H.
        width: Columns W.
        neighbours: 4, positions that share an edge, or 8, those that share a corner too.
        device: Device of the result; None takes torch's default.

    Returns:
        (2, E), both directions of every edge, without self-loops.

    Examples:
        >>> from cv_attention.blocks import functional
        >>> functional.grid_edges(1, 3, neighbours=4)
        tensor([[0, 1, 1, 2],
                [1, 0, 2, 1]])
    """
    edges = []
    for row, column, down, right in product(range(height), range(width), (-1, 0, 1), (-1, 0, 1)):
        there = 0 <= row + down < height and 0 <= column + right < width and (down or right)
        if there and (neighbours == 8 or 0 in (down, right)):
            edges.append((row * width + column, (row + down) * width + column + right))
    return torch.tensor(edges, dtype=torch.int64, device=device).reshape(-1, 2).T.contiguous()


def paint(values: Tensor, index: Tensor) -> Tensor:
    """Gives each position the value of its node.

    Args:
        values: (..., N): one value, or any stack of them, for each node.
        index: The node of each position, of any shape, as `from_labels` returns it; -1 gives 0.

    Returns:
        (..., *index.shape).

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.paint(torch.tensor([0.25, 0.75]), torch.tensor([[0, 0, 1], [-1, 1, 1]]))
        tensor([[0.2500, 0.2500, 0.7500],
                [0.0000, 0.7500, 0.7500]])
    """
    return values[..., index.clamp(min=0)].masked_fill(index < 0, 0)


def prepared_edges(edges: Tensor, nodes: int, *, self_loops: bool) -> Tensor:
    """Checks edges (2, E) between so many nodes, drops repeated ones, and gives each node one self-loop if asked to.

    Raises:
        ValueError: if they have another shape or type, or name a node that does not exist.
    """
    if edges.dim() != 2 or edges.shape[0] != 2 or edges.is_floating_point():
        raise ValueError(f"edges must be whole numbers (2, E), got {tuple(edges.shape)} of type {edges.dtype}")
    if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < nodes:
        raise ValueError(f"edges must name nodes from 0 to {nodes - 1}, got {int(edges.min())} to {int(edges.max())}")
    if self_loops:
        own = torch.arange(nodes, device=edges.device)
        edges = torch.cat([edges.long(), torch.stack([own, own])], 1)
    return edges.long().unique(dim=1)


def softmax_over_edges(scores: Tensor, target: Tensor, nodes: int) -> Tensor:
    """Normalises the scores (..., E) of the edges that lead to the same node, `target` (E,), to a sum of 1."""
    index = target.expand(scores.shape)
    most = scores.new_full((*scores.shape[:-1], nodes), float("-inf")).scatter_reduce(
        -1, index, scores.detach(), "amax"
    )
    powers = (scores - most[..., target]).exp()
    sums = powers.new_zeros(most.shape).scatter_add(-1, index, powers)
    return powers / sums[..., target]


def mix_over_edges(values: Tensor, weights: Tensor, edges: Tensor) -> Tensor:
    """Adds up the values (B, heads, d, N) along the edges (2, E) by their weights (B, heads, E)."""
    source, target = edges
    return torch.zeros_like(values).index_add(3, target, values[..., source] * weights[:, :, None].to(values.dtype))
