"""Checks tasks and data modules of one's own before training: what they lack would show after it, or obscurely."""

from typing import Any

import lightning

from cv_attention.data.module import DataModule
from cv_attention.training.tasks.selection import Criterion
from cv_attention.training.tasks.task import Task

_STEPS = ("training_step", "validation_step", "test_step")
_SPLITS = ("train", "val", "test")


def check_task(task: Any) -> None:
    """Raises ValueError unless `task` is a class of tasks with a name, a criterion and three steps."""
    if not isinstance(task, type) or not issubclass(task, Task):
        raise ValueError(f"task must be a class that derives from Task, got {task!r:.60}")
    name, criterion = getattr(task, "name", None), getattr(task, "criterion", None)
    if not isinstance(name, str) or not name:
        raise ValueError(f"{task.__name__}.name must be a text, such as 'regression', got {name!r:.60}")
    if not isinstance(criterion, Criterion):
        raise ValueError(f"{task.__name__}.criterion must be like Criterion('accuracy'), got {criterion!r:.60}")
    base = lightning.LightningModule
    if missing := [step for step in _STEPS if getattr(task, step) is getattr(base, step)]:
        raise ValueError(f"{task.__name__} must implement {', '.join(missing)}")


def check_kind(datamodule: Any) -> None:
    """Raises ValueError unless `datamodule` is a `DataModule`, not a class of them."""
    if not isinstance(datamodule, DataModule):
        got = f"the class {datamodule.__name__}" if isinstance(datamodule, type) else f"a {type(datamodule).__name__}"
        raise ValueError(
            f"datamodule must be an instance of a class that derives from cv_attention.data.DataModule, got {got}"
        )


def check_data(datamodule: Any, splits: tuple[str, ...] = _SPLITS) -> None:
    """Raises ValueError unless a data module that is set up has what a training run asks of it.

    Args:
        datamodule: The data module.
        splits: The splits that are needed.
    """
    kind = type(datamodule).__name__
    if missing := [split for split in splits if split not in datamodule.splits]:
        raise ValueError(f"{kind}.setup must set the splits {', '.join(splits)}; it lacks {', '.join(missing)}")
    for name in splits:
        split, needed = datamodule.splits[name], ["resident", "batch", "__len__"]
        if not getattr(split, "resident", True):
            needed.append("__getitems__")
        if lacking := [part for part in needed if not hasattr(split, part)]:
            what = f"{kind}: the split {name}, a {type(split).__name__}"
            raise ValueError(f"{what}, lacks {', '.join(lacking)}; see cv_attention.data.module.Split")
    for attribute, length in (("mean", 3), ("std", 3), ("image_size", 2)):
        value = getattr(datamodule, attribute, None)
        if value is None or len(value) != length:
            raise ValueError(f"{kind}.setup must set {attribute} to {length} numbers, got {value!r:.60}")
