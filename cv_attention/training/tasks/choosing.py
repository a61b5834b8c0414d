"""Chooses the task that a configuration asks for, or that a checkpoint was trained for."""

from typing import Any

from cv_attention.config import TEXT_SOURCES, Experiment
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.tasks.reading.transcriber import Transcriber
from cv_attention.training.tasks.task import Task

TASKS: dict[str, type[Task]] = {kind.name: kind for kind in (Classifier, Transcriber)}


def task_of(experiment: Experiment) -> type[Task]:
    """Returns the task that suits the data of a configuration: texts are read, classes are told apart."""
    return Transcriber if experiment.data.name in TEXT_SOURCES else Classifier


def task_named(name: Any) -> type[Task] | None:
    """Returns the task of this name; None if it is none of the package's."""
    return TASKS.get(name) if isinstance(name, str) else None
