"""Opens the images that a trained network is tested or explained on."""

from typing import Any

from cv_attention import data
from cv_attention.suggest import suggest
from cv_attention.training.tasks.task import Task

_SPLITS = ("train", "val", "test")


def open_data(task: Task, root: str | None, split: str) -> Any:
    """Opens the images that a network is tested or explained on, as a data module with `splits`.

    Args:
        task: The task with its trained network.
        root: Where the data set lies now; None where it lay in training.
        split: The split that is wanted: ``train``, ``val`` or ``test``.

    Raises:
        FileNotFoundError: if the data set is missing.
        ValueError: if there is no such split, or the images do not suit the network, such as those of other classes
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
