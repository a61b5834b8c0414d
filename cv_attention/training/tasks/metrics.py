"""Creates the metrics of a classifier: accuracies, the loss, and those of ``log.metrics``."""

import inspect
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from cv_attention.blocks.importing import import_object
from cv_attention.training.tasks.labels.losses import Targets
from cv_attention.training.tasks.labels.named_metrics import USUAL, named_metric

_TAKEN = {
    "single": "logits (B, {0}) and labels (B,)",
    "multi": "probabilities (B, {0}) and labels (B, {0}) of 0 and 1",
}
_EXAMPLE = "torchmetrics.classification.MulticlassF1Score"


def create_metrics(
    classes: int, further: Sequence[str | dict[str, Any]], dtype: torch.dtype, targets: Targets = "single"
) -> nn.ModuleDict:
    """Creates the metrics of the splits ``val`` and ``test``.

    Args:
        classes: Number of classes.
        further: Short names, see `named_metric`; class paths of `torchmetrics.Metric`, or ``{class_path: ...,
            init_args: {...}}``; ``num_classes`` or ``num_labels`` is given to those that take it. Each of these is
            called like its class, in lower case: ``multiclass_f1_score``.
        dtype: Of the sums.
        targets: ``single``: the metrics take logits (B, classes) and labels (B,). ``multi``: they take probabilities
            (B, classes) and whether an image has each class (B, classes).

    Raises:
        ValueError: if one cannot be imported or created, or has the name of another one.
    """
    metrics = _of_classes(classes) if targets == "single" else _of_labels(classes)
    metrics["loss"] = MeanMetric(nan_strategy="disable")
    for spec in further:
        if isinstance(spec, str) and "." not in spec:
            if spec not in metrics:  # some are there anyway
                metrics[spec] = named_metric(spec, classes, targets)
            continue
        metric = _create(spec, classes, targets)
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(metric).__name__).lower()
        if name in metrics:
            raise ValueError(f"log.metrics has two metrics that are called {name}")
        metrics[name] = metric
    collection = MetricCollection(dict(metrics))
    collection.set_dtype(dtype)
    return nn.ModuleDict({split: collection.clone(prefix=f"{split}_") for split in ("val", "test")})


def _of_classes(classes: int) -> dict[str, Metric]:
    metrics: dict[str, Metric] = {"accuracy": MulticlassAccuracy(classes, average="micro")}
    if classes > 5:
        metrics["accuracy_top5"] = MulticlassAccuracy(classes, average="micro", top_k=5)
    return metrics


def _of_labels(classes: int) -> dict[str, Metric]:
    return {name: named_metric(name, classes, "multi") for name in USUAL}


def _create(spec: str | dict[str, Any], classes: int, targets: Targets) -> Metric:
    mapping: Any = {"class_path": spec} if isinstance(spec, str) else spec
    if not isinstance(mapping, dict) or "class_path" not in mapping or mapping.keys() - {"class_path", "init_args"}:
        raise ValueError(f"log.metrics: an entry is a class path or {{class_path: ..., init_args: ...}}, got {spec!r}")
    path = mapping["class_path"]
    options = mapping.get("init_args") or {}
    if not isinstance(options, Mapping):
        raise ValueError(f"log.metrics: init_args of {path} must be a mapping of options, got {options!r}")
    options = dict(options)
    kind = import_object(path, "log.metrics", "metric", _is_metric, _EXAMPLE)
    if (count := {"single": "num_classes", "multi": "num_labels"}[targets]) in inspect.signature(kind).parameters:
        options.setdefault(count, classes)
    try:
        metric = kind(**options)
    except Exception as error:  # of somebody else's class
        raise ValueError(f"log.metrics: {path} cannot be created with {options}: {_words(error)}") from error
    _try(metric, path, classes, targets)
    return metric


def _try(metric: Metric, path: str, classes: int, targets: Targets) -> None:
    """Computes a metric of made-up logits, one image of each class; raises ValueError unless that gives a number."""
    logits = torch.eye(classes)
    labels = torch.arange(classes) if targets == "single" else torch.eye(classes, dtype=torch.int64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric.update(logits, labels)
            value = metric.compute()
            metric.reset()
    except Exception as error:
        raise ValueError(f"log.metrics: {path} must take {_TAKEN[targets].format(classes)}: {_words(error)}") from error
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise ValueError(f"log.metrics: {path} must compute a tensor with one number, got {got}")


def _words(error: Exception) -> str:
    return f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _is_metric(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Metric)
