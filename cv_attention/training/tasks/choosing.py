"""Chooses the task that a configuration asks for, or that a checkpoint was trained for."""

from typing import Any

from cv_attention.config import BAG_SOURCES, TEXT_SOURCES, Experiment
from cv_attention.training.tasks.bags import BagClassifier
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.tasks.labels.multi_label import MultiLabelClassifier
from cv_attention.training.tasks.reading.transcriber import Transcriber
from cv_attention.training.tasks.recall.recaller import Recaller
from cv_attention.training.tasks.task import Task
from cv_attention.training.tasks.values.regressor import Regressor

_KINDS = (Classifier, MultiLabelClassifier, Regressor, BagClassifier, Transcriber, Recaller)
TASKS: dict[str, type[Task]] = {kind.name: kind for kind in _KINDS}


def task_of(experiment: Experiment) -> type[Task]:
    """Returns the class of the task that suits a configuration's data.

    Args:
        experiment: The configuration.

    Returns:
        `Transcriber` for images with texts, `Recaller` for episodes, `BagClassifier` for bags,
        `MultiLabelClassifier` for several classes per image, `Regressor` for numbers, else `Classifier`.

    Examples:
        >>> from cv_attention import config, training
        >>> training.task_of(config.Experiment(data=config.Data(name="digit_bags"))).name
        'bags'
    """
    name = experiment.data.name
    if name in TEXT_SOURCES:
        return Transcriber
    if name == "episodes":
        return Recaller
    if name in BAG_SOURCES:
        return BagClassifier
    kinds: dict[str, type[Task]] = {"single": Classifier, "multi": MultiLabelClassifier, "numbers": Regressor}
    return kinds[experiment.data.targets]


def task_named(name: Any) -> type[Task] | None:
    """Returns the package's task of this name; None if it is none of them."""
    return TASKS.get(name) if isinstance(name, str) else None
