"""Draws the probe images with their maps for wandb and TensorBoard."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from PIL import Image

from cv_attention.data.augmentation.regions import Region, region_of
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.drawing import joined, limits_of, overlay

DRAWN = (WandbLogger, TensorBoardLogger)  # loggers that show pictures
_MOST_SIDE = 1024  # pixels of a photograph: each is sent with every map in every recorded epoch


@dataclass(frozen=True)
class Photograph:
    """Holds a probe image in its original size.

    Attributes:
        pixels: (H, W, 3) uint8, at most 1,024 pixels wide and high.
        region: What the network sees of it, as `overlay` takes it.
    """

    pixels: np.ndarray
    region: Region


def photograph(pixels: np.ndarray, pipeline: Pipeline, seen: np.ndarray) -> Photograph:
    """Keeps an image as it was before the transforms, or what the network sees where that cannot be placed in it.

    Args:
        pixels: The image, uint8 (H, W, 3).
        pipeline: The transforms of the split.
        seen: What they leave of it, uint8 (H, W, 3).
    """
    own = Pipeline(pipeline.steps, pipeline.place, boxes=True)  # it is applied to marks too
    region = region_of(pixels, own, (seen.shape[0], seen.shape[1]))
    if region is None:
        return Photograph(seen, (0, 0, 1, 1))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((_MOST_SIDE, _MOST_SIDE))
    return Photograph(np.asarray(picture), region)


@dataclass(frozen=True)
class MapPictures:
    """Holds the pictures of one epoch.

    Attributes:
        epoch: Its index.
        images: The probe images (N, H, W, 3) uint8, as the network sees them.
        photographs: The same in their original sizes.
        maps: Title -> raw heatmaps (N, h, w).
        labels: Names of the true classes.
        predictions: Names of the predicted classes.
        probabilities: Probabilities of the predicted classes.
    """

    epoch: int
    images: np.ndarray
    photographs: Sequence[Photograph]
    maps: Mapping[str, np.ndarray]
    labels: Sequence[str]
    predictions: Sequence[str]
    probabilities: Sequence[float]

    def drawn(self) -> dict[str, list[np.ndarray]]:
        """Returns title -> each photograph under its map, (H, W, 3) uint8, with a title and a colour bar."""
        return {title: self._column(title, heats) for title, heats in self.maps.items()}

    def _column(self, title: str, heats: np.ndarray) -> list[np.ndarray]:
        signed = limits_of(heats).signed  # one colour table for all images of a map
        return [
            overlay(one.pixels, heat, region=one.region, signed=signed, title=f"{label}: {title}", bar=True)
            for one, label, heat in zip(self.photographs, self.labels, heats, strict=True)
        ]


def send(pictures: MapPictures, loggers: Sequence[Logger], step: int) -> None:
    """Logs the pictures to every logger that supports them.

    wandb gets each column as a list of images with captions, and ``maps/table``: one row per image, with its class,
    its prediction and all its maps; a query over the history of the run shows all epochs in one table. TensorBoard gets
    each column as images by step.
    """
    wanted = [logger for logger in loggers if isinstance(logger, DRAWN)]
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
        logger.log_image(f"maps/{title}", of_one_size(images), caption=captions)
    rows: list[list[Any]] = []
    for i, image in enumerate(pictures.images):
        about = [pictures.epoch, pictures.labels[i], pictures.predictions[i], round(pictures.probabilities[i], 4)]
        rows.append([*about, wandb.Image(image), *(wandb.Image(images[i]) for images in drawn.values())])
    with _staged_in(Path(logger.save_dir or ".") / "wandb"):
        logger.log_table("maps/table", ["epoch", "class", "prediction", "probability", "image", *drawn], rows)


def of_one_size(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Adds white margins to images of several sizes, which wandb would distort.

    Args:
        images: uint8 (H, W, 3) each.
    """
    height, width = (max(image.shape[side] for image in images) for side in (0, 1))
    margins = [((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)) for image in images]
    return [np.pad(image, margin, constant_values=255) for image, margin in zip(images, margins, strict=True)]


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
        writer.add_image(f"maps/{title}", joined(images, gap=8), step, dataformats="HWC")
