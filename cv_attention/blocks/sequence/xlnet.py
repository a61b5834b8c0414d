"""XLNet's attention (Yang et al., NeurIPS 2019), https://arxiv.org/abs/1906.08237, on strips of a feature map."""

from cv_attention.blocks.base import Device, Dtype
from cv_attention.blocks.sequence.strip_attention import StripAttention


class XLNetAttention(StripAttention):
    """Attends in strips, in both directions, with recurrence: ``softmax((q_i + u) · k_j + (q_i + v) · W R_(i-j)) v_j``.

    Paper: XLNet (Yang et al., NeurIPS 2019), https://arxiv.org/abs/1906.08237: its content stream as it is after the
    pre-training, where each position sees its whole segment and the memory.

    The map is read in raster order, in segments of `rows` rows. Keys and values are those of the own strip and of the
    `memory` strips above it; scores are divided by sqrt(d); R encodes distances i - j in raster order, from positive to
    negative ones, by sines; W_o follows. Segment embeddings, the residual connection and the norm are not part of the
    block. `stream` computes one strip after another. `TransformerXLAttention` is its causal counterpart.

    Time and memory grow with H*W * (memory + 1) * rows * W: linearly with the height, in place of quadratically.

    Map: `pairwise` in windows, (B, heads, H*W, (memory + 1) * rows, W); `dense` puts them onto the grid, where they sum
    to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; d = C / heads.
        rows: Rows of a strip.
        memory: Strips above the own one that are seen; 0 is none.
        detach: Whether the memory passes no gradient to the strips above, as in the paper.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or a number is not in its range.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.XLNetAttention(64, heads=4, rows=2, memory=1)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(1, 64, 6, 5)).shape)
        torch.Size([1, 64, 6, 5])
        >>> (maps["map"].dense().values[0, 0, 10].sum(1) > 0).int()  # a query in the second of three strips
        tensor([1, 1, 1, 1, 0, 0], dtype=torch.int32)
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        rows: int = 2,
        memory: int = 1,
        detach: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__(channels, heads, rows, memory, False, detach, device, dtype)
