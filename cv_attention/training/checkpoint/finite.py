"""Rejects networks with non-finite weights, before anything is computed with them."""

from pathlib import Path
from typing import TypeVar

import torch

from cv_attention.training.checkpoint.checkpoints import name_of
from cv_attention.training.tasks.task import Task

AnyTask = TypeVar("AnyTask", bound=Task)


def require_finite(task: AnyTask, source: Path | Task) -> AnyTask:
    """Makes sure that all weights and buffers of a network are finite.

    Args:
        task: The task with its network.
        source: What it was loaded from, for the message.

    Returns:
        The task, as it is.

    Raises:
        ValueError: naming the first tensor with non-finite values, and their number.
    """
    wrong = [
        (name, int((~torch.isfinite(values)).sum()), values.numel())
        for name, values in task.network.state_dict().items()
        if values.is_floating_point() and not torch.isfinite(values).all()
    ]
    if wrong:
        name, bad, count = wrong[0]
        more = f" and in {len(wrong) - 1} more tensors" if len(wrong) > 1 else ""
        raise ValueError(
            f"{name_of(source)}: {bad} of {count} values of {name} are not finite (NaN or infinite){more}, so "
            "this network cannot be used; train it again, for example with a lower learning rate"
        )
    return task
