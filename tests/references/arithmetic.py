"""The few operations that the rewrites share, spelled out."""

import torch


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def softmax(x, dim):
    exponential = torch.exp(x - x.max(dim, keepdim=True).values)
    return exponential / exponential.sum(dim, keepdim=True)


def linear(layer, x):
    """y_o = sum_i W_oi x_i + b_o over the last axis; takes nn.Linear and 1 x 1 convolutions' weights."""
    weight = layer.weight.flatten(1)
    y = torch.einsum("...i,oi->...o", x, weight)
    return y if layer.bias is None else y + layer.bias


def conv2d(weight, x, *, dilation=1):
    """Same-size convolution of x (B, C, H, W) with an odd kernel (O, C, k, l), position by position."""
    _, _, rows, columns = weight.shape
    top, left = rows // 2 * dilation, columns // 2 * dilation
    _, _, height, width = x.shape
    padded = torch.zeros(*x.shape[:2], height + 2 * top, width + 2 * left, dtype=x.dtype)
    padded[:, :, top : top + height, left : left + width] = x
    y = 0
    for i in range(rows):
        for j in range(columns):
            shifted = padded[:, :, i * dilation : i * dilation + height, j * dilation : j * dilation + width]
            y = y + torch.einsum("bchw,oc->bohw", shifted, weight[:, :, i, j])
    return y


def batch_norm(norm, x):
    """Normalises every channel by the batch's statistics in training, by the running ones otherwise."""
    if norm.training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    else:
        mean, variance = norm.running_mean, norm.running_var
    scale, shift, mean, variance = (v[:, None, None] for v in (norm.weight, norm.bias, mean, variance))
    return (x - mean) / torch.sqrt(variance + norm.eps) * scale + shift


def layer_norm(norm, x):
    """Normalises the last axis."""
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + norm.eps) * norm.weight + norm.bias


def gelu(x):
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def group_norm(norm, x):
    """Normalises x (B, C, ...) over each group of channels and all positions."""
    y = torch.zeros_like(x)
    size = x.shape[1] // norm.num_groups
    for sample in range(x.shape[0]):
        for first in range(0, x.shape[1], size):
            part = x[sample, first : first + size]
            variance = ((part - part.mean()) ** 2).mean()
            y[sample, first : first + size] = (part - part.mean()) / torch.sqrt(variance + norm.eps)
    shape = (-1, *[1] * (x.dim() - 2))
    return y * norm.weight.reshape(shape) + norm.bias.reshape(shape)
