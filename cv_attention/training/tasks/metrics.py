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

_EXAMPLE = "torchmetrics.classification.MulticlassF1Score"


def create_metrics(classes: int, further: Sequence[str | dict[str, Any]], dtype: torch.dtype) -> nn.ModuleDict:
    """Creates the metrics of the splits ``val`` and ``test``.

    Args:
        classes: Number of classes.
        further: Class paths of `torchmetrics.Metric`, or ``{class_path: ..., init_args: {...}}``; ``num_classes`` is
            given to those that take it. Each is called like its class, in lower case: ``multiclass_f1_score``.
        dtype: Of the sums.

    Raises:
        ValueError: if one cannot be imported or created, or has the name of another one.
    """
    metrics: dict[str, Metric] = {"accuracy": MulticlassAccuracy(classes, average="micro")}
    if classes > 5:
        metrics["accuracy_top5"] = MulticlassAccuracy(classes, average="micro", top_k=5)
    metrics["loss"] = MeanMetric(nan_strategy="disable")
    for spec in further:
        metric = _create(spec, classes)
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(metric).__name__).lower()
        if name in metrics:
            raise ValueError(f"log.metrics has two metrics that are called {name}")
        metrics[name] = metric
    collection = MetricCollection(dict(metrics))
    collection.set_dtype(dtype)
    return nn.ModuleDict({split: collection.clone(prefix=f"{split}_") for split in ("val", "test")})


def _create(spec: str | dict[str, Any], classes: int) -> Metric:
    mapping: Any = {"class_path": spec} if isinstance(spec, str) else spec
    if not isinstance(mapping, dict) or "class_path" not in mapping or mapping.keys() - {"class_path", "init_args"}:
        raise ValueError(f"log.metrics: an entry is a class path or {{class_path: ..., init_args: ...}}, got {spec!r}")
    path = mapping["class_path"]
    options = mapping.get("init_args") or {}
    if not isinstance(options, Mapping):
        raise ValueError(f"log.metrics: init_args of {path} must be a mapping of options, got {options!r}")
    options = dict(options)
    kind = import_object(path, "log.metrics", "metric", _is_metric, _EXAMPLE)
    if "num_classes" in inspect.signature(kind).parameters:
        options.setdefault("num_classes", classes)
    try:
        metric = kind(**options)
    except Exception as error:  # of somebody else's class
        raise ValueError(f"log.metrics: {path} cannot be created with {options}: {_words(error)}") from error
    _try(metric, path, classes)
    return metric


def _try(metric: Metric, path: str, classes: int) -> None:
    """Computes a metric of made-up logits, one image of each class; raises ValueError unless that gives a number."""
    logits, labels = torch.eye(classes), torch.arange(classes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric.update(logits, labels)
            value = metric.compute()
            metric.reset()
    except Exception as error:
        raise ValueError(
            f"log.metrics: {path} must take logits (B, {classes}) and labels (B,): {_words(error)}"
        ) from error
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise ValueError(f"log.metrics: {path} must compute a tensor with one number, got {got}")


def _words(error: Exception) -> str:
    return f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _is_metric(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Metric)
