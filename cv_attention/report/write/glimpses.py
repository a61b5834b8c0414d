"""Writes the data of the glimpse panel: where the network looked in each image, and how much it saw there."""

from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.rundir.arrays import read_arrays
from cv_attention.rundir.contents import glimpse_array


def glimpses(path: Path, images: int) -> dict[str, Any]:
    """Returns the glimpses at each probe image in one epoch.

    Args:
        path: ``maps/glimpses-XXXX.npz``.
        images: Number of probe images.

    Returns:
        Name of the module -> ``places``, for each image and step [x, y], and ``extents``, for each image, step and
        scale half of width and height, or None; all in fractions of the image's width and height.

    Raises:
        Exception: whatever a torn file provokes; ValueError for other shapes or numbers that are not finite.
    """
    arrays = read_arrays(path)
    prefix = glimpse_array("places", "")
    found = {}
    for name in (key.removeprefix(prefix) for key in arrays if key.startswith(prefix)):
        places, extents = arrays[glimpse_array("places", name)], arrays.get(glimpse_array("extents", name))
        if places.ndim != 3 or len(places) != images or places.shape[2] != 2 or not places.size:
            raise ValueError(f"places must be ({images}, steps, 2), got {places.shape}")
        if extents is not None and (
            extents.ndim != 4 or extents.shape[:2] != places.shape[:2] or extents.shape[3] != 2
        ):
            raise ValueError(f"extents must be ({images}, {places.shape[1]}, scales, 2), got {extents.shape}")
        centres = (places.astype(float) + 1) / 2
        found[name] = {
            "places": _finite(centres),
            "extents": None if extents is None else _finite(extents.astype(float) / 2),
        }
    if not found:
        raise ValueError("it holds no places")
    return found


def _finite(values: np.ndarray) -> Any:
    if not np.isfinite(values).all():
        raise ValueError("places must be finite")
    return values.round(4).tolist()
