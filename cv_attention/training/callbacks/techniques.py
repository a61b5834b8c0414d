"""Creates the callbacks of training techniques: mixing, averaging and progressive resizing."""

from lightning.pytorch.callbacks import Callback

from cv_attention.training.tasks.task import Task


def techniques(task: Task) -> list[Callback]:
    """Returns the callbacks that the task's configuration asks for, in the order in which they work.

    Raises:
        ValueError: if one of their values is out of range.
    """
    callbacks: list[Callback] = []
    if sizes := task.experiment.data.progressive:
        from cv_attention.training.callbacks.resizing import ProgressiveSize

        callbacks.append(ProgressiveSize(sizes))
    callbacks += task.techniques()
    if (decay := task.experiment.optimizer.ema) is not None:
        from cv_attention.training.callbacks.averaging import MovingAverage

        callbacks.append(MovingAverage(decay))
    return callbacks
