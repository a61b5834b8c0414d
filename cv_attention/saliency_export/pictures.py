"""Renders the pictures of one image: the network's input and each map over it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cv_attention.config import SaliencyExport
from cv_attention.drawing import enlarged, framed, joined, overlay
from cv_attention.exporting.batches import Sample
from cv_attention.exporting.encoding import encode
from cv_attention.exporting.sources import Item


def picture_paths(config: SaliencyExport, shard: int, stem: str, keys: list[str]) -> dict[str, str]:
    """Names the pictures of one image: ``input``, ``panel``, and ``overlay <key>`` for each of `keys`."""
    places = {"input": ("inputs", config.inputs), "panel": ("panels", config.panels)}
    places |= {f"overlay {key}": ("overlays", config.overlays) for key in keys}
    return {
        what: f"{folder}/{shard:06d}/{stem}{_suffix(what, config)}.{kind}"
        for what, (folder, kind) in places.items()
        if kind != "none"
    }


def write_pictures(
    out: Path,
    paths: Mapping[str, str],
    sample: Sample,
    item: Item,
    heats: Mapping[str, np.ndarray],
    config: SaliencyExport,
) -> dict[Path, str]:
    """Draws and writes the pictures that have a path, into folders that exist.

    Args:
        out: Folder of the export.
        paths: The result of `picture_paths`.
        sample: The image as the network sees it.
        item: Its source, read again if pictures are drawn at its original size.
        heats: Raw maps (h, w) by key.
        config: How they are drawn.

    Returns:
        The SHA-256 of each written file, by path.
    """
    drawn = {"input": sample.pixels}
    if "panel" in paths or any(f"overlay {key}" in paths for key in heats):
        drawn |= _drawn(sample, item, heats, config, panel="panel" in paths)
    sums = {}
    for what, path in paths.items():
        content = encode(drawn[what], path.rpartition(".")[2])
        (out / path).write_bytes(content)
        sums[out / path] = hashlib.sha256(content).hexdigest()
    return sums


def _drawn(
    sample: Sample, item: Item, heats: Mapping[str, np.ndarray], config: SaliencyExport, *, panel: bool
) -> dict[str, np.ndarray]:
    """Draws the overlays, and the panel if there is one, over the original image or the network's input."""
    below, region = sample.pixels, None
    if sample.region is not None:
        try:
            below, region = item.read(), sample.region
        except ValueError as error:  # it could be read before
            raise OSError(f"{item.title} has changed during the export: {error}") from error
    captions = {key: {"title": key, "bar": True} if config.captions else {} for key in heats}
    drawn = {
        f"overlay {key}": overlay(below, heat, clip=config.clip, region=region, **captions[key])
        for key, heat in heats.items()
    }
    if panel:
        first = framed(enlarged(below), "") if config.captions else below
        drawn["panel"] = joined([first, *drawn.values()])
    return drawn


def _suffix(what: str, config: SaliencyExport) -> str:
    key = what.removeprefix("overlay ")
    return "" if key in ("input", "panel", config.methods[0]) else f"--{key}"
