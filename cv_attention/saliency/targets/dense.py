"""Implements the target of segmentation networks."""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.saliency.core.outputs.links import Link, apply, usual
from cv_attention.saliency.targets.outputs import Key, cut, pick


@dataclass(frozen=True, eq=False)
class Segment:
    """The mean logit of a class over a region."""

    index: int
    mask: Tensor | None
    key: Key

    def _mean(self, values: Tensor) -> Tensor:
        if not 0 <= self.index < values.shape[1]:
            raise ValueError(f"segment: the class must be in 0..{values.shape[1] - 1}, got {self.index}")
        values = values[:, self.index]
        if self.mask is None:
            return values.mean((1, 2))
        mask = self.mask.to(values).expand(len(values), *self.mask.shape[-2:])
        if mask.shape != values.shape:
            mask = F.interpolate(mask[:, None], values.shape[1:], mode="area")[:, 0]
        return (values * mask).sum((1, 2)) / mask.sum((1, 2))

    def _logits(self, output: Any) -> Tensor:
        return pick(output, self.key, ("out", "logits"), (4,), "segment")

    def __call__(self, output: Any) -> Tensor:
        """Computes the scores (B,)."""
        return self._mean(self._logits(output))

    def link(self, output: Any) -> Link:
        """Returns what turns the output into the quantity that perturbation methods follow."""
        return usual(self._logits(output))

    def linked(self, output: Any, link: Link) -> Tensor:
        """Computes what perturbation methods follow, (B,): the mean softmax, or sigmoid of a single logit."""
        return self._mean(apply(self._logits(output).float(), link))

    def of_part(self, part: slice, batch: int) -> "Segment":
        """Returns the target of the images in `part` of a batch."""
        return replace(self, mask=cut(self.mask, part, batch, 2))

    def __str__(self) -> str:
        """Returns the target in words."""
        return f"class {self.index} " + ("of all pixels" if self.mask is None else "within a mask")


def segment(index: int, mask: Tensor | None = None, *, key: Key = None) -> Segment:
    """Defines the mean logit of a class over a region as the target (Seg-Grad-CAM, Vinogradova et al., AAAI 2020).

    Paper: https://arxiv.org/abs/2002.11434.

    Args:
        index: Class.
        mask: Region, (H, W) or one for each image, (B, H, W), of booleans or weights; resized to the logits if they are
            smaller. None uses all pixels. Give the predicted region as ``logits.argmax(1) == index``.
        key: Entry of a dict, tuple or ModelOutput that holds the logits (B, classes, h, w); None uses the tensor
            itself, ``out`` (torchvision) or ``logits`` (Hugging Face). Perturbation methods follow the softmax.

    Returns:
        The target, a callable from what the model returns to scores (B,).

    Raises:
        ValueError: if the mask has another shape, or is empty.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> mask = torch.zeros(4, 4, dtype=torch.bool)
        >>> mask[0, 0] = True
        >>> logits = torch.arange(32.0).view(1, 2, 4, 4)
        >>> cva.saliency.targets.segment(1, mask)({"out": logits})
        tensor([16.])
    """
    if mask is not None:
        if not isinstance(mask, Tensor) or mask.dim() not in (2, 3):
            got = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
            raise ValueError(f"segment: mask must be (H, W) or (B, H, W), got {got}")
        if not bool((mask.to(torch.float32).sum((-2, -1)) > 0).all()):
            raise ValueError("segment: the mask of an image is empty")
    return Segment(index, mask, key)
