"""Converts between feature maps and rows of positions, in either memory format."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def to_tokens(x: Tensor) -> Tensor:
    """Returns x (B, C, H, W) as (B, H*W, C), contiguous: no copy if `x` is channels_last."""
    return x.flatten(2).transpose(1, 2).contiguous()


def to_map(tokens: Tensor, like: Tensor) -> Tensor:
    """Returns tokens (B, H*W, C) as (B, C, H, W), with the size and memory format of `like`."""
    return laid_out_as(tokens.transpose(1, 2).unflatten(2, like.shape[2:]), like)


def laid_out_as(y: Tensor, like: Tensor) -> Tensor:
    """Returns y (B, C, H, W) in the memory format of `like`."""
    # Adding maps of different formats costs more than the copy.
    return y.contiguous(memory_format=torch.contiguous_format if like.is_contiguous() else torch.channels_last)


def expanded_like(vector: Tensor, like: Tensor) -> Tensor:
    """Returns vectors (B, C) at every position, with the size, dtype and memory format of `like` (B, C, H, W)."""
    return laid_out_as(vector.to(like.dtype)[:, :, None, None].expand_as(like), like)


def project(x: Tensor, layer: nn.Linear) -> Tensor:
    """Applies `layer` to the channels of x (B, C, H, W); returns (B, d, H, W) in the memory format of `x`.

    The map is not copied: channels_last, its positions are the rows of a matrix; otherwise a convolution takes it.
    """
    if x.is_contiguous(memory_format=torch.channels_last):
        return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return F.conv2d(x, layer.weight[:, :, None, None], layer.bias)
