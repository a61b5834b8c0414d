"""Defines one split of a data set: its images, in memory or as files, and their batches."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.decoding.decode import read_image
from cv_attention.data.sources.cache import PixelCache

if TYPE_CHECKING:
    from cv_attention.data.sources.webdataset import Shards


@dataclass(frozen=True)
class Images:
    """Holds images with their labels. Selecting images copies no pixels.

    Attributes:
        labels: int64 (N,), positions in the class names.
        rows: int64 (N,), index of each image in `pixels` or `cache`.
        pixels: uint8 (M, H, W, 3) RGB, all images decoded; None if files are decoded on demand.
            A tensor, so that spawned loader processes share it instead of copying it.
        paths: Path of each file, encoded (an array of bytes keeps a million of them compact); None without
            files.
        boxes: float32 (N, 4), x0, y0, x1, y1 of the object in pixels; None if unknown.
        cache: Pixels of images of different sizes in a memory-mapped file; None without one.
        shards: Tar archives that contain the images; None without them.
        bits: Bit depth of files with more than 8 bits; see `read_image`.
        left_out: The error of each broken image that was left out; see `broken.py`.
    """

    labels: np.ndarray
    rows: np.ndarray
    pixels: Tensor | None = None
    paths: np.ndarray | None = None
    boxes: np.ndarray | None = None
    cache: PixelCache | None = None
    shards: "Shards | None" = None
    bits: int | None = None
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, positions: np.ndarray) -> "Images":
        """Returns the images at `positions`, in that order."""
        return replace(
            self,
            labels=self.labels[positions],
            rows=self.rows[positions],
            paths=None if self.paths is None else self.paths[positions],
            boxes=None if self.boxes is None else self.boxes[positions],
        )

    def read(self, index: int) -> np.ndarray:
        """Returns one image as uint8 (H, W, 3) RGB; read-only."""
        if self.pixels is not None:
            return self.pixels.numpy()[self.rows[index]]
        if self.cache is not None:
            return self.cache.read(self.rows[index])
        if self.shards is not None:
            return self.shards.read(int(self.rows[index]), self.bits)
        assert self.paths is not None
        return read_image(os.fsdecode(self.paths[index]), self.bits)

    def describe(self, index: int) -> str:
        """Describes an image for error messages."""
        if self.shards is not None:
            return f"'{self.shards.describe(int(self.rows[index]))}'"
        return f"image {index}" if self.paths is None else f"'{os.fsdecode(self.paths[index])}'"

    def short_name(self, index: int) -> str:
        """Returns folder and file name of an image, its name in an archive, or its row: the same in every run."""
        if self.shards is not None:
            return self.shards.name(int(self.rows[index]))
        if self.paths is None:
            return f"{self.rows[index]:05d}"
        return "/".join(Path(os.fsdecode(self.paths[index])).parts[-2:])


def in_memory(images: np.ndarray, labels: np.ndarray, boxes: np.ndarray | None = None) -> Images:
    """Creates `Images` from pixels (N, H, W, 3), without copying them."""
    rows = np.arange(len(labels))
    return Images(np.asarray(labels, np.int64), rows, torch.from_numpy(images), boxes=boxes)


Draw = tuple[int, int]  # (epoch, index): the image, and the epoch of its augmentation


class ImageSet(Dataset):
    """Provides one split as a data set of augmented images.

    `split[index]` is one sample and `split.batch([(epoch, index), ...])` a batch. The augmentation of an image
    depends only on (seed, epoch, index), not on the order or the number of worker processes or devices.

    Attributes:
        name: `train`, `val` or `test`.
        images: The images.
        pipeline: Transforms of each image.
        seed: Seed of the augmentation.
    """

    def __init__(self, name: str, images: Images, pipeline: Pipeline, seed: int):
        self.name = name
        self.images = images
        self.pipeline = pipeline
        self.seed = seed
        self._copy: Tensor | None = None  # copy of the pixels on an accelerator

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: int | Draw) -> dict[str, Any]:
        """Returns one sample: a batch's entries without the first axis; of epoch 0 if only an index is given."""
        draw = (0, draw) if isinstance(draw, int) else draw
        return {key: value[0] for key, value in self.batch([draw]).items()}

    def __getitems__(self, draws: list[Draw]) -> dict[str, Tensor]:
        """Returns a batch; torch's DataLoader calls this instead of collating samples."""
        return self.batch(draws)

    @property
    def resident(self) -> bool:
        """Returns whether whole batches are made from pixels in memory, which worker processes cannot speed up."""
        return self.images.pixels is not None and self.pipeline.batched is not None

    def batch(self, draws: list[Draw], device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Makes a batch.

        Args:
            draws: Epoch and index of each image.
            device: Device of the batch. Pixels in memory are copied there once, all together.

        Returns:
            `image` uint8 (B, 3, H, W), in channels_last memory order; `label` and `index` int64 (B,);
            `box` float32 (B, 4) if the data set has boxes, all 0 if the box left the image.

        Raises:
            ValueError: if the images have different sizes after the transforms, or a file is broken.
        """
        if self.resident:
            return self._resident_batch(draws, torch.device(device))
        index = np.array([i for _, i in draws], np.int64)
        pixels, boxes = self._pixels(draws, index)
        return self._as_batch(torch.from_numpy(pixels), index, boxes)

    def _as_batch(self, pixels: Tensor, index: np.ndarray, boxes: np.ndarray | None) -> dict[str, Tensor]:
        batch = {
            "image": pixels.permute(0, 3, 1, 2),
            "label": torch.from_numpy(self.images.labels[index]),
            "index": torch.from_numpy(index),
        }
        if boxes is not None:
            batch["box"] = torch.from_numpy(boxes)
        return {name: values.to(pixels.device, non_blocking=True) for name, values in batch.items()}

    def _resident_batch(self, draws: list[Draw], device: torch.device) -> dict[str, Tensor]:
        """Gathers the images and applies the batched transforms; asynchronous on a GPU."""
        assert self.pipeline.batched is not None
        epoch, index = np.array(draws, np.int64).T
        pixels, rows = self._on(device), torch.from_numpy(self.images.rows[index]).to(device, non_blocking=True)
        keys = (torch.from_numpy(key.copy()).to(device, non_blocking=True) for key in (epoch, index))
        try:
            images = self.pipeline.batched(pixels.index_select(0, rows), self.seed, *keys)
        except ValueError as error:
            raise ValueError(f"{self.pipeline.place}: {error}") from None
        boxes = self.images.boxes
        return self._as_batch(images.contiguous(), index.copy(), None if boxes is None else boxes[index])

    def _on(self, device: torch.device) -> Tensor:
        """Returns all pixels on `device`; a split is kept on one accelerator at a time."""
        assert self.images.pixels is not None
        if self.images.pixels.device == device:
            return self.images.pixels
        if self._copy is None or self._copy.device != device:
            self._copy = self.images.pixels.to(device)
        return self._copy

    def _pixels(self, draws: list[Draw], index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        images, stacked = self.images, None
        boxes = None if images.boxes is None else images.boxes[index]
        for place, (epoch, i) in enumerate(draws):
            box = None if boxes is None else boxes[place]
            image, box = self._transform(i, (self.seed, epoch, i), box)
            if stacked is None:
                stacked = np.empty((len(draws), *image.shape), np.uint8)
            elif image.shape != stacked.shape[1:]:
                raise ValueError(self._sizes_differ(i, image, int(index[0]), stacked[0]))
            stacked[place] = image
            if boxes is not None:
                boxes[place] = box
        assert stacked is not None
        return stacked, boxes

    def _transform(
        self, index: int, key: tuple[int, int, int], box: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        image = self.images.read(index)
        if not self.pipeline:
            return image, box
        try:
            return self.pipeline(image, key, box)
        except Exception as error:  # whatever albumentations or OpenCV raise for unsupported images
            raise ValueError(f"{self.pipeline.place}: {self.images.describe(index)}: {_one_line(error)}") from error

    def _sizes_differ(self, index: int, image: np.ndarray, first: int, other: np.ndarray) -> str:
        def size(array: np.ndarray) -> str:
            return f"{array.shape[1]}x{array.shape[0]}"

        return (
            f"{self.pipeline.place}: all images of a batch must have the same size, but after the transforms "
            f"{self.images.describe(index)} is {size(image)} and {self.images.describe(first)} "
            f"is {size(other)} (width x height); use {self.pipeline.size_advice}"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
