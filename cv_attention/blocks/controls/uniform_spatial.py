"""The control of where: attention that is the same at all positions."""

from torch import Tensor

from cv_attention.blocks.controls.base import MapControl


class UniformSpatial(MapControl):
    """Runs a block with its spatial maps replaced by their means over all positions: is the *where* used?

    Maps over positions are those of the kinds ``spatial``, ``joint`` and ``pairwise``; the weights of a pairwise map
    become equal, in windows over the positions of a window. Maps of channels stay as they are.

    Args:
        channels: Channels C of the input.
        block: The block: a name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}`` or a class.

    Raises:
        ValueError: if the block has no map over positions, or does not use it.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> from cv_attention.blocks.controls import UniformSpatial
        >>> uniform = UniformSpatial(16, block="cbam")
        >>> with record(uniform) as maps:
        ...     y = uniform(torch.randn(2, 16, 7, 7))
        >>> maps["block.spatial.map"].values.flatten(1).std(1)
        tensor([0., 0.])
    """

    kinds = ("spatial", "joint", "pairwise")

    def replace(self, name: str, attention: Tensor) -> Tensor:
        """Returns the mean over the last two axes, at every position."""
        return attention.mean((-2, -1), keepdim=True).expand_as(attention)
