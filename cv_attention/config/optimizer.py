"""Configures the optimizer and its learning-rate schedule."""

from dataclasses import dataclass, field
from typing import Any

from cv_attention.config.bounds import bounded
from cv_attention.config.lr_scale import LrScale


@dataclass
class Optimizer:
    """Configures the optimizer and its learning-rate schedule, by the names of timm or torch.

    Attributes:
        name: timm's (``sgd`` is with Nesterov momentum) or torch's name (``SGD``, ``AdamW``).
        lr: Peak learning rate.
        weight_decay: Weight decay, left off norms and biases.
        lr_scale: Factors of the learning rate for blocks, head and backbone.
        layer_decay: Factor of the learning rate from each layer to the one below it, counted down from the head, in
            (0, 1]; for timm's networks, and for ours by stages.
        options: Further arguments of the optimizer, such as ``{momentum: 0.9}``.
        schedule: ``triangular`` (up, then down to 0), timm's (``cosine``, ``step``, ...) or torch's name
            (``OneCycleLR``, ...), stepped every step; null keeps the rate constant.
        warmup_epochs: Epochs in which the rate rises to its peak; fractions count.
        schedule_options: Further arguments of the schedule.
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        ema: Decay of a moving average of the weights, which then is what is validated, tested and saved, such as
            0.999; null averages none.

    Examples:
        >>> from cv_attention.config import Optimizer
        >>> optimizer = Optimizer(name="adamw", lr=1e-3, weight_decay=0.05, warmup_epochs=1, ema=0.999)
        >>> optimizer.schedule
        'cosine'
    """

    name: str = "sgd"
    lr: float = bounded(0.1, "(0, inf)")
    weight_decay: float = bounded(5e-4, "[0, inf)")
    lr_scale: LrScale = field(default_factory=LrScale)
    layer_decay: float = bounded(1.0, "(0, 1]")
    options: dict[str, Any] = field(default_factory=dict)
    schedule: str | None = "cosine"
    warmup_epochs: float = bounded(0.0, "[0, inf)")
    schedule_options: dict[str, Any] = field(default_factory=dict)
    label_smoothing: float = bounded(0.0, "[0, 1)")
    ema: float | None = bounded(None, "(0, 1)")
