"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import torch

from tests.references.arithmetic import linear, sigmoid
from tests.references.spatial import cbam_spatial


def cbam(block, x):
    def mlp(z):
        return linear(block.expand, torch.clamp(linear(block.reduce, z), min=0))

    channel = sigmoid(mlp(x.mean((2, 3))) + mlp(x.flatten(2).max(2).values))[:, :, None, None]
    output, spatial = cbam_spatial(block.spatial, x * channel)
    return output, channel, spatial
