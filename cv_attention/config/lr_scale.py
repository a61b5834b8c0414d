"""Configures learning rates by part of the network."""

from dataclasses import dataclass

from cv_attention.config.bounds import bounded


@dataclass
class LrScale:
    """Configures factors of the learning rate for parts of the network; 0 keeps a part as it is.

    Attributes:
        blocks: Factor of the inserted blocks.
        head: Factor of the layer that makes the logits.
        backbone: Factor of everything else.

    Examples:
        >>> from cv_attention.config import LrScale, Optimizer
        >>> Optimizer(lr=0.01, lr_scale=LrScale(backbone=0.1)).lr_scale  # new blocks learn ten times as fast
        LrScale(blocks=1.0, head=1.0, backbone=0.1)
    """

    blocks: float = bounded(1.0, "[0, inf)")
    head: float = bounded(1.0, "[0, inf)")
    backbone: float = bounded(1.0, "[0, inf)")
