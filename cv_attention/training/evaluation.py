"""Evaluates a trained network on the test split: accuracy, and where its saliency points."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import lightning
import torch

from cv_attention.maps import Usage, usage
from cv_attention.rundir.facts import DataFacts
from cv_attention.saliency import grad_cam
from cv_attention.saliency.metrics.pointing import pointing_game
from cv_attention.training.checkpoint import checkpoints
from cv_attention.training.devices.precision import resolve
from cv_attention.training.recording.predictions import Predictions
from cv_attention.training.splits import open_data
from cv_attention.training.stopping.ending import raising_keyboard_interrupt
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.trainer import quieten

_MOST_IMAGES = 128  # on which blocks are measured: two forwards of each


def evaluate(
    checkpoint: Path | Classifier,
    root: str | None = None,
    predictions: Path | None = None,
    trust: Collection[str] = (),
) -> dict[str, float]:
    """Evaluates a checkpoint, or a pretrained network, on the test split of its data set.

    Args:
        checkpoint: A checkpoint file, or what `open_pretrained` returned.
        root: Where the data set lies now, if not where it lay in training.
        predictions: File that every image's prediction is written to, see `Predictions`; None writes none.
        trust: Modules and classes that the checkpoint may name, such as ``my_block``; see `load`.

    Returns:
        The metrics, such as ``{"accuracy": 0.97, "loss": 0.11}``; with boxes also where Grad-CAM points.

    Raises:
        ValueError: if the data set's classes are not those that the network knows.
        FileNotFoundError: if the data set is missing.
    """
    classifier = checkpoints.load(checkpoint, trust)
    experiment = classifier.experiment
    datamodule = open_data(classifier, root, "test")
    quieten()
    trainer = lightning.Trainer(
        accelerator=experiment.trainer.accelerator,
        devices=1,
        precision=resolve(experiment.trainer.precision, experiment.trainer.accelerator),  # pyright: ignore[reportArgumentType]
        deterministic=experiment.trainer.deterministic,
        callbacks=[Predictions(predictions)] if predictions else [],
        logger=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        enable_model_summary=False,
    )
    with raising_keyboard_interrupt(lambda: " in the test"):
        [metrics] = trainer.test(classifier, datamodule=datamodule, verbose=False)
    return {
        **{name.removeprefix("test_"): value for name, value in metrics.items()},
        **point(classifier, datamodule),
    }


def point(classifier: Classifier, datamodule: Any) -> dict[str, float]:
    """Counts how often the maximum of Grad-CAM for the true class lies in the true box, on the test split.

    Returns:
        ``{"pointing": share of hits, "pointing_chance": share of hits of a random point}``, or nothing for a data set
        without boxes, or a network that Grad-CAM cannot explain.
    """
    split, hits, chance = datamodule.splits["test"], [], []
    if split.images.boxes is None:
        return {}
    for start in range(0, len(split), 128):  # all of them, also where several processes share the data module's batches
        batch = split.batch([(0, index) for index in range(start, min(start + 128, len(split)))])
        kept = (batch["box"] > 0).any(1)  # a crop may have lost the object
        images, boxes, labels = batch["image"][kept], batch["box"][kept], batch["label"][kept]
        try:
            heat = grad_cam(classifier.network, classifier.normalise(images), targets=labels)
        except ValueError:  # no feature maps
            return {}
        hits.append(pointing_game(heat, boxes))
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        chance.append(area / (images.shape[-1] * images.shape[-2]))
    return {
        "pointing": torch.cat(hits).double().mean().item(),
        "pointing_chance": torch.cat(chance).mean().item(),
    }


def in_use(classifier: Classifier, datamodule: Any) -> Usage | None:
    """Measures how much the inserted blocks do, on up to 128 images spread evenly over the validation split.

    Returns:
        What `maps.usage` found, or None without blocks.
    """
    if classifier.plan is None:
        return None
    split = datamodule.splits["val"]
    chosen = range(0, len(split), -(-len(split) // _MOST_IMAGES))
    parts = (chosen[start : start + 32] for start in range(0, len(chosen), 32))
    batches = (split.batch([(0, index) for index in part])["image"].to(classifier.device) for part in parts)
    return usage(classifier.network, (classifier.normalise(batch) for batch in batches))


def facts_of(datamodule: Any) -> DataFacts:
    """Gathers what a network must know of its data set, once the data module is set up."""
    return DataFacts(
        class_names=tuple(datamodule.class_names),
        mean=tuple(datamodule.mean),
        std=tuple(datamodule.std),
        image_size=tuple(datamodule.image_size),
    )
