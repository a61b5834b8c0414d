"""Opens the images that a trained network is tested or explained on."""

from typing import Any

from cv_attention import data
from cv_attention.suggest import suggest
from cv_attention.training.tasks.task import Task

_SPLITS = ("train", "val", "test")


def open_data(task: Task, root: str | None, split: str) -> Any:
    """Opens the data set of a trained network, to test or explain the network on it.

    Args:
        task: The task with its trained network.
        root: Location of the data set, if it has moved since training; None takes that of training.
        split: The split that is needed: ``train``, ``val`` or ``test``.

    Returns:
        A data module with `splits`.

    Raises:
        FileNotFoundError: if the data set is missing.
        ValueError: if the split is unknown, or the images do not suit the network, such as those of other classes
            than it knows.
    """
    if split not in _SPLITS:
        raise ValueError(f"unknown split {split!r}{suggest(split, _SPLITS)}")
    config = task.experiment.data
    config.root = root or config.root
    opened = task.open_split(split)
    if opened is not None:
        return opened
    datamodule = data.create(config, seed=task.experiment.seed)
    datamodule.prepare_data()
    datamodule.setup()
    task.check_data(datamodule, task.facts)
    return datamodule
