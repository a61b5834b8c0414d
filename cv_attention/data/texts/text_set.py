"""Makes batches of augmented images of one split with the numbers of their texts."""

import numpy as np
import torch
from torch import Tensor

from cv_attention.alphabet import END, Alphabet
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.sources.image_set import Draw, ImageSet
from cv_attention.data.texts.fitting import Fit, clipped
from cv_attention.data.texts.text_images import TextImages


class TextSet(ImageSet):
    """One split as a data set of augmented images and the numbers of their texts.

    Attributes:
        name: `train`, `val` or `test`.
        images: The images.
        pipeline: Transforms of each image.
        seed: Seed of the augmentation.
        alphabet: Numbers the units of the texts.
        fit: Brings the images to one size, after the transforms; None where they have one.
        lengths: int64 (N,), the number of units of each text.

    Raises:
        ValueError: if a text holds a unit that the alphabet lacks.
    """

    images: TextImages

    def __init__(
        self,
        name: str,
        images: TextImages,
        pipeline: Pipeline,
        seed: int,
        alphabet: Alphabet,
        fit: Fit | None = None,
    ):
        super().__init__(name, images, pipeline, seed)
        self.alphabet, self.fit = alphabet, fit
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
        if self.fit is None:
            return super().batch(draws, device)
        index = np.array([i for _, i in draws], np.int64)
        pixels = np.empty((len(draws), self.fit.height, self.fit.width, 3), np.uint8)
        widths = np.empty(len(draws), np.int64)
        boxes = None if self.images.boxes is None else self.images.boxes[index]
        for place, (epoch, i) in enumerate(draws):
            image, moved = self._transform(i, (self.seed, epoch, i), None if boxes is None else boxes[place])
            pixels[place], moved, widths[place] = self.fit(image, moved)
            if boxes is not None:
                boxes[place] = moved
        return self._as_batch(torch.from_numpy(pixels), index, boxes, widths)

    @property
    def resident(self) -> bool:
        """Whether batches are made from pixels in memory as a whole, which no worker process could speed up."""
        return self.fit is None and super().resident

    def _as_batch(
        self, pixels: Tensor, index: np.ndarray, boxes: np.ndarray | None, widths: np.ndarray | None = None
    ) -> dict[str, Tensor]:
        tokens = self._tokens(index)
        arrays = {
            "width": np.full(len(index), pixels.shape[2], np.int64) if widths is None else widths,
            "tokens": tokens,
            "length": self.lengths[index],
            "index": index,
        }
        if boxes is not None:
            arrays["boxes"] = _padded(boxes, tokens.shape[1])
        batch = {"image": pixels.permute(0, 3, 1, 2)} | {
            name: torch.from_numpy(values) for name, values in arrays.items()
        }
        return {name: values.to(pixels.device, non_blocking=True) for name, values in batch.items()}

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
        if box is None:
            return self.pipeline(image, key)
        height, width = image.shape[:2]
        return self.pipeline.with_boxes(image, key, clipped(box, width, height))


def _padded(boxes: np.ndarray, length: int) -> np.ndarray:
    """Returns boxes (B, length, 4) of boxes (B, L, 4): NaN behind the last one."""
    padded = np.full((len(boxes), length, 4), np.nan, np.float32)
    kept = min(length, boxes.shape[1])
    padded[:, :kept] = boxes[:, :kept]
    return padded
