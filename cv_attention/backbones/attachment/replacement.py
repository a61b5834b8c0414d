"""Runs a block in place of a convolution, which is kept for `remove`."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@torch.fx.wrap  # a graph of torch.fx calls the block instead of looking inside
def run_block(block: nn.Module, x: Tensor) -> Tensor:
    """Returns ``block(x)``."""
    return block(x)


class Replacement(nn.Module):
    """Runs a block where a convolution was, and pools where that one had a stride (BoTNet, section 3).

    Args:
        block: The block; a child of the name `child`.
        child: That name.
        conv: The convolution. It is not a child: its weights are neither trained nor saved.
        attachment: The insertion's record of the block.
    """

    def __init__(self, block: nn.Module, child: str, conv: nn.Conv2d, attachment: Any = None) -> None:
        super().__init__()
        self.training = conv.training
        self.child, self.stride, self.attachment = child, (conv.stride[0], conv.stride[1]), attachment
        self.add_module(child, block)
        self._aside = (conv,)  # a tuple hides it from nn.Module
        self.register_buffer("like", conv.weight.detach().new_empty(0), persistent=False)  # goes where the model goes

    @property
    def conv(self) -> nn.Conv2d:
        """The convolution, on the device and in the floating type to which the model has gone since."""
        (conv,), like = self._aside, self.get_buffer("like")
        if conv.weight.is_meta and not like.is_meta:
            conv.to_empty(device=like.device)
        if (like.device, like.dtype) != (conv.weight.device, conv.weight.dtype):
            conv.to(like.device, like.dtype)
        return conv

    def load_conv(self, state: dict[str, Tensor], *, strict: bool, assign: bool) -> None:
        """Loads the convolution's weights as `load_state_dict` does; if they are assigned, it goes where they are."""
        conv = self.conv
        conv.load_state_dict(state, strict=strict, assign=assign)
        if assign:
            self.like = conv.weight.detach().new_empty(0)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, ceil(H / stride), ceil(W / stride))."""
        y = run_block(getattr(self, self.child), x)
        return y if self.stride == (1, 1) else F.avg_pool2d(y, self.stride, ceil_mode=True)
