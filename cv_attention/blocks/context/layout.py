"""Between feature maps and rows of positions, whatever the memory format."""

from torch import Tensor


def to_tokens(x: Tensor) -> Tensor:
    """Returns x (B, C, H, W) as (B, H*W, C), contiguous: no copy if `x` is channels_last."""
    return x.flatten(2).transpose(1, 2).contiguous()


def to_map(tokens: Tensor, like: Tensor) -> Tensor:
    """Returns tokens (B, H*W, C) as (B, C, H, W), with the size and memory format of `like`."""
    y = tokens.transpose(1, 2).unflatten(2, like.shape[2:])
    # Adding maps of different formats costs more than the copy.
    return y.contiguous() if like.is_contiguous() else y
