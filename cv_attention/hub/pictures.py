"""Draws the maps of a run's probe images for its model card."""

from pathlib import Path

import numpy as np
from PIL import Image

from cv_attention.drawing import overlay
from cv_attention.picture_grid import picture_grid
from cv_attention.report.read.recording import Column, read_arrays, read_recording
from cv_attention.rundir.layout import RunLayout

_COLUMNS = 4


def draw_maps(run: Path, images: int) -> Image.Image | None:
    """Draws the last recorded maps over the probe images: a row for each image, a column for each map.

    Args:
        run: The run directory.
        images: The number of images.

    Returns:
        An RGB picture; None if no map over positions was recorded.
    """
    recording = read_recording(RunLayout(run))
    if not recording.snapshots or images < 1:
        return None
    snapshot = recording.snapshots[-1]
    arrays = read_arrays(snapshot, len(recording.probes))
    columns = _chosen([column for column in snapshot.columns if arrays.get(column.key, np.zeros(1)).ndim == 3])
    rows = [(i, probe.image) for i, probe in enumerate(recording.probes) if probe.image is not None][:images]
    if not columns or not rows:
        return None
    drawn = []
    for number, path in rows:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        maps = (overlay(image, arrays[column.key][number]) for column in columns)
        drawn.append([image, *map(Image.fromarray, maps)])
    return picture_grid(["image", *(column.title for column in columns)], drawn)


def _chosen(columns: list[Column]) -> list[Column]:
    """Returns at most four columns: all saliency methods that fit next to one attention map, the last maps first."""
    saliency = [column for column in columns if column.source == "saliency"][: _COLUMNS - 1]
    attention = [column for column in columns if column.source != "saliency"]
    room = _COLUMNS - len(saliency)
    if len(attention) > room:
        attention = [attention[round(i)] for i in np.linspace(len(attention) - 1, 0, room)][::-1]
    return attention + saliency
