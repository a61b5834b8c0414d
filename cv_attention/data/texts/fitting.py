"""Resizes images of texts to one size, keeping their aspect."""

import numpy as np
from PIL import Image


class Fit:
    """Resizes an image to a height, keeps its aspect, and pads narrower ones with black on the right.

    An image too wide for that is resized to the width, and padded above and below.

    Args:
        height: Height in pixels.
        width: Width in pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None, int]:
        """Resizes an image.

        Args:
            image: uint8 (H, W, 3).
            boxes: float32 (L, 4), x0, y0, x1, y1 in pixels, or None.

        Returns:
            The image, uint8 (height, width, 3); the boxes in it; and the number of columns that are image.
        """
        height, width = image.shape[:2]
        scale = min(self.height / height, self.width / width)
        high, wide = (max(round(side * scale), 1) for side in (height, width))
        if (high, wide) != (height, width):
            image = np.asarray(Image.fromarray(image).resize((wide, high), Image.Resampling.BICUBIC))
        top = (self.height - high) // 2
        if boxes is not None:
            boxes = clipped(boxes, width, height)
            ratio = np.array([wide / width, high / height] * 2, np.float32)
            boxes = boxes * ratio + np.array([0, top, 0, top], np.float32)
        if (high, wide) == (self.height, self.width):
            return image, boxes, wide
        fitted = np.zeros((self.height, self.width, 3), np.uint8)
        fitted[top : top + high, :wide] = image
        return fitted, boxes, wide


def clipped(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Returns the parts of boxes (L, 4) in pixels that lie within an image; NaN for boxes outside of it."""
    inside = np.clip(boxes, 0, np.array([width, height] * 2, np.float32))
    inside[(inside[:, 2:] <= inside[:, :2]).any(1)] = np.nan
    return inside
