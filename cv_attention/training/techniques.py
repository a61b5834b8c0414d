"""The techniques of a training that are callbacks: each changes batches or weights, and none the training step."""

from lightning.pytorch.callbacks import Callback

from cv_attention.config import Experiment


def techniques(experiment: Experiment, num_classes: int) -> list[Callback]:
    """The callbacks that the configuration asks for, in the order in which they work.

    Raises:
        ValueError: if one of their values is out of its range.
    """
    data, callbacks = experiment.data, []
    if data.progressive:
        from cv_attention.training.resizing import ProgressiveSize

        callbacks.append(ProgressiveSize(data.progressive))
    if data.mixup or data.cutmix:
        from cv_attention.training.mixing import Mixing

        callbacks.append(Mixing(data, num_classes, experiment.seed))
    if experiment.optimizer.ema is not None:
        from cv_attention.training.averaging import MovingAverage

        callbacks.append(MovingAverage(experiment.optimizer.ema))
    return callbacks
