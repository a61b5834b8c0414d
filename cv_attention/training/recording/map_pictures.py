"""Draws the probe images with their maps for wandb and TensorBoard."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from cv_attention.drawing import overlay


@dataclass(frozen=True)
class MapPictures:
    """Holds the pictures of one epoch.

    Attributes:
        epoch: Its index.
        images: The probe images (N, H, W, 3) uint8.
        maps: Title -> raw heatmaps (N, h, w).
        labels: Names of the true classes.
        predictions: Names of the predicted classes.
        probabilities: Probabilities of the predicted classes.
    """

    epoch: int
    images: np.ndarray
    maps: Mapping[str, np.ndarray]
    labels: Sequence[str]
    predictions: Sequence[str]
    probabilities: Sequence[float]

    def drawn(self) -> dict[str, list[np.ndarray]]:
        """Returns title -> each image under its map, (H, W, 3) uint8."""
        return {
            title: [overlay(image, heat) for image, heat in zip(self.images, heats, strict=True)]
            for title, heats in self.maps.items()
        }


def send(pictures: MapPictures, loggers: Sequence[Logger], step: int) -> None:
    """Logs the pictures to every logger that supports them.

    wandb gets each column as a list of images with captions, and ``maps/table``: one row per image, with its class,
    its prediction and all its maps; a query over the history of the run shows all epochs in one table. TensorBoard gets
    each column as images by step.
    """
    wanted = [logger for logger in loggers if isinstance(logger, WandbLogger | TensorBoardLogger)]
    if not wanted:
        return
    drawn = pictures.drawn()
    for logger in wanted:
        if isinstance(logger, WandbLogger):
            _to_wandb(logger, pictures, drawn)
        else:
            _to_tensorboard(logger.experiment, pictures, drawn, step)


def _to_wandb(logger: WandbLogger, pictures: MapPictures, drawn: Mapping[str, list[np.ndarray]]) -> None:
    import wandb

    captions = [
        f"{label}, predicted {guess}" for label, guess in zip(pictures.labels, pictures.predictions, strict=True)
    ]
    for title, images in drawn.items():
        logger.log_image(f"maps/{title}", images, caption=captions)
    rows: list[list[Any]] = []
    for i, image in enumerate(pictures.images):
        about = [pictures.epoch, pictures.labels[i], pictures.predictions[i], round(pictures.probabilities[i], 4)]
        rows.append([*about, wandb.Image(image), *(wandb.Image(images[i]) for images in drawn.values())])
    with _staged_in(Path(logger.save_dir or ".") / "wandb"):
        logger.log_table("maps/table", ["epoch", "class", "prediction", "probability", "image", *drawn], rows)


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Lets wandb stage a table's files next to the run's; by default they are below the home folder until uploaded."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = before or str(folder.resolve())
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]


def _to_tensorboard(writer: Any, pictures: MapPictures, drawn: Mapping[str, list[np.ndarray]], step: int) -> None:
    writer.add_images("maps/image", pictures.images, step, dataformats="NHWC")
    for title, images in drawn.items():
        writer.add_images(f"maps/{title}", np.stack(images), step, dataformats="NHWC")
