"""A block in the place of a convolution, which is kept aside."""

import torch.nn.functional as F
from torch import Tensor, nn


class Replacement(nn.Module):
    """Runs a block where a convolution was, and pools where that one had a stride (BoTNet, section 3).

    Args:
        block: The block; a child of the name `child`.
        child: That name.
        conv: The convolution. It is no child: its weights are neither trained nor saved.
    """

    def __init__(self, block: nn.Module, child: str, conv: nn.Conv2d) -> None:
        super().__init__()
        self.training = conv.training
        self.child, self.stride = child, (conv.stride[0], conv.stride[1])
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

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, ceil(H / stride), ceil(W / stride))."""
        y = getattr(self, self.child)(x)
        return y if self.stride == (1, 1) else F.avg_pool2d(y, self.stride, ceil_mode=True)
