"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import math

import torch

from tests.references.arithmetic import batch_norm, gelu, layer_norm, linear, sigmoid, softmax


def pixels(x):
    """(B, C, H, W) -> (B, N, C)."""
    return x.flatten(2).transpose(1, 2)


def image(tokens, size):
    """(B, N, C) -> (B, C, H, W)."""
    return tokens.transpose(1, 2).unflatten(2, size)


def conv1x1(layer, x):
    return image(linear(layer, pixels(x)), x.shape[2:])


def halved(tokens, size):
    """Maxima over 2 x 2 positions."""
    grid = image(tokens, size)
    height, width = max(size[0] // 2, 1), max(size[1] // 2, 1)
    result = torch.zeros(*grid.shape[:2], height, width, dtype=grid.dtype)
    for row in range(height):
        for column in range(width):
            part = grid[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            result[:, :, row, column] = part.flatten(2).max(2).values
    return pixels(result), (height, width)


def normed(block, y):
    return y if block.norm is None else batch_norm(block.norm, y)


def non_local(block, x):
    tokens, size = pixels(x), x.shape[2:]
    if block.mode == "gaussian":
        theta, phi, g = tokens, tokens, linear(block.project, tokens)
    else:
        theta, phi, g = linear(block.project, tokens).chunk(3, 2)
    key_size = size
    if block.sub_sample:
        (phi, key_size), (g, _) = halved(phi, size), halved(g, size)
    f = torch.zeros(len(x), theta.shape[1], phi.shape[1], dtype=x.dtype)
    for i in range(theta.shape[1]):
        for j in range(phi.shape[1]):
            if block.mode == "concatenation":
                pair = torch.cat([theta[:, i], phi[:, j]], 1)
                f[:, i, j] = torch.clamp(linear(block.concat, pair)[:, 0], min=0)
            else:
                f[:, i, j] = (theta[:, i] * phi[:, j]).sum(1)
    if block.mode in ("concatenation", "dot_product"):
        f = f / phi.shape[1]
    else:
        # scale None divides by the root of the channels, 1.0 does not.
        f = softmax(f / theta.shape[2] ** 0.5 if block.scale is None else f, 2)
    y = normed(block, image(linear(block.out, f @ g), size))
    return x + y, f.unflatten(2, key_size)[:, None]


def disentangled_non_local(block, x):
    tokens, size = pixels(x), x.shape[2:]
    q, k, g = (linear(layer, tokens) for layer in (block.query, block.key, block.g))
    q, k = q - q.mean(1, keepdim=True), k - k.mean(1, keepdim=True)
    p = softmax(torch.einsum("bic,bjc->bij", q, k) * block.scale, 2)
    u = softmax(linear(block.mask, tokens)[:, :, 0], 1)
    total = p + u[:, None]
    y = normed(block, image(linear(block.out, total @ g), size))
    return x + y, p.unflatten(2, size)[:, None], u.unflatten(1, size)[:, None, None]


def double_attention(block, x):
    size = x.shape[2:]
    a, b, v = (linear(layer, pixels(x)) for layer in (block.phi, block.theta, block.rho))
    b, v = softmax(b, 1), softmax(v, 2)
    z = torch.zeros_like(a)
    for n in range(b.shape[2]):
        descriptor = (a * b[:, :, n : n + 1]).sum(1)
        z = z + v[:, :, n : n + 1] * descriptor[:, None]
    return x + conv1x1(block.out, image(z, size)), image(b, size)[:, None], v[:, None]


def danet_position(block, x):
    b, c, d = (linear(layer, pixels(x)) for layer in (block.query, block.key, block.value))
    s = softmax(torch.einsum("bic,bjc->bij", b, c), 2)
    return x + block.alpha * image(s @ d, x.shape[2:]), s.unflatten(2, x.shape[2:])[:, None]


def danet_channel(block, x):
    channels = x.shape[1]
    energy = torch.zeros(len(x), channels, channels, dtype=x.dtype)
    for j in range(channels):
        for i in range(channels):
            energy[:, j, i] = (x[:, j] * x[:, i]).sum((1, 2))
    if block.energy == "inverted":
        energy = energy.max(2, keepdim=True).values - energy
    a = softmax(energy, 2)
    return x + block.beta * torch.einsum("bji,bihw->bjhw", a, x), a[:, None]


def criss_cross(block, x):
    maps = []
    _, _, height, width = x.shape
    for _ in block.maps:
        q, k, v = (conv1x1(layer, x) for layer in (block.query, block.key, block.value))
        a = torch.zeros(len(x), 1, height * width, height, width, dtype=x.dtype)
        mixed = torch.zeros_like(x)
        for i in range(height):
            for j in range(width):
                cross = [(i, c) for c in range(width)] + [(r, j) for r in range(height) if r != i]
                logits = torch.stack([(q[:, :, i, j] * k[:, :, r, c]).sum(1) for r, c in cross], 1)
                weights = softmax(logits, 1)
                for index, (r, c) in enumerate(cross):
                    a[:, 0, i * width + j, r, c] = weights[:, index]
                    mixed[:, :, i, j] += weights[:, index, None] * v[:, :, r, c]
        maps.append(a)
        x = x + block.gamma * mixed
    return x, *maps


def external_attention(block, x):
    f = pixels(conv1x1(block.conv1, x))
    a = softmax(linear(block.keys, f), 1)
    a = a / a.sum(2, keepdim=True)
    y = x + batch_norm(block.norm, conv1x1(block.conv2, image(linear(block.values, a), x.shape[2:])))
    return torch.clamp(y, min=0) if block.relu else y, a[:, None]


def bat(block, x):
    def layer(part, x):
        conv, norm, _ = part
        return torch.clamp(batch_norm(norm, conv1x1(conv, x)), min=0)

    def mixing(matrix, length):
        """The matrix (B, groups, length, length) that mixes positions at the same place of their bands."""
        band = -(-length // block.block_size)
        full = torch.zeros(*matrix.shape[:2], length, length, dtype=matrix.dtype)
        for i in range(length):
            for j in range(length):
                if i % band == j % band:
                    full[:, :, i, j] = matrix[:, :, i // band, j // band]
        return full / full.sum(3, keepdim=True)

    def matrix(linear_map, lines):
        """Matrices from the maxima of bands of `lines` (B, groups, length, any)."""
        band = -(-lines.shape[2] // block.block_size)
        maxima = torch.zeros(*lines.shape[:2], block.block_size, dtype=lines.dtype)
        for index in range(-(-lines.shape[2] // band)):
            maxima[:, :, index] = lines[:, :, index * band : (index + 1) * band].flatten(2).max(2).values
        return sigmoid(linear(linear_map, maxima.flatten(1))).reshape(len(x), groups, *2 * [block.block_size])

    groups, (_, _, height, width) = block.groups, x.shape
    z = layer(block.reduce, x)
    squeezed = layer(block.squeeze, z)
    p = mixing(matrix(block.p, squeezed), height)
    # Columns of Q sum to 1: its transpose mixes as P does.
    q = mixing(matrix(block.q, squeezed.transpose(2, 3)).transpose(2, 3), width)
    a = torch.einsum("bgik,bgjl->bgijkl", p, q)
    y = torch.einsum("bgijkl,bgckl->bgcij", a, z.unflatten(1, (groups, -1))).flatten(1, 2)
    for part in block.expand:
        y = layer(part, y)
    return x + y, a.flatten(2, 3)


def fourier(size, bands, resolution):
    """(H*W, 2 * (2 bands + 1)): place, sines, cosines; the row's before the column's in each."""
    rows = []
    for row in range(size[0]):
        for column in range(size[1]):
            place = [2 * i / (n - 1) - 1 if n > 1 else 0.0 for i, n in zip((row, column), size, strict=True)]
            steps = [k / (bands - 1) if bands > 1 else 0.0 for k in range(bands)]
            frequencies = [1 + step * (resolution / 2 - 1) for step in steps]
            angles = [math.pi * f * p for p in place for f in frequencies]
            rows.append([*place, *(math.sin(a) for a in angles), *(math.cos(a) for a in angles)])
    return torch.tensor(rows, dtype=torch.float64)


def cross_attention(layer, z, inputs):
    """Queries of z, keys and values of inputs, each behind its norm: (result, weights)."""
    z = layer_norm(layer.norm, z)
    inputs = z if inputs is None else layer_norm(layer.norm_input, inputs)
    q, (k, v) = linear(layer.query, z), linear(layer.key_value, inputs).chunk(2, 2)
    parts, maps, depth = [], [], q.shape[2] // layer.heads
    for head in range(layer.heads):
        own = slice(head * depth, (head + 1) * depth)
        weights = softmax(torch.einsum("bqd,bkd->bqk", q[..., own], k[..., own]) / depth**0.5, 2)
        maps.append(weights)
        parts.append(torch.einsum("bqk,bkd->bqd", weights, v[..., own]))
    return linear(layer.project, torch.cat(parts, 2)), torch.stack(maps, 1)


def perceiver_layer(layer, z, inputs=None):
    read, weights = cross_attention(layer.attention, z, inputs)
    z = z + read
    first, _, second = layer.mlp
    return z + linear(second, gelu(linear(first, layer_norm(layer.norm, z)))), weights


def latent(block, x):
    size = tuple(x.shape[2:])
    places = fourier(size, block.bands, block.resolution)
    tokens = torch.cat([pixels(x), places.expand(len(x), -1, -1)], 2)
    z, read = perceiver_layer(block.read, block.latents.expand(len(x), -1, -1), tokens)
    maps = [read.unflatten(3, size)]
    for layer in block.think:
        z, weights = perceiver_layer(layer, z)
        maps.append(weights)
    y, write = cross_attention(block.write, tokens, z)
    return x + image(y, size), *maps, write
