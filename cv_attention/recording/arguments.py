"""Checks the arguments of a recorder."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention.checks import check_module
from cv_attention.extras import require_for
from cv_attention.maps.wrappers import unwrap
from cv_attention.rundir.contents import Box
from cv_attention.saliency.catalogue import method_name, resolve


def check_labels(labels: Any, count: int, class_names: Sequence[str] | None) -> Tensor:
    """Returns true classes (count), int64, with -1 for None.

    Raises:
        ValueError: if they are not as many as the images, not whole numbers from 0 on, or beyond the class names.
    """
    if labels is None:
        return torch.full((count,), -1)
    given = _listed("labels", labels, count, "class")
    known = [label for label in given if label is not None]
    wrong = [label for label in known if not _is_class(label)]
    if wrong:
        raise ValueError(f"labels must be indices of classes from 0 on, or None where unknown, got {wrong[0]!r}")
    if class_names is not None and known and max(known) >= len(class_names):
        raise ValueError(f"labels has class {max(known)}, but class_names has {len(class_names)} names")
    return torch.tensor([-1 if label is None else int(label) for label in given])


def check_label_rows(labels: Any, count: int, class_names: Sequence[str] | None) -> Tensor:
    """Returns which classes each image has, bool (count, C).

    Raises:
        ValueError: if the rows are not as many as the images, not of 0 and 1, or not as long as the class names.
    """
    rows = torch.as_tensor(labels).cpu() if isinstance(labels, Tensor | np.ndarray) else torch.empty(0)
    if rows.ndim != 2 or len(rows) != count or (class_names is not None and rows.shape[1] != len(class_names)):
        wanted = f"({count}, {'C' if class_names is None else len(class_names)})"
        got = tuple(labels.shape) if isinstance(labels, Tensor | np.ndarray) else f"a {type(labels).__name__}"
        raise ValueError(f"labels of several classes per image must be a tensor or array {wanted}, got {got}")
    if not bool(((rows == 0) | (rows == 1)).all()):
        raise ValueError("labels of several classes per image must be 0 or 1")
    return rows.bool()


def check_classes(classes: int, names: Sequence[str], labels: Tensor, label_rows: Tensor | None) -> None:
    """Raises ValueError unless names and labels fit the number of logits that a model gives."""
    if len(names) != classes:
        raise ValueError(f"class_names has {len(names)} names, but the model gives {classes} logits")
    if label_rows is not None and label_rows.shape[1] != classes:
        raise ValueError(f"labels have {label_rows.shape[1]} classes, but the model gives {classes} logits")
    if int(labels.max()) >= classes:
        raise ValueError(f"labels has class {int(labels.max())}, but the model gives {classes} logits")


def _listed(what: str, values: Any, count: int, entry: str = "entry") -> list[Any]:
    """Returns an argument with one entry for each image as a list."""
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise ValueError(f"{what} must be a list with one {entry} for each of the {count} images, got {values!r:.60}")
    if len(values) != count:
        raise ValueError(f"{what} must have one {entry} for each of the {count} images, got {len(values)}")
    return values.tolist() if isinstance(values, Tensor | np.ndarray) else list(values)


def _is_class(label: Any) -> bool:
    number = isinstance(label, int | float | np.number | Tensor) and not isinstance(label, bool)
    return bool(number and math.isfinite(label) and label == int(label) and label >= 0)


def check_class_names(names: Any) -> tuple[str, ...] | None:
    """Returns the names of the classes in the order of the logits; a mapping is taken from index to name.

    Raises:
        ValueError: if they are a single text, or a mapping whose keys are not 0, 1, 2, ...
    """
    if isinstance(names, str):
        raise ValueError(f"class_names must be a list of names, got the text {names!r}")
    if isinstance(names, Mapping):
        by_index = {str(key): name for key, name in names.items()}
        if by_index.keys() != {str(number) for number in range(len(by_index))}:
            raise ValueError(
                f"class_names must be in the order of the logits, or map 0, 1, 2, ... to names: {names!r:.60}"
            )
        names = [by_index[str(number)] for number in range(len(by_index))]
    return None if names is None else tuple(str(name) for name in names)


def check_names(names: Any, count: int) -> list[str | None]:
    """Returns the names of images as text; ValueError where they are not as many as the images."""
    shown = (os.fspath(name) if isinstance(name, os.PathLike) else name for name in _listed("names", names, count))
    return [None if name is None else str(name) for name in shown]


def check_boxes(boxes: Any, count: int) -> list[Box | None]:
    """Returns the boxes of images, None where there is none; ValueError where they are wrong or too few."""
    if boxes is None:
        return [None] * count
    return [None if box is None else _box(box) for box in _listed("boxes", boxes, count)]


def check_methods(methods: Any) -> dict[str, Callable[..., Tensor]]:
    """Returns saliency methods by their short names.

    Raises:
        ValueError: if one is unknown, needs a package that is not installed, or has the name of another one.
    """
    found: dict[str, Callable[..., Tensor]] = {}
    listed: Sequence[Any] = [methods] if isinstance(methods, str) or callable(methods) else methods or ()
    for method in listed:
        name = method_name(method)
        if name in found:
            raise ValueError(f"methods has two that are called {name}; give one of them another __name__")
        found[name] = resolve(method)
        require_for(name)
    return found


def check_curves(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Returns an epoch's metrics as floats; raises ValueError if one is not a number, or belongs to the test split."""
    for name in metrics:
        if name.startswith("test"):
            raise ValueError(f"metric {name}: results on a test split do not form a curve; give them to Recorder.test")
    return check_metrics(metrics)


def check_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Returns metrics as floats; NaN and infinity are kept in the file, and left out of the curve.

    Raises:
        ValueError: if one is not a single number.
    """
    found = {}
    for name, value in metrics.items():
        try:
            found[name] = float(value.detach() if isinstance(value, Tensor) else value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"metric {name} must be a number, got {value!r:.60}") from error
    return found


def bare(model: nn.Module) -> nn.Module:
    """Returns a model without wrappers: DistributedDataParallel would wait for processes that do not log.

    Raises:
        ValueError: if it is not a module.
    """
    check_module(model)
    return unwrap(model)


def check_epoch(epoch: Any) -> int:
    """Returns the index of an epoch; raises ValueError unless it is a whole number from -1 on."""
    found = _whole(epoch)
    if found is None or found < -1:
        raise ValueError(f"epoch must be a whole number from 0 on, or -1 before training, got {epoch!r}")
    return found


def check_step(step: Any) -> int | None:
    """Returns a number of steps; raises ValueError unless it is a whole number or None."""
    found = _whole(step)
    if found is None and step is not None:
        raise ValueError(f"step must be a whole number, or None where unknown, got {step!r:.60}")
    return found


def check_count(what: str, count: Any) -> int:
    """Returns a number of things; raises ValueError unless it is a whole number from 1 on."""
    found = _whole(count)
    if found is None or found < 1:
        raise ValueError(f"{what} must be a whole number from 1 on, got {count!r:.60}")
    return found


def _whole(number: Any) -> int | None:
    try:
        return None if isinstance(number, bool) else index(number)
    except TypeError:
        return None


def _box(box: Any) -> Box:
    try:
        values = [float(value) for value in box]
    except (TypeError, ValueError):
        values = []
    ordered = len(values) == 4 and values[0] <= values[2] and values[1] <= values[3]
    if not ordered or not all(map(math.isfinite, values)):
        raise ValueError(f"a box must be (x0, y0, x1, y1) in pixels with x0 <= x1 and y0 <= y1, got {box!r:.60}")
    return values[0], values[1], values[2], values[3]
