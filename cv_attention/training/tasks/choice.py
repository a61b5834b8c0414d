"""Chooses the task that a configuration or a checkpoint is of."""

from typing import Any

from cv_attention.config import Experiment
from cv_attention.training.tasks.bags import BagClassifier
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.tasks.task import Task

_BY_NAME: dict[str, type[Task]] = {task.name: task for task in (Classifier, BagClassifier)}


def task_of(experiment: Experiment) -> type[Task]:
    """Returns the class of the task that suits a configuration's data.

    Args:
        experiment: The configuration.

    Returns:
        `BagClassifier` for bags, else `Classifier`.

    Examples:
        >>> from cv_attention import config, training
        >>> training.task_of(config.Experiment(data=config.Data(name="digit_bags"))).name
        'bags'
    """
    return BagClassifier if experiment.data.name in ("bags", "digit_bags") else Classifier


def task_named(name: Any) -> type[Task]:
    """Returns the package's task of that name; `Classifier` where it is none of them, which then refuses the file."""
    return _BY_NAME.get(name, Classifier)
