"""Implements the evaluation transform of timm and torchvision, with Pillow's antialiased resizing.

OpenCV's bilinear and bicubic filters do not average when shrinking an image, so the pixels differ from those that the
libraries' networks were trained and evaluated with. Imports albumentations (4 s); `transforms` imports it on demand.
"""

from typing import Any, Literal

import cv2
import numpy as np
from albumentations.core.transforms_interface import BaseTransformInitSchema, DualTransform
from PIL import Image
from pydantic import PositiveInt

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Fit = Literal["center", "squash", "border"]
Size = tuple[int, int]


class ResizeAndCrop(DualTransform):
    """Resizes an image and crops its centre, to the same pixels as timm's or torchvision's evaluation transform.

    Args:
        resize: Length of the short side in pixels, or (H, W).
        crop: (H, W) of the centre crop; smaller images are padded.
        interpolation: One of Pillow's filters by its name.
        fit: For (H, W): ``center`` covers it and keeps the aspect ratio, ``squash`` changes the ratio, ``border`` fits
            within it.
        fill: Colour of the padding.
        p: Probability of applying the transform.
    """

    class InitSchema(BaseTransformInitSchema):  # pyright: ignore[reportIncompatibleVariableOverride]
        """Declares the types of the arguments, which albumentations checks."""

        resize: PositiveInt | tuple[PositiveInt, PositiveInt]
        crop: tuple[PositiveInt, PositiveInt]
        interpolation: Interpolation
        fit: Fit
        fill: tuple[int, int, int]

    def __init__(
        self,
        resize: int | Size,
        crop: Size,
        interpolation: Interpolation = "bicubic",
        fit: Fit = "center",
        fill: tuple[int, int, int] = (0, 0, 0),
        p: float = 1,
    ) -> None:
        super().__init__(p=p)
        self.resize, self.crop, self.fit, self.fill = resize, crop, fit, fill
        self.interpolation: Any = interpolation  # a number in albumentations' own transforms

    def apply(self, img: np.ndarray, **_: Any) -> np.ndarray:
        """Transforms uint8 (H, W, 3)."""
        height, width = self._resized((img.shape[0], img.shape[1]))
        size = height, width
        if size != img.shape[:2]:
            resample = Image.Resampling[self.interpolation.upper()]
            img = np.asarray(Image.fromarray(img).resize((width, height), resample))
        top, left = (_start(have, want) for have, want in zip(size, self.crop, strict=True))
        above, below = max(-top, 0), max(top + self.crop[0] - size[0], 0)
        before, behind = max(-left, 0), max(left + self.crop[1] - size[1], 0)
        if above or below or before or behind:
            img = cv2.copyMakeBorder(img, above, below, before, behind, cv2.BORDER_CONSTANT, value=self.fill)
        top, left = max(top, 0), max(left, 0)
        return np.ascontiguousarray(img[top : top + self.crop[0], left : left + self.crop[1]])

    def apply_to_bboxes(self, bboxes: np.ndarray, **params: Any) -> np.ndarray:
        """Transforms boxes, given in fractions of the image's sides."""
        size = self._resized(params["shape"][:2])
        top, left = (_start(have, want) for have, want in zip(size, self.crop, strict=True))
        moved = np.array(bboxes, np.float32)
        moved[:, [0, 2]] = (moved[:, [0, 2]] * size[1] - left) / self.crop[1]
        moved[:, [1, 3]] = (moved[:, [1, 3]] * size[0] - top) / self.crop[0]
        return moved

    def get_transform_init_args_names(self) -> tuple[str, ...]:
        """Returns the names of the arguments, for albumentations' repr."""
        return ("resize", "crop", "interpolation", "fit", "fill")

    def _resized(self, size: Size) -> Size:
        """Returns (H, W) after resizing and before cropping, rounded like the libraries do."""
        if isinstance(self.resize, int):  # torchvision's Resize
            short, long = sorted(size)
            length = int(self.resize * long / short)
            return (length, self.resize) if size[0] >= size[1] else (self.resize, length)
        if self.fit == "squash":
            return self.resize
        ratios = [have / want for have, want in zip(size, self.resize, strict=True)]
        ratio = max(ratios) if self.fit == "border" else min(ratios)  # timm's ResizeKeepRatio
        return round(size[0] / ratio), round(size[1] / ratio)


def _start(have: int, want: int) -> int:
    """Returns the start of the central `want` of `have` pixels; negative if padding is needed."""
    return round((have - want) / 2) if have >= want else -((want - have) // 2)
