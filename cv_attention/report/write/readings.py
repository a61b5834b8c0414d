"""Writes the data of the reading panel: texts with their alignments, weights of each character, tables of the test."""

from pathlib import Path
from typing import Any

from cv_attention.report.read.readings import by_length, confused, read_epoch, read_weights
from cv_attention.report.read.recording import UNREADABLE
from cv_attention.report.read.shrinking import shrink
from cv_attention.report.write.shards import encode
from cv_attention.rundir.layout import EpochFile
from cv_attention.rundir.readings import ReadEpoch, ReadProbe, read_readings


def reading(path: Path, images: int, notices: list[str]) -> dict[str, Any]:
    """Returns what was read from the probe images in one epoch, with weights where they can be read.

    Args:
        path: ``maps/reading-XXXX.json``.
        images: Number of probe images.
        notices: Gets a line where weights are missing or torn.

    Raises:
        Exception: whatever a torn file provokes.
    """
    record = read_epoch(path, images)
    return {
        "unit": record.unit,
        "probes": [_about(probe) for probe in record.probes],
        "weights": _weights(path, record, notices),
    }


def _weights(path: Path, record: ReadEpoch, notices: list[str]) -> dict[str, Any] | None:
    """Returns the weights of every unit of every text, one map after the other; None without any."""
    if not record.attends or not any(probe.units for probe in record.probes):
        return None
    arrays = path.with_suffix(f".{EpochFile.READING_WEIGHTS.suffix}")
    try:
        weights = read_weights(arrays, record.probes)
    except UNREADABLE:
        notices.append(f"maps/{arrays.name} could not be read; the texts of this epoch are shown without weights.")
        return None
    steps = weights.shape[1]
    return {"steps": steps, **encode(shrink(weights.reshape(-1, *weights.shape[2:])))}


def _about(probe: ReadProbe) -> dict[str, Any]:
    return {
        "text": probe.text,
        "confidence": probe.confidence,
        "units": probe.units,
        "confidences": probe.confidences,
        "truth": probe.truth,
        "trueUnits": probe.true_units,
        "alignment": probe.alignment,
    }


def tested_readings(path: Path) -> dict[str, Any]:
    """Returns the tables of the test images' texts, from ``readings.csv``."""
    rows = read_readings(path)
    return {"images": len(rows), "lengths": by_length(rows), "confused": confused(rows)}
