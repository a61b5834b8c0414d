"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import math

import torch

from tests.references.arithmetic import batch_norm, conv2d, group_norm, linear, sigmoid


def cbam_spatial(block, x):
    pooled = torch.stack([x.max(1).values, x.mean(1)], 1)
    s = sigmoid(batch_norm(block.norm, conv2d(block.conv.weight, pooled)))
    return x * s, s


def sge(block, x):
    batch, channels, height, width = x.shape
    a = torch.zeros_like(x)
    size = channels // block.groups
    n = height * width
    for sample in range(batch):
        for group in range(block.groups):
            part = x[sample, group * size : (group + 1) * size].reshape(size, n)
            g = part.sum(1) / n
            c = torch.stack([torch.dot(g, part[:, i]) for i in range(n)])
            mu = c.sum() / n
            sigma = torch.sqrt(((c - mu) ** 2).sum() / (n - 1 if block.unbiased else n))
            hat = (c - mu) / (sigma + 1e-5)
            gate = sigmoid(block.weight[group, 0] * hat + block.bias[group, 0])
            a[sample, group * size : (group + 1) * size] = gate.reshape(height, width)
    return x * a, a


def depthwise(conv, x):
    """Convolves every channel with its own kernel."""
    channels = [conv2d(conv.weight[c : c + 1], x[:, c : c + 1], dilation=conv.dilation[0]) for c in range(x.shape[1])]
    return torch.cat(channels, 1) + conv.bias[:, None, None]


def pointwise(conv, x):
    return linear(conv, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def lka(block, x):
    a = pointwise(block.mix, depthwise(block.dilated, depthwise(block.local, x)))
    return x * a, a


def strip_pooling(block, x):
    _, _, height, width = x.shape
    rows = torch.stack([x[:, :, i].sum(2) / width for i in range(height)], 2)[:, :, :, None]
    columns = torch.stack([x[:, :, :, j].sum(2) / height for j in range(width)], 2)[:, :, None]
    rows = batch_norm(block.vertical_norm, conv2d(block.vertical.weight, rows))
    columns = batch_norm(block.horizontal_norm, conv2d(block.horizontal.weight, columns))
    y = torch.zeros_like(x)
    for i in range(height):
        for j in range(width):
            y[:, :, i, j] = torch.clamp(rows[:, :, i, 0] + columns[:, :, 0, j], min=0)
    a = sigmoid(pointwise(block.fuse, y))
    return x * a, a


def bilinear(x, height, width):
    """Resizes x (B, C, H, W), pixels being squares whose values sit at their centres."""

    def weights(size, new):
        matrix = torch.zeros(new, size, dtype=x.dtype)
        for i in range(new):
            centre = min(max((i + 0.5) * size / new - 0.5, 0), size - 1)
            low = min(int(centre), size - 1)
            high = min(low + 1, size - 1)
            matrix[i, low] += 1 - (centre - low)
            matrix[i, high] += centre - low
        return matrix

    rows, columns = weights(x.shape[2], height), weights(x.shape[3], width)
    return torch.einsum("ih,bchw,jw->bcij", rows, x, columns)


def repeat_border(x, multiple):
    height, width = (math.ceil(side / multiple) * multiple for side in x.shape[2:])
    rows = [min(i, x.shape[2] - 1) for i in range(height)]
    columns = [min(j, x.shape[3] - 1) for j in range(width)]
    return x[:, :, rows][:, :, :, columns]


def attention_gate(block, x):
    height, width = x.shape[2:]
    s = block.factor
    padded = repeat_border(x, s)
    theta = 0
    for i in range(s):
        for j in range(s):
            theta = theta + torch.einsum("bchw,oc->bohw", padded[:, :, i::s, j::s], block.theta.weight[:, :, i, j])
    if block.gating_stride is None:
        g = x.mean((2, 3), keepdim=True)
    else:
        k = block.gating_stride
        wide = repeat_border(x, k)
        g = sum(wide[:, :, i::k, j::k] for i in range(k) for j in range(k)) / k**2
    phi = bilinear(pointwise(block.phi, g), *theta.shape[2:])
    alpha = sigmoid(pointwise(block.psi, torch.clamp(theta + phi, min=0)))
    alpha = bilinear(alpha, *padded.shape[2:])[:, :, :height, :width]
    if block.project is None:
        return x * alpha, alpha
    return batch_norm(block.project[1], pointwise(block.project[0], x * alpha)), alpha


def grouped_conv1d(conv, x):
    """Same-size convolution of x (B, C, L)."""
    per_group = x.shape[1] // conv.groups
    outputs = []
    for group in range(conv.groups):
        part = slice(group * per_group, (group + 1) * per_group)
        outputs.append(conv2d(conv.weight[part], x[:, part, :, None])[..., 0])
    return torch.cat(outputs, 1)


def ela(block, x):
    height, width = x.shape[2:]

    def strip(index, averages):
        conv, norm = block.strips[index]
        return sigmoid(group_norm(norm, grouped_conv1d(conv, averages)))

    z_h = strip(0, x.sum(3) / width)
    z_w = strip(len(block.strips) - 1, x.sum(2) / height)
    a = torch.einsum("bch,bcw->bchw", z_h, z_w)
    return x * a, a
