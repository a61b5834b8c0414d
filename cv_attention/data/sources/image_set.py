"""Makes batches of augmented images of one split."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.sources.images import Images

Draw = tuple[int, int]  # (epoch, index): which image, and in which epoch's augmentation
_TRIED = 8  # images that are transformed to find their size


class ImageSet(Dataset):
    """One split as a data set of augmented images, ready for a batch.

    `split[index]` is one sample and `split.batch([(epoch, index), ...])` a batch of them. The augmentation of
    an image depends on (seed, epoch, index) alone, not on the order, the number of worker processes or of
    devices.

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
        self._copy: Tensor | None = None  # of the pixels, on an accelerator

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: int | Draw) -> dict[str, Any]:
        """Returns one sample: a batch's entries without the first axis; of epoch 0 where only an index is given."""
        draw = (0, draw) if isinstance(draw, int) else draw
        return {key: value[0] for key, value in self.batch([draw]).items()}

    def __getitems__(self, draws: list[Draw]) -> dict[str, Tensor]:
        """Makes a batch; torch's DataLoader calls this instead of collating samples."""
        return self.batch(draws)

    @property
    def resident(self) -> bool:
        """Whether batches are made from pixels in memory as a whole, which no worker process could speed up."""
        return self.images.pixels is not None and self.pipeline.batched is not None

    def size(self) -> tuple[int, int]:
        """Transforms a few images as one batch, to report mistakes before training; returns their (H, W).

        Raises:
            ValueError: if they have different sizes, or one is broken.
        """
        tried = sorted({int(i) for i in np.linspace(0, len(self) - 1, _TRIED)})
        height, width = self.batch([(0, i) for i in tried])["image"].shape[2:]
        return height, width

    def batch(self, draws: list[Draw], device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Makes a batch.

        Args:
            draws: Epoch and index of each image.
            device: Where the batch comes into being. Pixels in memory are copied there once, as a whole.

        Returns:
            `image` uint8 (B, 3, H, W), in channels_last memory order; `index` int64 (B,); `label`, int64 (B,) or with
            a row for each image, see `Images`; `box` float32 (B, 4) where the data set has boxes, all 0 where the box
            left the image.

        Raises:
            ValueError: if the images have different sizes after the transforms, or a file is broken.
        """
        index = np.array([i for _, i in draws], np.int64)
        if self.resident:
            boxes = self.images.boxes
            pixels = self._resident_pixels(draws, torch.device(device))
            return self._as_batch(pixels, index, None if boxes is None else boxes[index])
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

    def _resident_pixels(self, draws: list[Draw], device: torch.device) -> Tensor:
        """Makes a batch's pixels by one gather and the batched transforms; on a GPU nothing waits for it."""
        assert self.pipeline.batched is not None
        epoch, index = np.array(draws, np.int64).T
        pixels, rows = self._on(device), torch.from_numpy(self.images.rows[index]).to(device, non_blocking=True)
        keys = (torch.from_numpy(key.copy()).to(device, non_blocking=True) for key in (epoch, index))
        try:
            images = self.pipeline.batched(pixels.index_select(0, rows), self.seed, *keys)
        except ValueError as error:
            raise ValueError(f"{self.pipeline.place}: {error}") from None
        return images.contiguous()

    def _on(self, device: torch.device) -> Tensor:
        """Returns all pixels on `device`; a split lives on one accelerator at a time."""
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
            return self._augmented(image, key, box)
        except Exception as error:  # whatever albumentations or OpenCV raise on an image they cannot take
            raise ValueError(f"{self.pipeline.place}: {self.images.describe(index)}: {_one_line(error)}") from error

    def _augmented(
        self, image: np.ndarray, key: tuple[int, int, int], box: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return self.pipeline(image, key, box)

    def _sizes_differ(self, index: int, image: np.ndarray, first: int, other: np.ndarray) -> str:
        def size(array: np.ndarray) -> str:
            return f"{array.shape[1]}x{array.shape[0]}"

        return (
            f"{self.pipeline.place}: all images of a batch must have the same size, but after the transforms "
            f"{self.images.describe(index)} is {size(image)} and {self.images.describe(first)} "
            f"is {size(other)} (width x height); use {self.pipeline.size_advice}, or start from "
            "--config configs/imagenet_subset_resnet18.yaml"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
