"""Transformer-XL's attention (Dai et al., ACL 2019), https://arxiv.org/abs/1901.02860, on strips of a feature map."""

from cv_attention.blocks.base import Device, Dtype
from cv_attention.blocks.sequence.strip_attention import StripAttention


class TransformerXLAttention(StripAttention):
    """Attends in strips of rows with recurrence: ``softmax((q_i + u) · k_j + (q_i + v) · W R_(i-j)) v_j``, then W_o.

    Paper: Transformer-XL (Dai et al., ACL 2019), https://arxiv.org/abs/1901.02860, section 3.

    The map is read in raster order, in segments of `rows` rows. Keys and values are those of the own strip and of the
    `memory` strips above it; scores are divided by sqrt(d); R encodes distances i - j in raster order by sines. The
    memory is the block's input, so that all strips of an image are computed at once, and give the same as one after
    another, which is what `stream` does. A strip reaches `memory` strips up; n blocks reach n times as far.

    Time and memory grow with H*W * (memory + 1) * rows * W: linearly with the height, in place of quadratically.

    Map: `pairwise` in windows, (B, heads, H*W, (memory + 1) * rows, W); `dense` puts them onto the grid, where they sum
    to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; d = C / heads.
        rows: Rows of a strip.
        memory: Strips above the own one that are seen; 0 is none.
        causal: Whether a position sees only those before it in raster order, as in a language model. Without, it sees
            all of its strip, as in `XLNetAttention`.
        detach: Whether the memory passes no gradient to the strips above, as in the paper.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or a number is not in its range.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import TransformerXLAttention
        >>> block, x = TransformerXLAttention(64, heads=4, rows=2, memory=1), torch.randn(1, 64, 14, 10)
        >>> whole = block(x)
        >>> state, strips = None, []
        >>> for strip in x.split(2, dim=2):  # the same, strip after strip
        ...     y, state = block.stream(strip, state)
        ...     strips.append(y)
        >>> torch.allclose(torch.cat(strips, 2), whole, atol=1e-5)
        True
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        rows: int = 2,
        memory: int = 1,
        causal: bool = True,
        detach: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__(channels, heads, rows, memory, causal, detach, device, dtype)
