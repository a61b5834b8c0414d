"""Renders the pictures of one image: the network's input and each map over it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cv_attention.config import SaliencyExport
from cv_attention.drawing import overlay
from cv_attention.exporting.encoding import encode

_GAP = 4  # pixels between the pictures of a panel


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
    out: Path, paths: Mapping[str, str], pixels: np.ndarray, heats: Mapping[str, np.ndarray]
) -> dict[Path, str]:
    """Draws and writes the pictures that have a path, into folders that exist.

    Args:
        out: Folder of the export.
        paths: The result of `picture_paths`.
        pixels: The image as the network sees it, uint8 (H, W, 3).
        heats: Raw maps (h, w) by key.

    Returns:
        The SHA-256 of each written file, by path.
    """
    drawn = {"input": pixels}
    if "panel" in paths or any(f"overlay {key}" in paths for key in heats):
        drawn |= {f"overlay {key}": overlay(pixels, heat) for key, heat in heats.items()}
    if "panel" in paths:
        drawn["panel"] = _side_by_side(list(drawn.values()))
    sums = {}
    for what, path in paths.items():
        content = encode(drawn[what], path.rpartition(".")[2])
        (out / path).write_bytes(content)
        sums[out / path] = hashlib.sha256(content).hexdigest()
    return sums


def _side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    gap = np.full((pictures[0].shape[0], _GAP, 3), 255, np.uint8)
    return np.concatenate([part for picture in pictures for part in (picture, gap)][:-1], axis=1)


def _suffix(what: str, config: SaliencyExport) -> str:
    key = what.removeprefix("overlay ")
    return "" if key in ("input", "panel", config.method) else f"--{key}"
