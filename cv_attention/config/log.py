"""Configures what a run stores and logs; nothing here changes results."""

from dataclasses import dataclass, field
from typing import Any, Literal

from cv_attention.config.bounds import bounded


@dataclass
class Log:
    """Configures what a run leaves behind.

    Attributes:
        root: Folder that holds the run directories.
        name: Name of the run directory; null makes one from data, backbone, block and seed.
        every_n_steps: Steps between two logged training losses.
        wandb: ``offline`` writes files to upload later, ``online`` uploads, ``disabled`` does neither.
        project: Project name in wandb.
        group: Group of the run in wandb; null groups the seeds of the same data, backbone and block.
        tags: Tags of the run in wandb.
        maps_every: Epochs between two recordings of the probe images' maps; 0 records none.
        probes: Number of probe images, spread over the classes of the validation split.
        saliency: Saliency methods to record in addition to the blocks' own maps, by name or class path.
        metrics: Further metrics of the validation and test splits: ``balanced_accuracy``, ``f1_macro``, ``f1_micro``,
            ``precision_macro``, ``recall_macro``, ``auroc``, ``map``; class paths such as
            ``torchmetrics.classification.MulticlassCohenKappa``, or ``{class_path: ..., init_args: {...}}``.
        curve_points: Steps of the probe images' insertion and deletion curves after the last epoch; 0 computes none.
        tensorboard: Write the curves and the rendered maps for TensorBoard too, to ``tensorboard/``.
        checkpoint_every_minutes: Minutes between two checkpoints inside an epoch, in addition to the one at its end;
            null writes none by time.
        checkpoint_every_n_steps: Optimizer steps between two checkpoints inside an epoch; null writes none by count.
        keep: What stays of the checkpoints once the run has been trained, tested and reported; until then all do.
            ``all``: best and last, so that the run can be trained longer. ``best``: ``best.ckpt`` alone. ``weights``:
            none. ``weights.safetensors``, the best weights, stays in any case.

    Examples:
        >>> from cv_attention.config import Log
        >>> log = Log(root="runs", wandb="disabled", saliency=["grad_cam", "layer_cam"], keep="weights")
        >>> log.every_n_steps
        50
    """

    root: str = "runs"
    name: str | None = None
    every_n_steps: int = bounded(50, "[1, inf)")
    wandb: Literal["offline", "online", "disabled"] = "offline"
    project: str = "cv_attention"
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    maps_every: int = bounded(1, "[0, inf)")
    probes: int = bounded(16, "[0, inf)")
    saliency: list[str] = field(default_factory=lambda: ["grad_cam"])
    metrics: list[str | dict[str, Any]] = field(default_factory=list)
    curve_points: int = bounded(20, "[0, inf)")
    tensorboard: bool = False
    checkpoint_every_minutes: float | None = bounded(10.0, "(0, inf)")
    checkpoint_every_n_steps: int | None = bounded(None, "[1, inf)")
    keep: Literal["all", "best", "weights"] = "all"
