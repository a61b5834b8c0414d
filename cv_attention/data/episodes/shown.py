"""Reads, turns, warps and transforms the images that episodes show."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.episodes import warping
from cv_attention.data.episodes.classes import Classes


class Shown(NamedTuple):
    """Lists the N images of a batch, one episode after the other.

    Attributes:
        members: int64 (N,), positions among the images of the split.
        classes: int64 (N,), positions among its classes.
        epochs: int64 (N,), the epoch of each image's episode.
        places: int64 (N,), a number that no other image of the epoch has.
        matrices: int64 (N, 2, 2), how each image is warped; None if they are not.
    """

    members: np.ndarray
    classes: np.ndarray
    epochs: np.ndarray
    places: np.ndarray
    matrices: np.ndarray | None


class ShownImages:
    """Makes the pixels of the images that episodes show.

    Args:
        classes: The classes of the split.
        pipeline: Transforms of each image.
        seed: Seed of the augmentation.
    """

    def __init__(self, classes: Classes, pipeline: Pipeline, seed: int) -> None:
        self.classes, self.pipeline, self.seed = classes, pipeline, seed
        self._copy: Tensor | None = None  # of the pixels, on an accelerator

    @property
    def resident(self) -> bool:
        """Whether all pixels are in memory, and all transforms can be applied to batches."""
        return self.classes.images.pixels is not None and self.pipeline.batched is not None

    def __call__(self, shown: Shown, device: torch.device) -> Tensor:
        """Makes the pixels.

        Args:
            shown: Which images.
            device: Where they are made; on the CPU unless they are `resident`.

        Returns:
            uint8 (N, H, W, 3).

        Raises:
            ValueError: if they have different sizes after the transforms, or a file is broken.
        """
        if self.resident:
            return self._from_memory(shown, device)
        images: list[np.ndarray] = []
        for place in range(len(shown.members)):
            images.append(self._read(shown, place))
            if images[-1].shape != images[0].shape:
                raise ValueError(self._sizes_differ(shown, place, images))
        return torch.from_numpy(np.stack(images))

    def _from_memory(self, shown: Shown, device: torch.device) -> Tensor:
        assert self.pipeline.batched is not None
        rows = torch.from_numpy(self.classes.images.rows[shown.members]).to(device)
        images = self._posed(self._on(device).index_select(0, rows), shown.classes, shown.matrices)
        epochs, places = (torch.from_numpy(key).to(device) for key in (shown.epochs, shown.places))
        try:
            return self.pipeline.batched(images, self.seed, epochs, places).contiguous()
        except ValueError as error:
            raise ValueError(f"{self.pipeline.place}: {error}") from None

    def _read(self, shown: Shown, place: int) -> np.ndarray:
        member, one = int(shown.members[place]), slice(place, place + 1)
        image = torch.from_numpy(np.array(self.classes.images.read(member)))[None]
        posed = self._posed(image, shown.classes[one], None if shown.matrices is None else shown.matrices[one])
        if not self.pipeline:
            return posed[0].numpy()
        try:
            return self.pipeline(posed[0].numpy(), (self.seed, int(shown.epochs[place]), int(shown.places[place])))[0]
        except Exception as error:  # whatever albumentations or OpenCV raise on an image they cannot take
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"{self.pipeline.place}: {self.classes.images.describe(member)}: {reason}") from error

    def _posed(self, images: Tensor, classes: np.ndarray, matrices: np.ndarray | None) -> Tensor:
        """Turns, mirrors and warps images (N, H, W, 3) as their classes are."""
        images = warping.turned(images, self.classes.turns[classes], self.classes.mirrored[classes])
        return images if matrices is None else warping.warped(images, torch.from_numpy(matrices).to(images.device))

    def _on(self, device: torch.device) -> Tensor:
        """Returns all pixels on `device`; a split lives on one accelerator at a time."""
        pixels = self.classes.images.pixels
        assert pixels is not None
        if pixels.device == device:
            return pixels
        if self._copy is None or self._copy.device != device:
            self._copy = pixels.to(device)
        return self._copy

    def _sizes_differ(self, shown: Shown, place: int, images: list[np.ndarray]) -> str:
        sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (images[-1], images[0])]
        names = [self.classes.images.describe(int(shown.members[i])) for i in (place, 0)]
        return (
            f"{self.pipeline.place}: all images of a batch must have the same size, but after the transforms "
            f"{names[0]} is {sizes[0]} and {names[1]} is {sizes[1]} (width x height); set data.episodes.side, or use "
            f"{self.pipeline.size_advice}"
        )
