"""Checks the values of a configuration before anything is built. Imports no torch."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from cv_attention.config import SOURCES, Experiment

# Field -> the interval of its values; a round bracket leaves its end out. Null and texts (auto) pass.
BOUNDS = {
    "seed": "[0, 4294967295]",
    "data.batch_size": "[1, inf)",
    "data.workers": "[0, inf)",
    "data.cache": "[1, inf)",
    "data.bits": "[8, 16]",
    "data.val_fraction": "(0, 1)",
    "data.seed": "[0, inf)",
    "data.mixup": "[0, inf)",
    "data.cutmix": "[0, inf)",
    "data.fold": "[0, inf)",
    "data.subset.num_classes": "[2, inf)",
    "data.subset.per_class": "[1, inf)",
    "data.subset.fraction": "(0, 1]",
    "data.digits.train": "[10, inf)",
    "data.digits.val": "[10, inf)",
    "data.digits.test": "[10, inf)",
    "data.digits.digit": "[8, inf)",
    "data.digits.clutter": "[0, inf)",
    "data.digits.seed": "[0, inf)",
    "optimizer.lr": "(0, inf)",
    "optimizer.weight_decay": "[0, inf)",
    "optimizer.lr_scale.blocks": "[0, inf)",
    "optimizer.lr_scale.head": "[0, inf)",
    "optimizer.lr_scale.backbone": "[0, inf)",
    "optimizer.layer_decay": "(0, 1]",
    "optimizer.warmup_epochs": "[0, inf)",
    "optimizer.label_smoothing": "[0, 1)",
    "optimizer.ema": "(0, 1)",
    "trainer.max_epochs": "[1, inf)",
    "trainer.devices": "[1, inf)",
    "trainer.num_nodes": "[1, inf)",
    "trainer.accumulate_grad_batches": "[1, inf)",
    "trainer.gradient_clip_val": "(0, inf)",
    "log.every_n_steps": "[1, inf)",
    "log.maps_every": "[0, inf)",
    "log.probes": "[0, inf)",
    "log.curve_points": "[0, inf)",
    "log.checkpoint_every_minutes": "(0, inf)",
    "log.checkpoint_every_n_steps": "[1, inf)",
}

# Numbers that nobody means, and that would start as many processes or fill the memory.
MOST = {"data.workers": 1024, "trainer.max_epochs": 1_000_000}
_NUMBERS_OF_EXTRA = {f"limit_{split}_batches" for split in ("train", "val", "test", "predict")}
_NUMBERS_OF_EXTRA |= {"overfit_batches", "max_steps", "min_steps", "min_epochs", "check_val_every_n_epoch"}


def check_source(name: str) -> None:
    """Raises ValueError unless ``data.name`` is a data set of the package, or looks like a class path."""
    if name not in SOURCES and "." not in str(name):
        known = ", ".join(SOURCES)
        raise ValueError(f"data.name is {name!r}; there are {known}, and class paths of your own such as my_data.birds")


def check(experiment: Experiment) -> None:
    """Checks every value for itself, then those that must fit together.

    Raises:
        ValueError: naming the first invalid option, its value, and the accepted values.
    """
    check_bounds(experiment)
    data, log = experiment.data, experiment.log
    if data.fold and not data.split_file:
        raise ValueError(f"data.fold is {data.fold}, but it needs data.split_file; cv-attention folds writes one")
    check_statistics(data.mean, data.std)
    model = experiment.model
    if model.train == "head" and not (model.pretrained or model.weights):
        raise ValueError(
            "model.train is head, but the rest of the network is random: set model.pretrained or model.weights"
        )
    first, last = min(map(int, data.progressive), default=0), experiment.trainer.max_epochs
    if first >= last:  # later sizes alone may be out of reach: a recipe that is tried for an epoch
        raise ValueError(
            f"data.progressive begins with epoch {first}, which never comes: trainer.max_epochs is {last}, and epochs "
            "count from 0"
        )
    _check_extra(experiment.trainer.extra, last)
    if log.name is not None:
        name = Path(log.name)
        if name.is_absolute() or ".." in name.parts or not name.parts:
            raise ValueError(f"log.name must name a folder inside log.root ({log.root}), got {log.name!r}")


def _check_extra(extra: dict[str, Any], epochs: int) -> None:
    """Rejects non-numbers, and values that leave nothing to train, to choose from or to test."""
    for key in sorted(_NUMBERS_OF_EXTRA & extra.keys()):
        value = extra[key]
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise ValueError(f"trainer.extra: {key} must be a number, got {value!r}")
    for key, done in (("limit_train_batches", "trained"), ("max_steps", "trained"), ("limit_test_batches", "tested")):
        if key in extra and extra[key] == 0:
            raise ValueError(
                f"trainer.extra: {key} is {extra[key]}, so nothing would be {done}; take it out or raise it"
            )
    every = extra.get("check_val_every_n_epoch")
    if isinstance(every, int) and every > epochs:
        raise ValueError(
            f"trainer.extra: check_val_every_n_epoch is {every}, but trainer.max_epochs is {epochs}: no epoch would be "
            f"validated; give at most {epochs}, or limit_val_batches 0 to train without a validation"
        )


def check_statistics(mean: list[float] | None, std: list[float] | None) -> None:
    """Raises ValueError unless the mean and standard deviation of the images are null or three shares of 1 each."""
    for name, values, interval in (("mean", mean, "[0, 1]"), ("std", std, "(0, 1]")):
        if values is not None and (len(values) != 3 or not all(_inside(value, interval) for value in values)):
            raise ValueError(
                f"data.{name} must hold three numbers in {interval}, of red, green and blue, or be null, got {values}"
            )


def check_bounds(part: Any, prefix: str = "") -> None:
    """Checks the numbers of a part of the configuration against `BOUNDS`.

    Args:
        part: One of the configuration's dataclasses.
        prefix: Its place in the tree, such as ``data.``.

    Raises:
        ValueError: naming the first option that is out of its bounds.
    """
    for field in fields(part):
        name, value = prefix + field.name, getattr(part, field.name)
        if is_dataclass(value):
            check_bounds(value, f"{name}.")
        elif value is None and type(None) not in get_args(field.type):
            raise ValueError(f"{name} must not be null")
        elif name in BOUNDS and isinstance(value, int | float) and not _inside(value, BOUNDS[name]):
            null = " or null" if type(None) in get_args(field.type) else ""
            raise ValueError(f"{name} must be {_words(BOUNDS[name])}{null}, got {value}")
        elif name in MOST and value is not None and value > MOST[name]:
            raise ValueError(f"{name} must be at most {MOST[name]:,}, got {value}")


def _inside(value: float, interval: str) -> bool:
    low, high = _ends(interval)
    above = value >= float(low) if interval[0] == "[" else value > float(low)
    return above and (value <= float(high) if interval[-1] == "]" else value < float(high))


def _words(interval: str) -> str:
    low, high = _ends(interval)
    if high == "inf":
        return f"{'at least' if interval[0] == '[' else 'above'} {low}"
    return f"in {interval}"


def _ends(interval: str) -> list[str]:
    return interval[1:-1].split(", ")
