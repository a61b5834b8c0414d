"""Checks a whole configuration before anything is built: each value by itself, then those that must fit together."""

from pathlib import Path
from typing import Any

from cv_attention.config.bounds import check_bounds, contains
from cv_attention.config.data import SOURCES, TARGET_SOURCES, TORCHVISION, Data, is_source
from cv_attention.config.experiment import Experiment
from cv_attention.config.log import Log
from cv_attention.config.loss import Loss
from cv_attention.config.model import Model
from cv_attention.suggest import suggest

_NUMBERS_OF_EXTRA = {f"limit_{split}_batches" for split in ("train", "val", "test", "predict")}
_NUMBERS_OF_EXTRA |= {"overfit_batches", "max_steps", "min_steps", "min_epochs", "check_val_every_n_epoch"}
# Options of the loss, and the losses that use them.
_USED_BY = {
    "class_weights": ("cross_entropy", "bce", "focal"),
    "target_threshold": ("bce",),
    "sum_classes": ("bce", "focal"),
    "focal_gamma": ("focal",),
    "focal_alpha": ("focal",),
}


def check(experiment: Experiment) -> None:
    """Checks every value by itself, then those that must fit together.

    Raises:
        ValueError: naming the first option that is wrong, its value, and the accepted ones.
    """
    check_bounds(experiment)
    _check_data(experiment.data)
    _check_loss(experiment)
    _check_model(experiment.model)
    _check_progressive(experiment.data.progressive, experiment.trainer.max_epochs)
    _check_extra(experiment.trainer.extra, experiment.trainer.max_epochs)
    _check_log(experiment.log)


# Data sets of images with one class each, known by these names.
_OF_TORCHVISION = (
    "Caltech101", "Caltech256", "Country211", "DTD", "EMNIST", "EuroSAT", "FashionMNIST", "FER2013", "FGVCAircraft",
    "Flowers102", "Food101", "GTSRB", "Imagenette", "KMNIST", "MNIST", "OxfordIIITPet", "PCAM", "Places365", "QMNIST",
    "RenderedSST2", "StanfordCars", "STL10", "SUN397", "SVHN", "USPS",
)  # fmt: skip


def check_source(name: str) -> None:
    """Raises ValueError unless ``data.name`` is a data set of the package, or looks like a class path."""
    if not is_source(str(name)) and "." not in str(name):
        known = ", ".join((*SOURCES, f"{TORCHVISION}NAME"))
        theirs = next((each for each in _OF_TORCHVISION if each.lower() == str(name).lower().replace("-", "")), None)
        near = f"; did you mean '{TORCHVISION}{theirs}'?" if theirs else suggest(name, SOURCES, shown=0)
        raise ValueError(f"data.name must be one of {known}, or a class path such as my_data.birds, got {name!r}{near}")


def check_statistics(mean: list[float] | None, std: list[float] | None) -> None:
    """Raises ValueError unless the mean is null or three numbers in [0, 1], and the standard deviation in (0, 1]."""
    for name, values, interval in (("mean", mean, "[0, 1]"), ("std", std, "(0, 1]")):
        if values is not None and (len(values) != 3 or not all(contains(interval, value) for value in values)):
            raise ValueError(
                f"data.{name} must hold three numbers in {interval}, of red, green and blue, or be null, got {values}"
            )


def _check_data(data: Data) -> None:
    if data.fold and not data.split_file:
        raise ValueError(f"data.fold is {data.fold}, but it needs data.split_file; cv-attention folds writes one")
    check_statistics(data.mean, data.std)
    check_targets(data)


def check_targets(data: Data) -> None:
    """Raises ValueError if several classes or numbers per image are asked of a data set that has one class for each."""
    if data.targets == "single":
        return
    if is_source(data.name) and data.name not in TARGET_SOURCES:
        raise ValueError(
            f"data.targets is {data.targets}, but data.name {data.name} gives each image one class; several come from "
            f"{', '.join(TARGET_SOURCES)}, or a function of your own"
        )
    if data.targets == "numbers" and data.name in ("coco", "voc"):
        raise ValueError(f"data.targets is numbers, but data.name {data.name} gives classes; use a table")
    for option, allowed in (("per_class", ()), ("classes", ("multi",)), ("num_classes", ("multi",))):
        value = getattr(data.subset, option)
        if value is not None and data.targets not in allowed:
            raise ValueError(
                f"data.subset.{option} is {value}, but with data.targets {data.targets} an image has not one class; "
                "data.subset.fraction takes a share of the images"
            )


def _check_loss(experiment: Experiment) -> None:
    name, targets = experiment.loss.name, experiment.data.targets
    of_numbers = name in ("mse", "l1", "huber")
    if name != "auto" and of_numbers != (targets == "numbers"):
        fitting = "mse, l1, huber" if targets == "numbers" else "cross_entropy, bce, focal"
        raise ValueError(f"loss.name is {name}, but data.targets is {targets}: use auto, {fitting}")
    if name == "cross_entropy" and targets == "multi":
        raise ValueError("loss.name is cross_entropy, which knows one class per image; with data.targets multi use bce")
    weights = experiment.loss.class_weights
    if isinstance(weights, dict) and (wrong := [w for w in weights.values() if not 0 < w < float("inf")]):
        raise ValueError(f"loss.class_weights must be above 0 and finite, got {wrong[0]}")
    effective = {"single": "cross_entropy", "multi": "bce", "numbers": "mse"}[targets] if name == "auto" else name
    default = Loss()
    for option, used in _USED_BY.items():
        value = getattr(experiment.loss, option)
        if value != getattr(default, option) and effective not in used:
            raise ValueError(f"loss.{option} is {value}, but the loss {effective} does not use it; leave it out")


def _check_model(model: Model) -> None:
    if model.train == "head" and not (model.pretrained or model.weights):
        raise ValueError(
            "model.train is head, but the rest of the network is random: set model.pretrained or model.weights"
        )


def _check_progressive(sizes: dict[int, int], epochs: int) -> None:
    """Refuses sizes of which not even the first is reached; later ones may be, as in a recipe tried for one epoch."""
    first = min(map(int, sizes), default=0)
    if first >= epochs:
        raise ValueError(
            f"data.progressive begins with epoch {first}, which never comes: trainer.max_epochs is {epochs}, and "
            "epochs count from 0"
        )


def _check_extra(extra: dict[str, Any], epochs: int) -> None:
    """Refuses values that are not numbers where one is needed, and those that leave nothing to train or to test."""
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


def _check_log(log: Log) -> None:
    if log.name is None:
        return
    name = Path(log.name)
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise ValueError(f"log.name must name a folder inside log.root ({log.root}), got {log.name!r}")
