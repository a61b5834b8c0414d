"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import torch

from tests.references.arithmetic import batch_norm, conv2d, sigmoid


def cbam_spatial(block, x):
    pooled = torch.stack([x.max(1).values, x.mean(1)], 1)
    s = sigmoid(batch_norm(block.norm, conv2d(block.conv.weight, pooled)))
    return x * s, s
