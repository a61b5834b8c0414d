"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import math

import torch

from tests.references.arithmetic import gelu, layer_norm, linear, softmax


def mhsa(block, x):
    batch, channels, height, width = x.shape
    tokens = x.flatten(2).transpose(1, 2)
    q, k, v = linear(block.qkv, tokens).split(channels, dim=2)
    d = channels // block.heads
    mixed, maps = [], []
    for head in range(block.heads):
        part = slice(head * d, (head + 1) * d)
        a = softmax(q[:, :, part] @ k[:, :, part].transpose(1, 2) / math.sqrt(d), 2)
        mixed.append(a @ v[:, :, part])
        maps.append(a.reshape(batch, height * width, height, width))
    output = linear(block.project, torch.cat(mixed, 2))
    return output.transpose(1, 2).reshape(x.shape), torch.stack(maps, 1)


def sincos(channels, height, width):
    d = channels // 4
    p = torch.zeros(channels, height, width, dtype=torch.float32)
    for i in range(d):
        frequency = 10000 ** (-i / d)
        for row in range(height):
            p[i, row] = math.sin(row * frequency)
            p[d + i, row] = math.cos(row * frequency)
        for column in range(width):
            p[2 * d + i, :, column] = math.sin(column * frequency)
            p[3 * d + i, :, column] = math.cos(column * frequency)
    return p


def vit(block, x):
    normalised = layer_norm(block.norm1, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    if block.position == "sincos":
        normalised = normalised + sincos(*x.shape[1:])
    mixed, attention = mhsa(block.attention, normalised)
    x = x + mixed
    normalised = layer_norm(block.norm2, x.permute(0, 2, 3, 1))
    hidden = gelu(linear(block.mlp[0], normalised))
    return x + linear(block.mlp[2], hidden).permute(0, 3, 1, 2), attention
