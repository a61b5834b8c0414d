"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import math

import torch

from tests.references.arithmetic import batch_norm, linear, sigmoid


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


def ese(block, x):
    z = linear(block.excite, x.sum((2, 3)) / (x.shape[2] * x.shape[3])) + 3
    s = torch.where(z < 0, 0 * z, torch.where(z > 6, 0 * z + 6, z))[:, :, None, None] / 6
    return x * s, s


def ceca(block, x):
    y = x.mean((2, 3))
    kernel = block.conv.weight[0, 0]
    k, channels = len(kernel), x.shape[1]
    omega = torch.zeros_like(y)
    for i in range(channels):
        for j in range(k):
            omega[:, i] += kernel[j] * y[:, (i + j - k // 2) % channels]
    omega = sigmoid(omega)[:, :, None, None]
    return x * omega, omega


def nearest(gathered, height, width):
    """Repeats the value of the window in whose share of the map a position lies."""
    y = torch.zeros(*gathered.shape[:2], height, width, dtype=gathered.dtype)
    for i in range(height):
        for j in range(width):
            y[:, :, i, j] = gathered[:, :, i * gathered.shape[2] // height, j * gathered.shape[3] // width]
    return y


def ge_minus(block, x):
    _, _, height, width = x.shape
    e = block.extent
    if e is None:
        s = sigmoid(x.mean((2, 3))[:, :, None, None]) * torch.ones_like(x)
        return x * s, s
    rows = []
    for i in range(0, height, e):
        window = slice(max(i - (2 * e - 1) // 2, 0), i + (2 * e - 1) // 2 + 1)
        row = []
        for j in range(0, width, e):
            row.append(x[:, :, window, max(j - (2 * e - 1) // 2, 0) : j + (2 * e - 1) // 2 + 1].mean((2, 3)))
        rows.append(torch.stack(row, 2))
    s = sigmoid(nearest(torch.stack(rows, 2), height, width))
    return x * s, s


def depthwise_stride_2(weight, x):
    """3 x 3 with padding 1, at every second row and column."""
    batch, channels, height, width = x.shape
    padded = torch.zeros(batch, channels, height + 2, width + 2, dtype=x.dtype)
    padded[:, :, 1:-1, 1:-1] = x
    y = torch.zeros(batch, channels, (height + 1) // 2, (width + 1) // 2, dtype=x.dtype)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            window = padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            y[:, :, i, j] = (window * weight[:, 0]).sum((2, 3))
    return y


def ge_plus(block, x):
    _, _, height, width = x.shape
    if block.extent is None:
        # The feature map on a grid that both its positions and the kernel's cells divide, every position
        # and every cell being one block of it.
        kernel = block.gathers[0].weight[:, 0]
        k = kernel.shape[1]
        fine_x = x.repeat_interleave(k, 2).repeat_interleave(k, 3)
        fine_kernel = kernel.repeat_interleave(height, 1).repeat_interleave(width, 2) / (height * width)
        gathered = batch_norm(block.norms[0], (fine_x * fine_kernel).sum((2, 3))[:, :, None, None])
    else:
        gathered = x
        for step in range(int(math.log2(block.extent))):
            if step > 0:
                gathered = torch.clamp(gathered, min=0)
            gathered = batch_norm(block.norms[step], depthwise_stride_2(block.gathers[step].weight, gathered))
    if isinstance(block.mlp, torch.nn.Sequential):
        _, reduce, _, expand = block.mlp
        hidden = torch.clamp(gathered, min=0).permute(0, 2, 3, 1)
        gathered = linear(expand, torch.clamp(linear(reduce, hidden), min=0)).permute(0, 3, 1, 2)
    s = sigmoid(nearest(gathered, height, width))
    return x * s, s


def srm(block, x):
    values = x.flatten(2)
    mu = values.mean(2)
    divisor = values.shape[2] - 1 if block.unbiased else values.shape[2]
    sigma = torch.sqrt(((values - mu[:, :, None]) ** 2).sum(2) / divisor)
    z = torch.zeros_like(mu)
    for c in range(x.shape[1]):
        z[:, c] = block.weight[c, 0] * mu[:, c] + block.weight[c, 1] * sigma[:, c]
    g = sigmoid(batch_norm(block.norm, z[:, :, None, None]))
    return x * g, g


def gct(block, x):
    if block.norm == "l2":
        s = block.alpha * torch.sqrt((x**2).sum((2, 3)) + block.eps)
        s_hat = math.sqrt(x.shape[1]) * s / torch.sqrt((s**2).sum(1) + x.shape[1] * block.eps)[:, None]
    else:
        s = block.alpha * torch.where(x < 0, -x, x).sum((2, 3))
        s_hat = x.shape[1] * s / (torch.where(s < 0, -s, s).sum(1) + x.shape[1] * block.eps)[:, None]
    z = block.gamma * s_hat + block.beta
    gate = 1 + (torch.exp(z) - torch.exp(-z)) / (torch.exp(z) + torch.exp(-z))
    return x * gate[:, :, None, None], gate[:, :, None, None]


def standardised(z, eps):
    """Mean 0 and variance 1 over the last axis."""
    mean = z.mean(-1, keepdim=True)
    return (z - mean) / torch.sqrt(((z - mean) ** 2).mean(-1, keepdim=True) + eps)


def gaussian_context(block, x):
    c = block.c if block.theta is None else 3 * sigmoid(block.theta) + 1
    g = math.e ** (-(standardised(x.mean((2, 3)), block.eps) ** 2) / (2 * c**2))
    return x * g[:, :, None, None], g[:, :, None, None]


def lct(block, x):
    z = x.mean((2, 3))
    size = x.shape[1] // block.groups
    parts = [standardised(z[:, g * size : (g + 1) * size], block.eps) for g in range(block.groups)]
    a = sigmoid(block.weight * torch.cat(parts, 1) + block.bias)[:, :, None, None]
    return x * a, a


# As the official code lists them, first all vertical ones and then all horizontal ones.
FREQUENCIES = {
    "top": (
        [0, 0, 6, 0, 0, 1, 1, 4, 5, 1, 3, 0, 0, 0, 3, 2, 4, 6, 3, 5, 5, 2, 6, 5, 5, 3, 3, 4, 2, 2, 6, 1],
        [0, 1, 0, 5, 2, 0, 2, 0, 0, 6, 0, 4, 6, 3, 5, 2, 6, 3, 3, 3, 5, 1, 1, 2, 4, 2, 1, 1, 3, 0, 5, 3],
    ),
    "low": (
        [0, 0, 1, 1, 0, 2, 2, 1, 2, 0, 3, 4, 0, 1, 3, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4],
        [0, 1, 0, 1, 2, 0, 1, 2, 2, 3, 0, 0, 4, 3, 1, 5, 4, 3, 2, 1, 0, 6, 5, 4, 3, 2, 1, 0, 6, 5, 4, 3],
    ),
    "bot": (
        [6, 1, 3, 3, 2, 4, 1, 2, 4, 4, 5, 1, 4, 6, 2, 5, 6, 1, 6, 2, 2, 4, 3, 3, 5, 5, 6, 2, 5, 5, 3, 6],
        [6, 4, 4, 6, 6, 3, 1, 4, 4, 5, 6, 5, 2, 2, 5, 1, 4, 3, 5, 0, 3, 1, 1, 2, 4, 2, 1, 1, 5, 3, 3, 3],
    ),
}


def fca(block, x):
    batch, channels, height, width = x.shape
    kind, number = block.frequencies[:3], int(block.frequencies[3:])
    vertical, horizontal = (listed[:number] for listed in FREQUENCIES[kind])
    z = torch.zeros(batch, channels, dtype=x.dtype)
    for c in range(channels):
        group = math.floor(c / channels * number + 1e-9)
        u = min(math.floor(vertical[group] * height / 7 + 0.5), height - 1)
        v = min(math.floor(horizontal[group] * width / 7 + 0.5), width - 1)
        for i in range(height):
            for j in range(width):
                wave = math.cos(math.pi * u * (i + 0.5) / height) * math.cos(math.pi * v * (j + 0.5) / width)
                scale = (2 if u else 1) * (2 if v else 1)
                z[:, c] += x[:, c, i, j] * wave * math.sqrt(scale / (height * width))
    hidden = torch.clamp(linear(block.reduce, z), min=0)
    s = sigmoid(linear(block.expand, hidden))[:, :, None, None]
    return x * s, s


def gsop(block, x):
    f = torch.clamp(x, min=0) if block.rectify else x
    step = block.reduce.stride[0]
    f = linear(block.reduce, f[:, :, ::step, ::step].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    f = torch.clamp(batch_norm(block.norm, f), min=0).flatten(2)
    batch, d, m = f.shape
    # F I F^T with I = (identity - ones / M) / M, as the paper writes the covariance.
    centring = (torch.eye(m, dtype=x.dtype) - torch.ones(m, m, dtype=x.dtype) / m) / m
    covariance = torch.stack([f[b] @ centring @ f[b].T for b in range(batch)])
    covariance = batch_norm(block.row_norm, covariance[..., None])[..., 0]
    rows = torch.zeros(batch, 4 * d, dtype=x.dtype)
    for i in range(d):
        for k in range(4):
            weight, bias = block.rows.weight[4 * i + k, 0], block.rows.bias[4 * i + k]
            rows[:, 4 * i + k] = (covariance[:, i] * weight).sum(1) + bias
    s = sigmoid(linear(block.expand, rows))[:, :, None, None]
    return x * s, s


def grn(block, x):
    g = torch.sqrt((x**2).sum((2, 3), keepdim=True))
    n = g / (g.mean(1, keepdim=True) + block.eps)
    gamma, beta = block.gamma[:, None, None], block.beta[:, None, None]
    return gamma * (x * n) + beta + x, n
