"""Checks the arguments of a recorder."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cv_attention.extras import require_for
from cv_attention.rundir.contents import Box
from cv_attention.saliency.catalogue import method_name, resolve


def check_labels(labels: Any, count: int, class_names: Sequence[str] | None) -> Tensor:
    """Returns true classes (count), int64, with -1 for None.

    Raises:
        ValueError: if they are not as many as the images, not whole numbers from 0 on, or beyond the class names.
    """
    if labels is None:
        return torch.full((count,), -1)
    classes = labels.tolist() if isinstance(labels, Tensor | np.ndarray) else list(labels)
    if len(classes) != count:
        raise ValueError(f"labels must have one class for each of the {count} images, got {len(classes)}")
    known = [label for label in classes if label is not None]
    wrong = [label for label in known if isinstance(label, bool) or label != int(label) or label < 0]
    if wrong:
        raise ValueError(f"labels must be indices of classes from 0 on, or None where unknown, got {wrong[0]!r}")
    if class_names is not None and known and max(known) >= len(class_names):
        raise ValueError(f"labels has class {max(known)}, but class_names has {len(class_names)} names")
    return torch.tensor([-1 if label is None else int(label) for label in classes])


def check_methods(methods: Any) -> dict[str, Callable[..., Tensor]]:
    """Returns saliency methods by their short names.

    Raises:
        ValueError: if one is unknown, needs a package that is not installed, or has the name of another one.
    """
    by_name: dict[str, Callable[..., Tensor]] = {}
    listed: Sequence[Any] = [methods] if isinstance(methods, str) or callable(methods) else methods
    for method in listed:
        name = method_name(method)
        if name in by_name:
            raise ValueError(f"methods has two that are called {name}")
        by_name[name] = resolve(method)
        require_for(name)
    return by_name


def check_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Returns metrics as floats; NaN and infinity are kept, and leave a gap in the curve.

    Raises:
        ValueError: if one is not a single number, or has a name of its own meaning.
    """
    numbers = {}
    for name, value in metrics.items():
        if name.startswith("test"):
            raise ValueError(f"metric {name}: results on a test split do not form a curve; give them to Recorder.test")
        try:
            numbers[name] = float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"metric {name} must be a number, got {value!r:.60}") from error
    return numbers


def check_epoch(epoch: int) -> None:
    """Raises ValueError unless `epoch` is a whole number from -1 on."""
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < -1:
        raise ValueError(f"epoch must be a whole number from 0 on, or -1 before training, got {epoch!r}")


def check_box(box: Any) -> Box:
    """Returns a box as four floats.

    Raises:
        ValueError: if it is not (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1.
    """
    values = [float(value) for value in box]
    ordered = len(values) == 4 and values[0] <= values[2] and values[1] <= values[3]
    if not ordered or not all(map(math.isfinite, values)):
        raise ValueError(f"a box must be (x0, y0, x1, y1) in pixels with x0 <= x1 and y0 <= y1, got {tuple(box)}")
    return values[0], values[1], values[2], values[3]
