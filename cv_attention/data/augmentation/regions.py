"""Finds out which part of an image a network sees, to draw its maps over the original."""

import numpy as np

from cv_attention.data.augmentation.transforms import Pipeline

Region = tuple[float, float, float, float]
_MARKS = np.array([[0.4, 0.4, 0.6, 0.6], [0.4, 0.4, 0.5, 0.5]], np.float32)  # near the centre, which no crop leaves out
_TOLERANCE = 1.5  # pixels


def region_of(pixels: np.ndarray, pipeline: Pipeline, size: tuple[int, int]) -> Region | None:
    """Follows two marks through the transforms, and concludes from where they went.

    Args:
        pixels: The image before the transforms, uint8 (H, W, 3).
        pipeline: The transforms, for images with boxes.
        size: Height and width that their result is resized to.

    Returns:
        What the network sees, as (x0, y0, x1, y1) in fractions of the image's sides; beyond 0 and 1 where it sees
        padding. None where the transforms do more than resize, crop and pad, such as mirroring.
    """
    height, width = pixels.shape[:2]
    marks, sides = _MARKS * np.array([width, height] * 2, np.float32), (width, height)
    if pipeline:
        pixels, moved = pipeline.with_boxes(pixels, (0, 0, 0), marks)
    else:
        moved = marks
    if np.isnan(moved).any():
        return None
    moved = moved * np.tile([size[1] / pixels.shape[1], size[0] / pixels.shape[0]], 2)
    region = []
    for axis, (length, seen) in enumerate(zip(sides, (size[1], size[0]), strict=True)):
        scale = (moved[0, axis + 2] - moved[0, axis]) / (marks[0, axis + 2] - marks[0, axis])
        start = marks[0, axis] - moved[0, axis] / scale
        expected = (marks[1, [axis, axis + 2]] - start) * scale
        if np.abs(moved[1, [axis, axis + 2]] - expected).max() > _TOLERANCE:
            return None
        region.append((start / length, (start + seen / scale) / length))
    (x0, x1), (y0, y1) = [tuple(float(round(end, 6)) for end in ends) for ends in region]
    return x0, y0, x1, y1
