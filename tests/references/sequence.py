"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps), query by query and key by key."""

import torch

from tests.references.arithmetic import linear, softmax
from tests.references.context import image, pixels


def encoding(distance, width):
    """Sines, then cosines, of one distance."""
    angles = [distance * 10000 ** (-2 * index / width) for index in range(-(-width // 2))]
    numbers = torch.tensor(angles, dtype=torch.float64)
    return torch.cat([numbers.sin(), numbers.cos()])[:width]


def strips(block, x, causal):
    batch, channels, height, width = x.shape
    tokens, depth = pixels(x), channels // block.heads
    q = linear(block.query, tokens)
    k, v = linear(block.key_value, tokens).chunk(2, 2)
    positions = {
        distance: linear(block.position, encoding(distance, channels))
        for distance in range(-height * width, height * width)
    }
    weights = torch.zeros(batch, block.heads, height * width, height * width, dtype=x.dtype)
    for i in range(height * width):
        own = i // width // block.rows  # the number of the strip
        keys = [
            j
            for j in range(height * width)
            if own - block.memory <= j // width // block.rows <= own and (j <= i or not causal)
        ]
        for head in range(block.heads):
            part = slice(head * depth, (head + 1) * depth)
            u, v_bias = block.content_bias[head], block.position_bias[head]
            content, place = q[:, i, part] + u, q[:, i, part] + v_bias
            scores = [(content * k[:, j, part]).sum(1) + (place * positions[i - j][part]).sum(1) for j in keys]
            weights[:, head, i, keys] = softmax(torch.stack(scores, 1) / depth**0.5, 1)
    mixed = torch.einsum("bhij,bjhd->bihd", weights, v.unflatten(2, (block.heads, depth))).flatten(2)
    return image(linear(block.project, mixed), (height, width)), weights.unflatten(3, (height, width))


def transformer_xl(block, x):
    return strips(block, x, block.causal)


def xlnet(block, x):
    return strips(block, x, False)
