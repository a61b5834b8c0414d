"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps), node by node and edge by edge."""

import torch

from tests.references.arithmetic import linear, softmax
from tests.references.context import image, pixels


def leaky_relu(x, slope):
    return torch.where(x > 0, x, slope * x)


def along_edges(block, h, incoming, score):
    """Equations 3 to 6 of GAT: softmax of the scores over each node's incoming edges, then the weighted sum of values.

    h is (B, N, heads, d); incoming[i] lists the nodes to which i attends; score(head, i, j) is a number per sample.
    """
    batch, count, heads, depth = h.shape
    weights = torch.zeros(batch, heads, count, count, dtype=h.dtype)
    mixed = torch.zeros(batch, count, heads, depth, dtype=h.dtype)
    for head in range(heads):
        for i, keys in enumerate(incoming):
            if not keys:
                continue
            alpha = softmax(torch.stack([score(head, i, j) for j in keys], 1), 1)
            for index, j in enumerate(keys):
                weights[:, head, i, j] = alpha[:, index]
                mixed[:, i, head] += alpha[:, index, None] * h[:, j, head]
    return (mixed.mean(2) if block.average else mixed.flatten(2)) + block.bias, weights


def gat_nodes(block, nodes, incoming):
    h = linear(block.value, nodes).unflatten(2, (block.heads, -1))

    def score(head, i, j):
        own, other = block.attention[head]
        return leaky_relu((h[:, i, head] * own).sum(1) + (h[:, j, head] * other).sum(1), block.negative_slope)

    return along_edges(block, h, incoming, score)


def gatv2_nodes(block, nodes, incoming):
    left = linear(block.value, nodes).unflatten(2, (block.heads, -1))
    right = linear(block.query, nodes).unflatten(2, (block.heads, -1))

    def score(head, i, j):
        return (block.attention[head] * leaky_relu(left[:, j, head] + right[:, i, head], block.negative_slope)).sum(1)

    return along_edges(block, left, incoming, score)


def around(block, height, width):
    """The nodes to which each position attends."""
    four = sum(down == 0 or right == 0 for down, right in block.steps) == len(block.steps)
    incoming = []
    for row in range(height):
        for column in range(width):
            keys = []
            for r in range(max(row - 1, 0), min(row + 2, height)):
                for c in range(max(column - 1, 0), min(column + 2, width)):
                    itself = (r, c) == (row, column)
                    if block.self_loops if itself else not (four and r != row and c != column):
                        keys.append(r * width + c)
            incoming.append(keys)
    return incoming


def gat(block, x, on_nodes=gat_nodes):
    size = tuple(x.shape[2:])
    y, weights = on_nodes(block, pixels(x), around(block, *size))
    return image(y, size), weights.unflatten(3, size)


def gatv2(block, x):
    return gat(block, x, gatv2_nodes)
