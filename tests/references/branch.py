"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import torch

from tests.references.arithmetic import batch_norm, conv2d, linear, sigmoid, softmax


def grouped_conv2d(conv, x):
    """Convolves every group of channels alone, without the bias."""
    parts = zip(x.chunk(conv.groups, 1), conv.weight.chunk(conv.groups, 0), strict=True)
    return torch.cat([conv2d(weight, part, dilation=conv.dilation[0]) for part, weight in parts], 1)


def relu(x):
    return torch.clamp(x, min=0)


def sk(block, x):
    u = [relu(batch_norm(norm, grouped_conv2d(conv, x))) for conv, norm in block.convs]
    s = sum(u).mean((2, 3))
    z = relu(batch_norm(block.norm, linear(block.reduce, s)[:, :, None, None]))[:, :, 0, 0]
    logits = linear(block.select, z)
    channels = x.shape[1]
    a = softmax(torch.stack([logits[:, i * channels : (i + 1) * channels] for i in range(len(u))]), 0)
    a = a[..., None, None]
    return sum(a[i] * u[i] for i in range(len(u))), *a


def split_attention(block, x):
    radix, cardinality, channels = block.radix, block.groups, x.shape[1]
    u = relu(batch_norm(block.norm0, grouped_conv2d(block.conv, x)))
    u = [u[:, r * channels : (r + 1) * channels] for r in range(radix)]
    s = sum(u).mean((2, 3))
    width = channels // cardinality
    a = torch.zeros(radix, *s.shape, dtype=s.dtype)

    def dense(conv, inputs, k):
        """The k-th cardinal group's two-layer map."""
        weight, bias = conv.weight.flatten(1).chunk(cardinality)[k], conv.bias.chunk(cardinality)[k]
        return inputs @ weight.T + bias

    hidden = torch.cat([dense(block.reduce, s[:, k * width : (k + 1) * width], k) for k in range(cardinality)], 1)
    hidden = relu(batch_norm(block.norm1, hidden[:, :, None, None]))[:, :, 0, 0]
    for k, part in enumerate(hidden.chunk(cardinality, 1)):
        logits = torch.stack(dense(block.expand, part, k).split(width, 1))
        a[:, :, k * width : (k + 1) * width] = softmax(logits, 0) if radix > 1 else sigmoid(logits)
    a = a[..., None, None]
    return sum(a[r] * u[r] for r in range(radix)), *a


def attention_augmented(block, x):
    batch, _, height, width = x.shape
    tokens = x.flatten(2).transpose(1, 2)
    q, k, v = linear(block.qkv, tokens).split(block.widths, 2)
    mixed, maps = [], []
    for qh, kh, vh in zip(*(t.chunk(block.heads, 2) for t in (q, k, v)), strict=True):
        logits = torch.zeros(batch, height * width, height * width, dtype=x.dtype)
        for i in range(height * width):
            for j in range(height * width):
                key = kh[:, j]
                if block.position is not None:
                    last = block.position.rows.reach - 1
                    down = max(-last, min(last, j // width - i // width))
                    right = max(-last, min(last, j % width - i % width))
                    key = key + block.position.rows.weight[last + down] + block.position.columns.weight[last + right]
                logits[:, i, j] = (qh[:, i] * key).sum(1)
        a = softmax(logits / qh.shape[2] ** 0.5, 2)
        mixed.append(a @ vh)
        maps.append(a.reshape(batch, height * width, height, width))
    mixed = linear(block.project, torch.cat(mixed, 2)).transpose(1, 2).unflatten(2, (height, width))
    if block.conv is not None:
        local = conv2d(block.conv.weight, x) + block.conv.bias[:, None, None]
        mixed = torch.cat([local, mixed], 1)
    return mixed, torch.stack(maps, 1)


def dynamic_convolution(block, x):
    pooled, attention = x.mean((2, 3)), block.attention
    if attention.routing == "sigmoid":
        weights = sigmoid(linear(attention.route, pooled))
    else:
        hidden = torch.clamp(linear(attention.reduce, pooled), min=0)
        weights = softmax(linear(attention.route, hidden) / attention.temperature, 1)
    y, width = torch.zeros_like(x), x.shape[1] // block.groups
    kernels = block.weight.unflatten(2, (width, block.kernel_size, block.kernel_size))
    for sample in range(len(x)):
        for kernel in range(len(block.weight)):
            parts = []
            for group in range(block.groups):
                part = slice(group * width, (group + 1) * width)
                parts.append(conv2d(kernels[kernel, part], x[sample : sample + 1, part])[0])
            part = torch.cat(parts)
            if block.bias is not None:
                part = part + block.bias[kernel][:, None, None]
            y[sample] += weights[sample, kernel] * part
    return y, weights[:, None, None]
