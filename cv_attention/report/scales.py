"""Chooses the values at the ends of the colours as the page does: a natural scale for each kind of map."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cv_attention.drawing import Limits, limits_of
from cv_attention.report.read.recording import Recording, Snapshot, read_arrays
from cv_attention.report.write.ranges import sums_to_one

MapScale = Literal["natural", "image", "column", "all"]
"""The scale natural to each kind of map, or which maps share one: see `figures.Scale`."""

_WORDS = {
    "natural": "the natural scale of each kind of map",
    "image": "each map has its own scale",
    "column": "each column has its own scale",
    "all": "all columns alike in sign have one scale",
}


def scale_words(scale: MapScale, options: dict[str, Any]) -> str:
    """Returns what a caption says of the colours.

    Args:
        scale: What was asked for.
        options: Fields of `figures.Sheet` that were given, such as `low`, `high` and `clip`.
    """
    if options.get("low") is not None or options.get("high") is not None:
        return "one scale with limits that were set"
    return _WORDS.get(scale, scale) + (f", clipped at {options['clip']:g} %" if options.get("clip", 100) != 100 else "")


def ends_of(
    recording: Recording,
    snapshot: Snapshot,
    titles: Sequence[str],
    rows: Sequence[int],
    scale: MapScale,
    *,
    clip: float = 100,
) -> dict[str, list[Limits | None]]:
    """Returns the ends of the colours of every map.

    ``natural``: gates have the scale of their function, 0 to 1, or 0 to 2, -1 to 1 where values of any epoch reach
    further. Weights that sum to one begin at zero and end at the largest of the column, at least at twice the uniform
    weight. Saliency maps, whose unit is arbitrary, begin at zero and end at their own largest value. ``image`` has the
    extremes of each map, ``column`` those of all images, ``all`` those of all columns and `rows`. The scale of a column
    that has negative values, in whichever epoch and image, is symmetric around zero.

    Args:
        recording: All recorded epochs.
        snapshot: The epoch that is drawn.
        titles: The columns.
        rows: The images.
        scale: Which scale.
        clip: Share of the values within the scale, in percent; gates have all of theirs.

    Returns:
        Title -> one for each row; None where the column was not recorded in this epoch.
    """
    arrays = _by_title(recording, snapshot)
    known = {title: arrays[title] for title in titles if title in arrays}
    every = _every(recording, list(known))
    signed = {title: any(low < 0 for low, _, _ in every[title]) for title in known}
    found: dict[str, list[Limits | None]] = {title: [None] * len(rows) for title in titles}
    sources = {column.title: column.source for column in snapshot.columns}
    for title, values in known.items():
        maps = [values[row].astype(np.float64) for row in rows]
        if scale == "natural" and sources[title] != "attention":
            found[title] = [_of_saliency(heat, signed[title], clip) for heat in maps]
        elif scale == "natural":
            found[title] = [*_of_attention(values, maps, every[title], clip)]
        elif scale == "image":
            found[title] = [limits_of(heat, signed=signed[title], clip=clip) for heat in maps]
        else:
            alike = [other for other in known if signed[other] == signed[title]]
            shared = [values] if scale == "column" else [known[other][list(rows)] for other in alike]
            found[title] = [limits_of(shared, signed=signed[title], clip=clip)] * len(rows)
    return found


def _by_title(recording: Recording, snapshot: Snapshot) -> dict[str, NDArray]:
    """The maps (N, h, w) of an epoch."""
    arrays = read_arrays(snapshot, len(recording.probes))
    recorded = {column.title: arrays[column.key] for column in snapshot.columns if column.key in arrays}
    return {title: values for title, values in recorded.items() if values.ndim == 3}


_Extremes = list[tuple[float, float, bool]]


def _every(recording: Recording, titles: Sequence[str]) -> dict[str, _Extremes]:
    """The extremes of each column in every epoch that has it, and whether its maps are weights."""
    found: dict[str, _Extremes] = {title: [] for title in titles}
    for snapshot in recording.snapshots:
        arrays = _by_title(recording, snapshot)
        for title in titles:
            values = arrays.get(title)
            finite = np.empty(0) if values is None else values[np.isfinite(values)]
            if values is not None and finite.size:
                found[title].append((float(finite.min()), float(finite.max()), sums_to_one(values)))
    return found


def _of_attention(values: NDArray, maps: Sequence[NDArray], every: _Extremes, clip: float) -> list[Limits]:
    if every and all(weights for _, _, weights in every):
        most = limits_of(values, signed=False, clip=clip).high
        return [Limits(0.0, max(2 * _mean(heat), most), False) for heat in maps]
    return [_of_gates([low for low, _, _ in every], [high for _, high, _ in every])] * len(maps)


def _of_saliency(heat: NDArray, signed: bool, clip: float) -> Limits:
    if signed:
        return limits_of(heat, signed=True, clip=clip)
    ends = limits_of(heat, signed=False, clip=clip)
    return Limits(min(0.0, ends.low), max(0.0, ends.high), False)


def _of_gates(lows: Sequence[float], highs: Sequence[float]) -> Limits:
    if not lows:
        return Limits(0.0, 1.0, False)
    most = max(abs(min(lows)), abs(max(highs)))
    end = 1.0 if most <= 1 else 2.0 if most <= 2 else most
    return Limits(-end, end, True) if min(lows) < 0 else Limits(0.0, end, False)


def _mean(heat: NDArray) -> float:
    finite = heat[np.isfinite(heat)]
    return float(finite.mean()) if finite.size else 0.0
