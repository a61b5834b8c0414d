"""External attention (Guo et al., 2021), https://arxiv.org/abs/2105.02358."""

from math import sqrt

from torch import Tensor, nn

from cv_attention.blocks.base import STEEP, AttentionMap, Block, Device, Dtype, Factory, check_whole, zero
from cv_attention.blocks.functional.gating import times


class ExternalAttention(Block):
    """Asks S learned memory slots: ``relu(x + norm(W2 A M_v))``, ``A = l1(softmax(F M_k'))``, ``F = W1 x``.

    Paper: External attention (Guo et al., 2021), https://arxiv.org/abs/2105.02358.

    The softmax runs over the positions, the l1 normalisation after it over the slots.
    The convolutions, the residual and the relu around the paper's equations are those of the official code;
    `relu` leaves the last one out.

    Map: `alignment`, (B, 1, H*W, S), A; the last axis sums to 1.

    Args:
        channels: Channels C of the input.
        slots: Number S of memory slots.
        relu: Whether relu follows the residual.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `slots` is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import ExternalAttention
        >>> block = ExternalAttention(64, slots=16, relu=False)
        >>> block(torch.randn(2, 64, 7, 7)).shape
        torch.Size([2, 64, 7, 7])
        >>> block.keys.weight.shape  # the memory: 16 keys of 64 channels
        torch.Size([16, 64, 1])
    """

    gain: float = 1.0  # what multiplies the last norm; `STEEP` where its scale starts at zero

    def __init__(
        self, channels: int, *, slots: int = 64, relu: bool = True, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels, slots=slots)
        self.relu = relu
        self.conv1 = nn.Conv2d(channels, channels, 1, **factory)
        self.keys = nn.Conv1d(channels, slots, 1, bias=False, **factory)
        self.values = nn.Conv1d(slots, channels, 1, bias=False, **factory)
        self.conv2 = nn.Conv2d(channels, channels, 1, bias=False, **factory)
        self.norm = nn.BatchNorm2d(channels, **factory)
        self.map = AttentionMap("alignment")
        for layer in (self.conv1, self.keys, self.conv2):
            nn.init.normal_(layer.weight, std=sqrt(2 / channels))
        # As in the official code, both memories start equal, and then learn apart.
        self.values.weight.data.copy_(self.keys.weight.data.transpose(0, 1))

    def start_as_identity(self) -> None:
        """Zeroes the last norm and leaves out the relu behind it."""
        zero(self.norm)
        self.relu, self.gain = False, STEEP

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        logits = self.keys(self.conv1(x).flatten(2))
        # The softmax of logarithms divides by the sum: no position's sum can vanish.
        weights = self.map(logits.log_softmax(2).softmax(1).transpose(1, 2)[:, None])
        mixed = self.values(weights[:, 0].transpose(1, 2).to(logits.dtype)).unflatten(2, x.shape[2:])
        y = x + times(self.norm(self.conv2(mixed)), self.gain)
        return y.relu() if self.relu else y
