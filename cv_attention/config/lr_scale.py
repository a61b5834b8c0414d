"""Configures learning rates by part of the network."""

from dataclasses import dataclass

from cv_attention.config.bounds import bounded


@dataclass
class LrScale:
    """Factors of the learning rate; 0 keeps a part as it is.

    Attributes:
        blocks: Of the inserted blocks.
        head: Of the layer that makes the logits.
        backbone: Of everything else.
    """

    blocks: float = bounded(1.0, "[0, inf)")
    head: float = bounded(1.0, "[0, inf)")
    backbone: float = bounded(1.0, "[0, inf)")
