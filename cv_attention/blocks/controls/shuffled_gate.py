"""The control of attention to this image: every image gets the map of another one."""

from torch import Tensor

from cv_attention.blocks.controls.base import MapControl


class ShuffledGate(MapControl):
    """Runs a block with the attention maps of another image of the batch: does it need *this* image?

    Image i gets the map of image i - B // 2 of the batch (at least one before it), in training and in evaluation. A
    single image keeps its own map. Where evaluated images are sorted by class, use batches larger than two classes.

    Args:
        channels: Channels C of the input.
        block: The block: a name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}`` or a class.

    Raises:
        ValueError: if the block has no attention map, or does not use it.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks.controls import ShuffledGate
        >>> shuffled = ShuffledGate(16, block="se")
        >>> x = torch.randn(2, 16, 7, 7)
        >>> gates = (shuffled.block(x) / x)[:, :, :1, :1]  # the gates in use
        >>> torch.allclose(gates[0], shuffled.block.attention(x)[1])
        True
    """

    kinds = ("channel", "spatial", "joint", "pairwise", "alignment")

    def replace(self, name: str, attention: Tensor) -> Tensor:
        """Returns the maps of other images; `attention` has the batch first."""
        return attention.roll(max(1, len(attention) // 2), 0)
