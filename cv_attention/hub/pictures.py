"""Draws the maps of a run's probe images for its model card."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cv_attention.drawing import overlay
from cv_attention.report.read.recording import Column, read_arrays, read_recording
from cv_attention.rundir.layout import RunLayout

_SIDE, _GAP, _TITLE = 128, 6, 22  # pixels
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
    sheet = Image.new(
        "RGB", ((len(columns) + 1) * (_SIDE + _GAP) + _GAP, _TITLE + len(rows) * (_SIDE + _GAP) + _GAP), "white"
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for place, title in enumerate(["image", *(column.title for column in columns)]):
        draw.text((_GAP + place * (_SIDE + _GAP), 4), _shortened(title, font), fill="black", font=font)
    for row, (number, path) in enumerate(rows):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        image.thumbnail((_SIDE, _SIDE))
        scale = _SIDE / max(image.size)
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        drawn = [image, *(Image.fromarray(overlay(image, arrays[column.key][number])) for column in columns)]
        for place, picture in enumerate(drawn):
            sheet.paste(picture, (_GAP + place * (_SIDE + _GAP), _TITLE + row * (_SIDE + _GAP)))
    return sheet


def _chosen(columns: list[Column]) -> list[Column]:
    """Returns at most four columns: all saliency methods that fit next to one attention map, the last maps first."""
    saliency = [column for column in columns if column.source == "saliency"][: _COLUMNS - 1]
    attention = [column for column in columns if column.source != "saliency"]
    room = _COLUMNS - len(saliency)
    if len(attention) > room:
        attention = [attention[round(i)] for i in np.linspace(len(attention) - 1, 0, room)][::-1]
    return attention + saliency


def _shortened(title: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Shortens a module's name in its middle, since its beginning and its end tell maps apart."""
    short = title = title.replace(".attention", "").removesuffix(".map")
    kept = len(title)
    while font.getlength(short) > _SIDE and kept > 4:
        kept -= 1
        short = f"{title[: kept - kept // 2]}…{title[len(title) - kept // 2 :]}"
    return short
