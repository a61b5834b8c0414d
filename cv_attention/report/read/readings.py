"""Reads texts that a run has read: of the probe images in each recorded epoch, and of the test images."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cv_attention.alignment import align, edits
from cv_attention.rundir.arrays import read_arrays
from cv_attention.rundir.readings import ReadEpoch, ReadProbe, ReadText

_MOST_CONFUSED = 30


def read_epoch(path: Path, images: int) -> ReadEpoch:
    """Reads ``maps/reading-XXXX.json``.

    Args:
        path: The file.
        images: Number of probe images.

    Raises:
        ValueError: if it cannot be read, or has another number of images.
    """
    record = ReadEpoch.read(path)
    if len(record.probes) != images:
        raise ValueError(f"it has {len(record.probes)} images, not {images}")
    return record


def read_weights(path: Path, probes: Sequence[ReadProbe]) -> NDArray[np.float32]:
    """Reads the weights of ``maps/reading-XXXX.npz``, the mean over heads: (N, T, h, w).

    Args:
        path: The file.
        probes: What was read from the images.

    Raises:
        Exception: whatever numpy raises for a torn file; ValueError for weights of other texts.
    """
    weights = read_arrays(path, {"weights"})["weights"]
    longest = max((len(probe.units) for probe in probes), default=0)
    if weights.ndim != 5 or weights.dtype.kind != "f" or not weights.size:
        raise ValueError(f"weights must be (images, heads, units, height, width), got {weights.shape}")
    if len(weights) != len(probes) or weights.shape[2] != longest:
        raise ValueError(f"weights must be of {len(probes)} images and {longest} units, got {weights.shape}")
    return weights.astype(np.float32).mean(1)


def by_length(rows: Sequence[ReadText]) -> list[dict[str, Any]]:
    """Returns for each length of the true texts the number of images, the character error rate and the exact share."""
    groups: dict[int, list[ReadText]] = {}
    for row in rows:
        if row.truth is not None:
            groups.setdefault(len(row.truth), []).append(row)
    found = []
    for length, group in sorted(groups.items()):
        errors = sum(edits(align(row.text, row.truth or "")) for row in group)
        exact = sum(row.text == row.truth for row in group)
        rate = errors / max(length * len(group), 1)
        found.append({"length": length, "images": len(group), "errors": errors, "cer": rate, "exact": exact})
    return found


def confused(rows: Sequence[ReadText]) -> list[tuple[str, str, int, int]]:
    """Returns the most frequent errors: true character, what was read, how often, and how often the true one occurs.

    The true character is empty where one was read that is not there, and what was read where one was not read.
    """
    wrong: Counter[tuple[str, str]] = Counter()
    occurring: Counter[str] = Counter()
    for row in rows:
        if row.truth is None:
            continue
        occurring.update(row.truth)
        for pair in align(row.text, row.truth):
            if pair.kind != "match":
                true = "" if pair.true is None else row.truth[pair.true]
                wrong[true, "" if pair.read is None else row.text[pair.read]] += 1
    return [(true, read, count, occurring[true]) for (true, read), count in wrong.most_common(_MOST_CONFUSED)]
