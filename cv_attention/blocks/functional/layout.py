"""Converts between feature maps and rows of positions, in either memory format."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def to_tokens(x: Tensor) -> Tensor:
    """Lists the positions of a feature map in raster order, without a copy if `x` is channels_last.

    Args:
        x: (B, C, H, W).

    Returns:
        (B, H*W, C), contiguous.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.to_tokens(torch.randn(2, 64, 7, 5)).shape
        torch.Size([2, 35, 64])
    """
    return x.flatten(2).transpose(1, 2).contiguous()


def to_map(tokens: Tensor, like: Tensor) -> Tensor:
    """Puts tokens back onto a feature map: the inverse of `to_tokens`.

    Args:
        tokens: (B, H*W, C), in raster order.
        like: A feature map (B, any, H, W), whose size and memory format the result gets.

    Returns:
        (B, C, H, W).

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> x = torch.randn(2, 64, 7, 5)
        >>> torch.equal(functional.to_map(functional.to_tokens(x), like=x), x)
        True
    """
    return laid_out_as(tokens.transpose(1, 2).unflatten(2, like.shape[2:]), like)


def laid_out_as(y: Tensor, like: Tensor) -> Tensor:
    """Converts a feature map to the memory format of another one.

    Args:
        y: (B, C, H, W).
        like: (B, any, H, W): contiguous or channels_last.

    Returns:
        The values of `y`; `y` itself where it has that format already.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> like = torch.randn(2, 8, 7, 7).to(memory_format=torch.channels_last)
        >>> functional.laid_out_as(torch.randn(2, 8, 7, 7), like).is_contiguous(memory_format=torch.channels_last)
        True
    """
    # Adding maps of different formats costs more than the copy.
    return y.contiguous(memory_format=torch.contiguous_format if like.is_contiguous() else torch.channels_last)


def expanded_like(vector: Tensor, like: Tensor) -> Tensor:
    """Returns one vector of each image at every position.

    Args:
        vector: (B, C).
        like: (B, C, H, W), whose size, dtype and memory format are taken.

    Returns:
        (B, C, H, W).

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.expanded_like(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2, 1, 3))
        tensor([[[[1., 1., 1.]],
        <BLANKLINE>
                 [[2., 2., 2.]]]])
    """
    return laid_out_as(vector.to(like.dtype)[:, :, None, None].expand_as(like), like)


def project(x: Tensor, layer: nn.Linear) -> Tensor:
    """Applies a linear layer to the channels of a feature map, in the memory format of the map.

    The map is not copied: the positions of a channels_last map are the rows of a matrix; any other map is convolved.

    Args:
        x: (B, C, H, W).
        layer: From C to d numbers.

    Returns:
        (B, d, H, W).

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.project(torch.randn(2, 64, 7, 7), torch.nn.Linear(64, 16)).shape
        torch.Size([2, 16, 7, 7])
    """
    if x.is_contiguous(memory_format=torch.channels_last):
        return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return F.conv2d(x, layer.weight[:, :, None, None], layer.bias)
