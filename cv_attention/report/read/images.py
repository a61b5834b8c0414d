"""Reads the images that maps are drawn over."""

import numpy as np
from PIL import Image

from cv_attention.drawing import as_pixels
from cv_attention.report.read.run_directory import Run


def image_of(run: Run, row: int) -> np.ndarray:
    """Returns a recorded image, (H, W, 3) uint8.

    Args:
        run: The run.
        row: Number of the image.

    Raises:
        ValueError: if the run does not hold it.
    """
    path = run.recording.probes[row].image
    if path is None:
        raise ValueError(f"{run.name} does not hold image {row}; maps are drawn over images")
    with Image.open(path) as opened:
        return as_pixels(opened)
