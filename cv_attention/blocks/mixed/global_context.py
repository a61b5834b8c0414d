"""Global context, GCNet (Cao et al., 2019), https://arxiv.org/abs/1904.11492."""

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, bottleneck
from cv_attention.blocks.functional.gating import over_start

# Below this, the layer norm has too few numbers to normalise: of a single one it makes 0, of two their order.
_SMALLEST = 8


class GlobalContext(Block):
    """Adds a transform of the attended average of all positions: ``x + W2 relu(norm(W1 sum_j softmax(k x)_j x_j))``.

    Paper: Global context, GCNet (Cao et al., 2019), https://arxiv.org/abs/1904.11492.

    Map: `pool.map`, pairwise, (B, 1, 1, H, W): the weights of the positions, which sum to 1. The last layer starts at
    zero, so the block starts as the identity.

    Args:
        channels: Channels C of the input.
        reduction: Bottleneck ratio r; the hidden width is max(C // r, 8), of which the layer norm is.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `reduction` is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.GlobalContext(64)
        >>> x = torch.randn(2, 64, 7, 7)
        >>> with record(block) as maps:
        ...     y = block(x)
        >>> torch.equal(y, x)  # a new block is the identity
        True
        >>> maps["pool.map"].values.shape  # one query: all positions share the context
        torch.Size([2, 1, 1, 7, 7])
    """

    def __init__(self, channels: int, *, reduction: int = 16, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        hidden = bottleneck(channels, reduction, minimum=_SMALLEST)
        self.pool = ContextPool(channels, **factory)
        self.transform = transform(channels, hidden, factory)

    def forward(self, x: Tensor) -> Tensor:
        """Adds the context to `x` (B, C, H, W); keeps shape and memory format."""
        return x + self.transform(self.pool(x))[:, :, None, None]


class GlobalContextGate(Block):
    """Multiplies by a gate made of the attended average: ``x * sigmoid(W2 relu(norm(W1 sum_j softmax(k x)_j x_j)))``.

    Paper: Global context, GCNet (Cao et al., 2019), https://arxiv.org/abs/1904.11492.

    GCNet's ablations call this fusion ``scale``, timm the block "gca".

    Maps: `pool.map`, pairwise, (B, 1, 1, H, W): the weights of the positions, which sum to 1; and `gate_map`, channel,
    (B, C, 1, 1), in (0, 1), 0.5 at the start, as the last layer starts at zero.

    Args:
        channels: Channels C of the input.
        reduction: Bottleneck ratio r; the hidden width is max(C // r, 8), of which the layer norm is.
        add: Whether a second transform of the same context is added after the gate, as in `GlobalContext`.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `reduction` is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import GlobalContextGate
        >>> x = torch.randn(2, 64, 7, 7)
        >>> torch.equal(GlobalContextGate(64)(x), x / 2)  # its gate starts at 0.5
        True
        >>> GlobalContextGate(64, reduction=4, add=True)(x).shape  # adds a transform of the context, too
        torch.Size([2, 64, 7, 7])
    """

    start: float = 1.0  # as in `Gate`

    def __init__(
        self, channels: int, *, reduction: int = 16, add: bool = False, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        hidden = bottleneck(channels, reduction, minimum=_SMALLEST)
        self.pool = ContextPool(channels, **factory)
        self.gate = transform(channels, hidden, factory)
        self.gate_map = AttentionMap("channel")
        self.transform = transform(channels, hidden, factory) if add else None

    def start_as_identity(self) -> None:
        """Divides the gate by 0.5, at which it starts: the last layers are zero already."""
        self.start = 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        context = self.pool(x)
        gate = self.gate_map(self.gate(context).sigmoid()[:, :, None, None])
        y = x * over_start(gate, self.start)
        return y if self.transform is None else y + self.transform(context)[:, :, None, None]


class ContextPool(nn.Module):
    """Averages the positions with learned weights: ``sum_j softmax(k x)_j x_j``, (B, C, H, W) -> (B, C).

    The official k has a bias, which a softmax does not notice; here it has none.
    """

    def __init__(self, channels: int, *, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        self.key = nn.Conv2d(channels, 1, 1, bias=False, **factory)
        nn.init.kaiming_normal_(self.key.weight)
        self.map = AttentionMap("pairwise")

    def forward(self, x: Tensor) -> Tensor:
        """Returns the context (B, C) of `x` (B, C, H, W)."""
        weights = self.key(x).flatten(2).softmax(2)
        weights = self.map(weights.unflatten(2, x.shape[2:])[:, None]).flatten(2)
        positions, weights = x.flatten(2), weights.to(x.dtype)
        # Either order gives the same; each returns a gradient in one of the two memory formats.
        if x.is_contiguous():
            return (positions @ weights.transpose(1, 2))[:, :, 0]
        return (weights @ positions.transpose(1, 2))[:, 0]


def transform(channels: int, hidden: int, factory: Factory) -> nn.Sequential:
    """Returns the bottleneck with layer norm of the context, whose last layer is zero."""
    last = nn.Linear(hidden, channels, **factory)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(channels, hidden, **factory), nn.LayerNorm(hidden, **factory), nn.ReLU(), last)
