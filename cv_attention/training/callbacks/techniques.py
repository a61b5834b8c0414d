"""Creates the callbacks of training techniques: mixing, averaging and progressive resizing."""

from lightning.pytorch.callbacks import Callback

from cv_attention.config import Experiment


def techniques(experiment: Experiment, num_classes: int) -> list[Callback]:
    """Creates the configured callbacks, in the order in which they run.

    Raises:
        ValueError: if one of their values is out of range.
    """
    data, callbacks = experiment.data, []
    if data.progressive:
        from cv_attention.training.callbacks.resizing import ProgressiveSize

        callbacks.append(ProgressiveSize(data.progressive))
    if data.mixup or data.cutmix:
        from cv_attention.training.callbacks.mixing import Mixing

        callbacks.append(Mixing(data, num_classes, experiment.seed))
    if experiment.optimizer.ema is not None:
        from cv_attention.training.callbacks.averaging import MovingAverage

        callbacks.append(MovingAverage(experiment.optimizer.ema))
    return callbacks
