"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import math

import torch

from tests.references.arithmetic import batch_norm, conv2d, gelu, layer_norm, linear, softmax


def mhsa(block, x):
    batch, channels, height, width = x.shape
    tokens = x.flatten(2).transpose(1, 2)
    q, k, v = linear(block.qkv, tokens).split(channels, dim=2)
    d = channels // block.heads
    mixed, maps = [], []
    for head in range(block.heads):
        part = slice(head * d, (head + 1) * d)
        qh, kh = q[:, :, part], k[:, :, part]
        if block.position == "rope":
            qh, kh = rope(qh, height, width), rope(kh, height, width)
        a = softmax(qh @ kh.transpose(1, 2) / math.sqrt(d), 2)
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


def rope(x, height, width, theta=100.0):
    """Turns neighbouring channels as complex numbers: first by rows, then by columns."""
    bands = x.shape[-1] // 4
    turned = x.clone()
    for n in range(height * width):
        for i in range(2 * bands):
            position = n // width if i < bands else n % width
            angle = position * theta ** (-(i % bands) / bands)
            number = torch.complex(x[..., n, 2 * i], x[..., n, 2 * i + 1]) * complex(math.cos(angle), math.sin(angle))
            turned[..., n, 2 * i], turned[..., n, 2 * i + 1] = number.real, number.imag
    return turned


def positions(x):
    return [(row, column) for row in range(x.shape[2]) for column in range(x.shape[3])]


def split_heads(tokens, heads):
    """(B, N, C) -> (B, heads, N, C / heads)."""
    return torch.stack(tokens.chunk(heads, 2), 1)


def to_map(tokens, x):
    return tokens.transpose(1, 2).reshape(x.shape)


def full(block, x, visible, extra=lambda q, i, j: 0):
    """All-to-all attention where (row, column) i sees j only if `visible(i, j)`, without output projection.

    extra(q (B, heads, d), i, j) is added to the logits.
    """
    grid = positions(x)
    tokens = x.flatten(2).transpose(1, 2)
    layers = [block.qkv] if hasattr(block, "qkv") else [block.query, block.key_value]
    projected = torch.cat([linear(layer, tokens) for layer in layers], 2)
    q, k, v = (split_heads(part, block.heads) for part in projected.chunk(3, 2))
    a = torch.zeros(*q.shape[:3], len(grid), dtype=x.dtype)
    for n, i in enumerate(grid):
        seen = [m for m, j in enumerate(grid) if visible(i, j)]
        logits = [
            (q[:, :, n] * k[:, :, m]).sum(-1) / math.sqrt(q.shape[-1]) + extra(q[:, :, n], i, grid[m]) for m in seen
        ]
        a[:, :, n, seen] = softmax(torch.stack(logits, -1), -1)
    mixed = torch.cat((a @ v).unbind(1), 2)
    return mixed, a.reshape(*a.shape[:3], *x.shape[2:])


def looked_up(table, reach):
    """Swin's table of biases by (row, column) of query minus key."""
    size = 2 * reach - 1
    return lambda q, i, j: table[(i[0] - j[0] + reach - 1) * size + i[1] - j[1] + reach - 1]


def window(block, x):
    m = block.window_size

    def tile(position, length):
        shift = block.shift if length > m else 0
        return (position - shift) // m

    def visible(i, j):
        return all(tile(i[axis], x.shape[2 + axis]) == tile(j[axis], x.shape[2 + axis]) for axis in (0, 1))

    mixed, a = full(block, x, visible, looked_up(block.position.table, m))
    return to_map(linear(block.project, mixed), x), a


def neighbourhood(block, x):
    k = block.kernel_size

    def near(i, j, length):
        if length <= k:
            return True
        start = i - k // 2
        if start < 0:
            start = 0
        if start + k > length:
            start = length - k
        return start <= j < start + k

    def visible(i, j):
        return near(i[0], j[0], x.shape[2]) and near(i[1], j[1], x.shape[3])

    bias = looked_up(block.position.table, k) if block.position else lambda q, i, j: 0
    mixed, a = full(block, x, visible, bias)
    return to_map(linear(block.project, mixed), x), a


