"""CBAM: convolutional block attention module (Woo et al., ECCV 2018), https://arxiv.org/abs/1807.06521."""

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, balance, bottleneck
from cv_attention.blocks.functional.gating import over_start
from cv_attention.blocks.functional.pooling import average, needs_gradient, spatial_max
from cv_attention.blocks.spatial.cbam_spatial import CBAMSpatial


class CBAM(Block):
    """Reweights channels, then positions: ``y = x * c(x)``, then ``y * s(y)``.

    Paper: CBAM: convolutional block attention module (Woo et al., ECCV 2018), https://arxiv.org/abs/1807.06521.

    The channel gate c is ``sigmoid(mlp(mean x) + mlp(max x))`` with one shared two-layer MLP, the spatial
    gate s is that of `CBAMSpatial`. There is no residual connection around them, as in the paper.

    Maps: `channel_map`, (B, C, 1, 1), and `spatial.map`, (B, 1, H, W), both in (0, 1); each 0.5 at the start.

    Args:
        channels: Channels C of the input.
        reduction: Bottleneck ratio r of the MLP (section 3.1); its hidden width is max(C // r, 1).
        bias: Whether the MLP has biases; the official code has them, timm's does not.
        kernel_size: Side of the spatial gate's square convolution, odd.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `reduction` is not a positive integer, or `kernel_size` is even.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.CBAM(64, reduction=8, kernel_size=7)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 14, 14)).shape)
        torch.Size([2, 64, 14, 14])
        >>> {name: tuple(map.values.shape) for name, map in maps.items()}
        {'channel_map': (2, 64, 1, 1), 'spatial.map': (2, 1, 14, 14)}
    """

    start: float = 1.0  # as in `Gate`

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        bias: bool = True,
        kernel_size: int = 7,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        hidden = bottleneck(channels, reduction)
        self.reduce = nn.Linear(channels, hidden, bias=bias, **factory)
        self.expand = nn.Linear(hidden, channels, bias=bias, **factory)
        self.channel_map = AttentionMap("channel")
        self.spatial = CBAMSpatial(channels, kernel_size=kernel_size, **factory)

    def start_as_identity(self) -> None:
        """Balances the two layers, so that both gates start at 0.5, and divides the gates by that."""
        balance(self.reduce, self.expand)
        self.start = 0.5
        self.spatial.start_as_identity()

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        # The second layer is linear: it runs once, on the sum of the two hidden vectors.
        hidden = self.reduce(average(x, (2, 3))).relu() + self.reduce(spatial_max(x)).relu()
        logits = self.expand(hidden)
        if self.expand.bias is not None:
            logits = logits + self.expand.bias
        channel = self.channel_map(logits.sigmoid()[:, :, None, None])
        y = x * over_start(channel, self.start)
        spatial = over_start(self.spatial.map(self.spatial.attention(y)), self.spatial.start)
        # Nobody else holds y: without gradients it becomes the result, a third less memory to move.
        return y * spatial if needs_gradient(y) else y.mul_(spatial)
