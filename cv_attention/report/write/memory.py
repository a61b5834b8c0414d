"""Prepares episodes of a network with a memory, and its accuracy by the instance of a class, for the page."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.report.write.thumbnails import as_url
from cv_attention.rundir.arrays import read_arrays


def remembered(path: Path) -> dict[str, Any]:
    """Returns the episodes of ``memory.npz``: images, answers, and weights in thousandths, step by step.

    Args:
        path: The file, next to ``recalled.csv``.

    Raises:
        ValueError: if arrays are missing, or do not fit together.
    """
    arrays = read_arrays(path)
    episodes = [_episode(arrays, number) for number in range(len(arrays["index"]))]
    return {"kind": str(arrays["kind"]), "episodes": episodes, "instances": by_instance(path.with_name("recalled.csv"))}


def by_instance(path: Path) -> list[dict[str, int]]:
    """Counts the answers of a ``recalled.csv`` by how often their label had been shown: ``nth``, ``right``, ``count``.

    Args:
        path: The file; one that is missing gives nothing.
    """
    if not path.is_file():
        return []
    counts: dict[int, list[int]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            one = counts.setdefault(int(row["instance"]), [0, 0])
            one[0] += row["answer"] == row["given"]
            one[1] += 1
    return [{"nth": nth, "right": right, "count": count} for nth, (right, count) in sorted(counts.items()) if nth > 0]


def _episode(arrays: dict[str, np.ndarray], number: int) -> dict[str, Any]:
    place, answer, given, nth = (arrays[name][number] for name in ("place", "answer", "given", "nth"))
    if not len(place) == len(answer) == len(given) == len(nth):
        raise ValueError("the steps of an episode have different lengths")
    last = max(np.flatnonzero((place >= 0) | (answer >= 0)), default=-1) + 1  # what follows is padding of the batch
    shown = arrays["image"][number]
    steps = [
        {"url": as_url(shown[place[step]]) if place[step] >= 0 else None,
         "answer": int(answer[step]), "given": int(given[step]), "nth": int(nth[step])}
        for step in range(last)
    ]  # fmt: skip
    weights = {name: _thousandths(arrays[name][number][:last]) for name in ("read", "write") if name in arrays}
    return {"index": int(arrays["index"][number]), "steps": steps, **weights}


def _thousandths(weights: np.ndarray) -> list[list[int]]:
    """Returns weights (S, N) as whole numbers, slot by slot: (N, S)."""
    finite = np.nan_to_num(weights.astype(np.float32), posinf=1)
    return (1000 * finite.T).round().astype(int).tolist()
