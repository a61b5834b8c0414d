"""Configures Lightning's Trainer."""

from dataclasses import dataclass, field
from typing import Any, Literal

from cv_attention.config.bounds import bounded


@dataclass
class Trainer:
    """Configures Lightning's Trainer.

    Attributes:
        max_epochs: Passes over the training split.
        accelerator: ``auto``, ``cpu``, ``gpu``, ...
        devices: Number of devices, or ``auto``.
        num_nodes: Number of machines.
        strategy: ``auto``, ``ddp``, ``ddp_fork``, ... of Lightning's; ``fsdp2`` divides weights, gradients and the
            optimizer's state over the devices, for networks that do not fit on one.
        precision: ``auto`` is ``bf16-mixed`` where the device computes it natively, else ``32-true``; or ``32-true``,
            ``bf16-mixed``, ``16-mixed``, ...
        compile: Train through ``torch.compile``. The first step takes a minute or so; validation, maps and checkpoints
            are of the network itself.
        accumulate_grad_batches: Batches of one optimizer step.
        gradient_clip_val: Largest norm of the gradient; null does not clip.
        select: Which epoch's network is tested and kept as the result: ``best`` by `monitor`, ``last``, or ``auto``:
            the best, but the last where so few images validate that their accuracy cannot tell epochs apart.
        monitor: The validation metric by which epochs are compared, such as ``loss`` or a metric of ``log.metrics``;
            null takes the task's own: the accuracy, with several classes per image the mean average precision.
        monitor_mode: Whether the highest (``max``) or the lowest (``min``) value of `monitor` is the best; ``auto``
            takes what the metric says of itself.
        deterministic: Refuse operations that are not deterministic.
        extra: Any further argument of ``lightning.Trainer``, by its name.

    Examples:
        >>> from cv_attention.config import Trainer
        >>> trainer = Trainer(max_epochs=30, accelerator="gpu", devices=2, extra={"limit_train_batches": 0.1})
        >>> trainer.precision
        'auto'
    """

    max_epochs: int = bounded(10, "[1, 1000000]")
    accelerator: str = "auto"
    devices: int | str = bounded("auto", "[1, inf)")
    num_nodes: int = bounded(1, "[1, inf)")
    strategy: str = "auto"
    precision: str = "auto"
    compile: bool = False
    accumulate_grad_batches: int = bounded(1, "[1, inf)")
    gradient_clip_val: float | None = bounded(None, "(0, inf)")
    select: Literal["auto", "best", "last"] = "auto"
    monitor: str | None = None
    monitor_mode: Literal["auto", "max", "min"] = "auto"
    deterministic: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
