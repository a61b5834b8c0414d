"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import torch
from torch import nn

from tests.references.arithmetic import batch_norm, conv2d, layer_norm, linear, sigmoid, softmax
from tests.references.spatial import cbam_spatial, pointwise


def cbam(block, x):
    def mlp(z):
        return linear(block.expand, torch.clamp(linear(block.reduce, z), min=0))

    channel = sigmoid(mlp(x.mean((2, 3))) + mlp(x.flatten(2).max(2).values))[:, :, None, None]
    output, spatial = cbam_spatial(block.spatial, x * channel)
    return output, channel, spatial


def layers(sequence, x):
    """Runs what BAM's branches consist of on x (B, C, H, W)."""
    for layer in sequence:
        if isinstance(layer, nn.ReLU):
            x = torch.clamp(x, min=0)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            x = batch_norm(layer, x)
        elif isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            x = conv2d(layer.weight, x, dilation=layer.dilation[0])
            x = x if layer.bias is None else x + layer.bias[:, None, None]
        else:
            x = pointwise(layer, x)
    return x


def bam(block, x):
    kinds = [type(layer) for layer in block.spatial]
    # Without this, a block without its norms or with the wrong number of convolutions would pass.
    assert kinds.count(nn.Conv2d) == 4
    assert kinds.count(nn.ReLU) == 3
    c = layers(block.channel, x.mean((2, 3), keepdim=True))
    s = layers(block.spatial, x)
    m = sigmoid(c.expand_as(x) * s.expand_as(x) if block.combine == "multiply" else c.expand_as(x) + s.expand_as(x))
    return (1 + m) * x, m


def scse(block, x):
    z = x.sum((2, 3)) / (x.shape[2] * x.shape[3])
    c = sigmoid(linear(block.expand, torch.clamp(linear(block.reduce, z), min=0)))[:, :, None, None]
    s = sigmoid(pointwise(block.squeeze, x))
    cse, sse = x * c, x * s
    output = {"add": cse + sse, "max": torch.where(cse > sse, cse, sse), "multiply": cse * s}[block.combine]
    return output, c, s


def shuffle(block, x):
    batch, channels, _, _ = x.shape
    a = torch.zeros_like(x)
    k = channels // (2 * block.groups)
    for sample in range(batch):
        for group in range(block.groups):
            for j in range(k):
                first = group * 2 * k + j
                a[sample, first] = sigmoid(block.cweight[j] * x[sample, first].mean() + block.cbias[j])
                second = first + k
                plane = x[sample, second]
                variance = ((plane - plane.mean()) ** 2).mean()
                normalised = (plane - plane.mean()) / torch.sqrt(variance + 1e-5) * block.weight[j] + block.bias[j]
                a[sample, second] = sigmoid(block.sweight[j] * normalised + block.sbias[j])
    y = x * a
    # 0, C / 2, 1, C / 2 + 1, ...
    order = [half * channels // 2 + i for i in range(channels // 2) for half in range(2)]
    return y[:, order], a


def triplet(block, x):
    def gate(branch, y):
        """Z-pool over the second axis of y, convolution over the last two, gate broadcast to y."""
        conv, norm, _ = branch
        pooled = torch.stack([y.max(1).values, y.mean(1)], 1)
        return sigmoid(batch_norm(norm, conv2d(conv.weight, pooled))).expand_as(y)

    gates = [
        gate(block.cw, x.permute(0, 2, 1, 3)).permute(0, 2, 1, 3),
        gate(block.hc, x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1),
    ]
    if block.hw is not None:
        gates.append(gate(block.hw, x))
    a = sum(gates) / len(gates)
    return sum(x * g for g in gates) / len(gates), a


def coordinate(block, x):
    height, width = x.shape[2:]
    z = torch.cat([x.sum(3) / width, x.sum(2) / height], 2)[..., None]
    f = batch_norm(block.norm, pointwise(block.reduce, z))
    f = f * torch.clamp(f + 3, 0, 6) / 6
    g_h = sigmoid(pointwise(block.conv_h, f[:, :, :height]))
    g_w = sigmoid(pointwise(block.conv_w, f[:, :, height:]))
    a = torch.zeros_like(x)
    for i in range(height):
        for j in range(width):
            a[:, :, i, j] = g_h[:, :, i, 0] * g_w[:, :, j, 0]
    return x * a, a


def simam(block, x):
    n = x.shape[2] * x.shape[3]
    mu = x.mean((2, 3), keepdim=True)
    variance = ((x - mu) ** 2).sum((2, 3), keepdim=True) / (n - 1 if block.unbiased else n)
    energy = 4 * (variance + block.e_lambda) / ((x - mu) ** 2 + 2 * variance + 2 * block.e_lambda)
    return x * sigmoid(1 / energy), sigmoid(1 / energy)


def context(pool, x):
    weights = softmax(linear(pool.key, x.permute(0, 2, 3, 1)).flatten(1), 1).reshape(-1, 1, 1, *x.shape[2:])
    return torch.einsum("bchw,bqkhw->bc", x, weights), weights


def transform(layers, z):
    first, norm, _, last = layers
    return linear(last, torch.clamp(layer_norm(norm, linear(first, z)), min=0))[:, :, None, None]


def gc(block, x):
    z, weights = context(block.pool, x)
    return x + transform(block.transform, z), weights


def gca(block, x):
    z, weights = context(block.pool, x)
    gate = sigmoid(transform(block.gate, z))
    output = x * gate if block.transform is None else x * gate + transform(block.transform, z)
    return output, weights, gate


def encnet(block, x):
    batch, _, height, width = x.shape
    features = x
    if block.project is not None:
        conv, norm, _ = block.project
        features = torch.clamp(batch_norm(norm, pointwise(conv, x)), min=0)
    d, s = block.encode.codewords, block.encode.scale[:, 0]
    positions = features.flatten(2).transpose(1, 2)
    residuals = positions[:, :, None] - d  # (B, N, K, C)
    weights = softmax(s * (residuals**2).sum(3), 2)
    e = (weights[..., None] * residuals).sum(1)
    e = torch.clamp(batch_norm(block.norm, e[..., None])[..., 0], min=0)
    e = e.mean(1) if block.aggregate == "mean" else e.sum(1)
    gate = sigmoid(linear(block.gate, e))[:, :, None, None]
    output = torch.clamp(x + x * gate, min=0) if block.residual else x * gate
    return output, weights.transpose(1, 2).reshape(batch, 1, len(d), height, width), gate
