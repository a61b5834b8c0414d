"""Rewrites of the papers' equations: <catalogue name>(block, x) -> (output, *maps)."""

import torch

from tests.references.arithmetic import gelu, layer_norm, linear, sigmoid, softmax


def rows(x):
    """(B, C, H, W) -> (B, N, C)."""
    return x.flatten(2).transpose(1, 2)


def weighted(x, scores):
    """x_i N a_i of scores (B, N), and the map N a_i."""
    gate = x.shape[2] * x.shape[3] * softmax(scores, 1)
    gate = gate.reshape(len(x), 1, *x.shape[2:])
    return x * gate, gate


def projected(layer, x):
    """A 1 x 1 convolution of rows (B, N, C)."""
    return linear(layer, x)


def additive(block, x):
    h = rows(x)
    if block.state is None:
        state = projected(block.query, h.mean(1))
    else:
        state = block.state.expand(len(x), -1)
    scores = [(torch.tanh(projected(block.key, h[:, i]) + state) * block.v[0]).sum(1) for i in range(h.shape[1])]
    return weighted(x, torch.stack(scores, 1))


def hard(block, x):
    """Soft in training, as long as the warm-up lasts; the largest weight alone in evaluation."""
    _, gate = additive(block, x)
    if not block.training:
        flat = gate.flatten(1)
        gate = torch.nn.functional.one_hot(flat.argmax(1), flat.shape[1]).to(x.dtype) * flat.shape[1]
        gate = gate.reshape(len(x), 1, *x.shape[2:])
    return x * gate, gate


def luong(block, x):
    h = rows(x)
    s = h.mean(1) if block.state is None else block.state.expand(len(x), -1)
    scores = []
    for i in range(h.shape[1]):
        if block.score == "dot":
            scores.append((s * h[:, i]).sum(1))
        elif block.score == "general":
            scores.append(torch.einsum("bd,de,be->b", s, block.weight[0], h[:, i]))
        else:
            pair = torch.cat([s, h[:, i]], 1)
            scores.append((torch.tanh(pair @ block.weight[0].T) * block.v[0]).sum(1))
    return weighted(x, torch.stack(scores, 1))


def local(block, x):
    h, (height, width) = rows(x), x.shape[2:]
    s = h.mean(1) if block.state is None else block.state.expand(len(x), -1)
    p = sigmoid(torch.tanh(s @ block.hidden.T) @ block.centre.T) * torch.tensor([height, width])
    scores, gaussian, inside = (torch.zeros(len(x), height, width, dtype=x.dtype) for _ in range(3))
    for b in range(len(x)):
        for i in range(height):
            for j in range(width):
                down, across = i + 0.5 - p[b, 0], j + 0.5 - p[b, 1]
                scores[b, i, j] = s[b] @ block.weight[0] @ x[b, :, i, j]
                gaussian[b, i, j] = torch.exp(-(down**2 + across**2) / (2 * (block.reach / 2) ** 2))
                inside[b, i, j] = float(max(abs(down), abs(across)) <= block.reach)
    if block.strength is not None:
        return weighted(x, (scores + block.strength * torch.log(gaussian)).flatten(1))
    exponential = torch.exp(scores) * inside
    weights = exponential / exponential.sum((1, 2), keepdim=True) * gaussian
    gate = height * width * weights[:, None]
    return x * gate, gate


def gated(block, x):
    h = rows(x)
    scores = []
    for i in range(h.shape[1]):
        hidden = torch.tanh(projected(block.key, h[:, i]))
        if block.opening is not None:
            hidden = hidden * sigmoid(projected(block.opening, h[:, i]))
        scores.append((hidden * block.w[0]).sum(1))
    return weighted(x, torch.stack(scores, 1))


def multi_head(query, key_value, heads, tokens, block):
    """One query (B, 1, C) over tokens (B, N, C): the mixed values (B, 1, C), and the weights (B, heads, 1, N)."""
    k, v = linear(key_value, tokens).chunk(2, 2)
    depth = query.shape[2] // heads
    mixed, weights = torch.zeros_like(query), []
    for head in range(heads):
        part = slice(head * depth, (head + 1) * depth)
        scores = torch.einsum("bqd,bkd->bqk", query[..., part], k[..., part]) / depth**0.5
        weights.append(softmax(scores, 2))
        mixed[..., part] = weights[-1] @ v[..., part]
    return linear(block.project, mixed), torch.stack(weights, 1)


def mlp(layers, x):
    return linear(layers[2], gelu(linear(layers[0], x)))


def everywhere(vector, x):
    return vector[:, :, None, None].expand_as(x)


def class_attention(block, x):
    z, maps = block.token.expand(len(x), 1, -1), []
    for layer in block.layers:
        tokens = layer_norm(layer.norm1, torch.cat([z, rows(x)], 1))
        mixed, weights = multi_head(linear(layer.query, tokens[:, :1]), layer.key_value, layer.heads, tokens, layer)
        maps.append(weights[..., 1:].unflatten(3, x.shape[2:]))
        z = z + layer.gamma1 * mixed
        z = z + layer.gamma2 * mlp(layer.mlp, layer_norm(layer.norm2, z))
    return everywhere(z[:, 0], x), *maps


def latent_pool(block, x):
    query = linear(block.query, block.latent).expand(len(x), -1, -1)
    z, weights = multi_head(query, block.key_value, block.heads, rows(x), block)
    normed = layer_norm(block.norm, z) if hasattr(block.norm, "weight") else z
    return everywhere((z + mlp(block.mlp, normed))[:, 0], x), weights.unflatten(3, x.shape[2:])


def query_2d(block, x):
    position = block.position
    if x.shape[2:] != (block.size, block.size):  # by a library: bicubic, with the low-pass of Pillow
        grid = position[1:].T.reshape(1, -1, block.size, block.size)
        grid = torch.nn.functional.interpolate(grid, x.shape[2:], mode="bicubic", antialias=True)
        position = torch.cat([position[:1], grid[0].flatten(1).T])
    tokens = torch.cat([rows(x).mean(1, keepdim=True), rows(x)], 1) + position
    mixed, weights = multi_head(linear(block.query, tokens[:, :1]), block.key_value, block.heads, tokens, block)
    return everywhere(mixed[:, 0], x), weights[..., 1:].unflatten(3, x.shape[2:])