def relative_logits(block):
    def vector(embedding, offset):
        reach = (len(embedding.weight) + 1) // 2
        return embedding.weight[max(-reach + 1, min(reach - 1, offset)) + reach - 1]

    def logits(q, i, j):
        r = vector(block.position.rows, j[0] - i[0]) + vector(block.position.columns, j[1] - i[1])
        return (q * r).sum(-1) / (math.sqrt(q.shape[-1]) if block.scale_position else 1)

    return logits


def botnet(block, x):
    mixed, a = full(block, x, lambda i, j: True, relative_logits(block))
    return to_map(mixed, x), a


def halo(block, x):
    b, h = block.block_size, block.halo_size

    def visible(i, j):
        return all(i[axis] // b * b - h <= j[axis] < i[axis] // b * b + b + h for axis in (0, 1))

    mixed, a = full(block, x, visible, relative_logits(block))
    return to_map(mixed, x), a


def lambda_layer(block, x):
    batch, channels, height, width = x.shape
    k, heads, v = block.key_depth, block.heads, channels // block.heads
    projected = torch.einsum("bchw,oc->bohw", x, block.qkv.weight[:, :, 0, 0])
    q = batch_norm(block.norm_query, projected[:, : heads * k]).unflatten(1, (heads, k))
    values = batch_norm(block.norm_value, projected[:, -v:])
    a = softmax(projected[:, heads * k : -v].flatten(2), 2).unflatten(2, (height, width))
    radius = block.position.weight.shape[-1] // 2
    y = torch.zeros(batch, heads, v, height, width, dtype=x.dtype)
    for row, column in positions(x):
        matrix = torch.einsum("bkhw,bvhw->bkv", a, values)
        for i, j in positions(x):
            if abs(i - row) <= radius and abs(j - column) <= radius:
                embedding = block.position.weight[:, 0, i - row + radius, j - column + radius]
                matrix = matrix + torch.einsum("k,bv->bkv", embedding, values[:, :, i, j])
        y[..., row, column] = torch.einsum("bhk,bkv->bhv", q[..., row, column], matrix)
    return y.flatten(1, 2), a[:, None]


def xca(block, x):
    tokens = x.flatten(2).transpose(1, 2)
    q, k, v = (split_heads(part, block.heads) for part in linear(block.qkv, tokens).chunk(3, 2))
    a = torch.zeros(*q.shape[:2], q.shape[3], q.shape[3], dtype=x.dtype)
    for i in range(q.shape[3]):
        for j in range(q.shape[3]):
            length = torch.sqrt((q[..., i] ** 2).sum(-1) * (k[..., j] ** 2).sum(-1))
            a[:, :, i, j] = (q[..., i] * k[..., j]).sum(-1) / length * block.temperature[:, 0, 0]
    a = softmax(a, 3)
    mixed = torch.einsum("bhij,bhnj->bnhi", a, v).flatten(2)
    return to_map(linear(block.project, mixed), x), a


def mqa(block, x):
    tokens = x.flatten(2).transpose(1, 2)
    k, v = linear(block.key, tokens), linear(block.value, tokens)
    mixed, maps = [], []
    for q in linear(block.query, tokens).chunk(block.heads, 2):
        a = softmax(torch.einsum("bnd,bmd->bnm", q, k) / math.sqrt(k.shape[-1]), 2)
        mixed.append(torch.einsum("bnm,bmd->bnd", a, v))
        maps.append(a.unflatten(2, x.shape[2:]))
    return to_map(linear(block.project, torch.cat(mixed, 2)), x), torch.stack(maps, 1)


def linear_attention(block, x):
    def phi(x):
        return torch.where(x > 0, x + 1, torch.exp(x))

    tokens = x.flatten(2).transpose(1, 2)
    q, k, v = (split_heads(part, block.heads) for part in linear(block.qkv, tokens).chunk(3, 2))
    similarity = torch.einsum("bhnd,bhmd->bhnm", phi(q), phi(k))
    a = similarity / (similarity.sum(3, keepdim=True) + 1e-6)
    mixed = torch.einsum("bhnm,bhmd->bnhd", a, v).flatten(2)
    return to_map(linear(block.project, mixed), x), a.unflatten(3, x.shape[2:])


def focused_linear(block, x):
    def phi(x):
        y = (torch.clamp(x, min=0) + 1e-6) / torch.log(1 + torch.exp(block.scale))
        focused = y**block.focusing_factor
        return focused * torch.sqrt((y**2).sum(-1, keepdim=True) / (focused**2).sum(-1, keepdim=True))

    tokens = x.flatten(2).transpose(1, 2)
    q, k, v = linear(block.qkv, tokens).chunk(3, 2)
    mixed, maps = [], []
    for qh, kh, vh in zip(
        phi(q).chunk(block.heads, 2), phi(k).chunk(block.heads, 2), v.chunk(block.heads, 2), strict=True
    ):
        similarity = torch.einsum("bnd,bmd->bnm", qh, kh)
        a = similarity / (similarity.sum(2, keepdim=True) + 1e-6)
        maps.append(a.unflatten(2, x.shape[2:]))
        image = vh.transpose(1, 2).unflatten(2, x.shape[2:])
        local = conv2d(torch.diag_embed(block.local.weight[:, 0].permute(1, 2, 0)).permute(2, 3, 0, 1), image)
        mixed.append(a @ vh + (local + block.local.bias[:, None, None]).flatten(2).transpose(1, 2))
    return to_map(linear(block.project, torch.cat(mixed, 2)), x), torch.stack(maps, 1)


def differential(block, x):
    tokens = x.flatten(2).transpose(1, 2)
    q, k, v = linear(block.qkv, tokens).chunk(3, 2)
    lambda_q1, lambda_k1, lambda_q2, lambda_k2 = block.lambdas
    factor = torch.exp((lambda_q1 * lambda_k1).sum()) - torch.exp((lambda_q2 * lambda_k2).sum()) + block.lambda_init
    d = x.shape[1] // (2 * block.heads)
    mixed, maps = [], []
    for head in range(block.heads):
        first = slice(2 * head * d, (2 * head + 1) * d)
        second = slice((2 * head + 1) * d, (2 * head + 2) * d)
        a1, a2 = (softmax(q[..., s] @ k[..., s].transpose(1, 2) / math.sqrt(d), 2) for s in (first, second))
        a = a1 - factor * a2
        output = a @ v[..., 2 * head * d : (2 * head + 2) * d]
        size = torch.sqrt((output**2).mean(-1, keepdim=True) + 1e-5)
        mixed.append(output / size * block.norm.weight * (1 - block.lambda_init))
        maps.append(a.unflatten(2, x.shape[2:]))
    return to_map(linear(block.project, torch.cat(mixed, 2)), x), torch.stack(maps, 1)


def axial(block, x):
    x, columns = axial_step(block.columns, x, lambda i, j: i[1] == j[1], 0)
    x, rows = axial_step(block.rows, x, lambda i, j: i[0] == j[0], 1)
    return x, columns, rows


def axial_step(step, x, visible, axis):
    grid, depth = positions(x), step.depth
    heads = linear(step.qkv, x.flatten(2).transpose(1, 2)).chunk(step.heads, 2)
    reach = (len(step.to_query.weight) + 1) // 2
    maps, mixed = torch.zeros(len(x), len(heads), len(grid), len(grid), dtype=x.dtype), []
    for h, qkv in enumerate(heads):
        q, k, v = qkv[..., :depth], qkv[..., depth : 2 * depth], qkv[..., 2 * depth :]
        mixed.append(torch.zeros_like(v))
        for n, i in enumerate(grid):
            seen = [m for m, j in enumerate(grid) if visible(i, j)]
            offset = [max(1 - reach, min(reach - 1, grid[m][axis] - i[axis])) + reach - 1 for m in seen]
            rq, rk, rv = (e.weight[offset] for e in (step.to_query, step.to_key, step.to_value))
            o = q[:, n, None]
            logits = ((o * k[:, seen]).sum(-1) + (o * rq).sum(-1) + (k[:, seen] * rk).sum(-1)) / math.sqrt(depth)
            a = softmax(logits, -1)
            maps[:, h, n, seen] = a
            mixed[h][:, n] = (a[..., None] * (v[:, seen] + rv)).sum(1)
    return to_map(torch.cat(mixed, 2), x), maps.reshape(*maps.shape[:3], *x.shape[2:])
