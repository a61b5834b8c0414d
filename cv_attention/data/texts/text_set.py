"""Makes batches of augmented images of one split with the numbers of their texts."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from cv_attention.alphabet import END, Alphabet
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.sources.image_set import Draw, ImageSet
from cv_attention.data.texts.text_images import TextImages


class TextSet(ImageSet):
    """One split as a data set of augmented images and the numbers of their texts.

    Attributes:
        name: `train`, `val` or `test`.
        images: The images.
        pipeline: Transforms of each image.
        seed: Seed of the augmentation.
        alphabet: Numbers the units of the texts.
        lengths: int64 (N,), the number of units of each text.

    Raises:
        ValueError: if a text holds a unit that the alphabet lacks.
    """

    images: TextImages

    def __init__(self, name: str, images: TextImages, pipeline: Pipeline, seed: int, alphabet: Alphabet):
        super().__init__(name, images, pipeline, seed)
        self.alphabet = alphabet
        encoded = [np.array(alphabet.encode(text), np.int32) for text in images.texts]
        self.lengths = np.array([len(numbers) for numbers in encoded], np.int64)
        self._numbers = np.concatenate(encoded)  # of all texts: much smaller than a list of arrays
        self._starts = np.cumsum(self.lengths) - self.lengths

    def batch(self, draws: list[Draw], device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Makes a batch.

        Args:
            draws: Epoch and index of each image.
            device: Where the batch comes into being. Pixels in memory are copied there once, as a whole.

        Returns:
            ``image`` uint8 (B, 3, H, W), in channels_last memory order; ``width`` int64 (B,), the columns that are
            image and not padding; ``tokens`` int64 (B, T), the numbers of each text, the end and the alphabet's
            padding, T as long as the longest text with its end; ``length`` int64 (B,), units of each text without the
            end; ``index`` int64 (B,); and ``boxes`` float32 (B, T, 4) where the data set has boxes, NaN where there
            is none.

        Raises:
            ValueError: if the images have different sizes after the transforms, or a file is broken.
        """
        return super().batch(draws, device)

    def _as_batch(self, pixels: Tensor, index: np.ndarray, boxes: np.ndarray | None) -> dict[str, Tensor]:
        tokens, lengths = self._tokens(index), self.lengths[index]
        batch: dict[str, Any] = {
            "image": pixels.permute(0, 3, 1, 2),
            "width": np.full(len(index), pixels.shape[2], np.int64),
            "tokens": tokens,
            "length": lengths,
            "index": index,
        }
        if boxes is not None:
            batch["boxes"] = _padded(boxes, tokens.shape[1])
        arrays = {name: torch.from_numpy(values) for name, values in batch.items() if name != "image"}
        return {
            name: values.to(pixels.device, non_blocking=True)
            for name, values in {"image": batch["image"], **arrays}.items()
        }

    def _tokens(self, index: np.ndarray) -> np.ndarray:
        """Returns the numbers of texts, int64 (B, T): their units, the end, padding."""
        tokens = np.full((len(index), int(self.lengths[index].max()) + 1), self.alphabet.padding, np.int64)
        for row, place in zip(tokens, index.tolist(), strict=True):
            start, length = self._starts[place], self.lengths[place]
            row[:length] = self._numbers[start : start + length]
            row[length] = END
        return tokens

    def _augmented(
        self, image: np.ndarray, key: tuple[int, int, int], box: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return self.pipeline(image, key) if box is None else self.pipeline.with_boxes(image, key, box)


def _padded(boxes: np.ndarray, length: int) -> np.ndarray:
    """Returns boxes (B, length, 4) of boxes (B, L, 4): NaN behind the last one."""
    padded = np.full((len(boxes), length, 4), np.nan, np.float32)
    kept = min(length, boxes.shape[1])
    padded[:, :kept] = boxes[:, :kept]
    return padded
