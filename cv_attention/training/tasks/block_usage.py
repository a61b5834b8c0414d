"""Measures how much the inserted blocks of a trained network do."""

from typing import Any

from cv_attention.maps import Usage, usage

_MOST_IMAGES = 128  # two forwards of each


def block_usage(task: Any, datamodule: Any) -> Usage | None:
    """Measures how much the inserted blocks do, on up to 128 images spread evenly over the validation split.

    Args:
        task: The task with its trained network.
        datamodule: The data, set up.

    Returns:
        See `maps.usage`; None without blocks.
    """
    if task.plan is None:
        return None
    split = datamodule.splits["val"]
    chosen = range(0, len(split), -(-len(split) // _MOST_IMAGES))
    parts = (chosen[start : start + 32] for start in range(0, len(chosen), 32))
    batches = (split.batch([(0, index) for index in part])["image"].to(task.device) for part in parts)
    return usage(task.network, (task.normalise(batch) for batch in batches))
