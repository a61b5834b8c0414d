"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import torch

from tests.references.arithmetic import linear, sigmoid


def se(block, x):
    z = x.sum((2, 3)) / (x.shape[2] * x.shape[3])
    hidden = torch.clamp(linear(block.reduce, z), min=0)
    s = sigmoid(linear(block.expand, hidden))[:, :, None, None]
    return x * s, s


def eca(block, x):
    y = x.mean((2, 3))
    kernel = block.conv.weight[0, 0]
    k, channels = len(kernel), x.shape[1]
    omega = torch.zeros_like(y)
    for i in range(channels):
        for j in range(k):
            neighbour = i + j - k // 2
            if 0 <= neighbour < channels:
                omega[:, i] += kernel[j] * y[:, neighbour]
    omega = sigmoid(omega)[:, :, None, None]
    return x * omega, omega
