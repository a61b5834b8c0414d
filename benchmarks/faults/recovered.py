"""Compares the results of work that was interrupted and repeated with those of work that ran through, to the bit."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file


def same_run(run: Path, whole: Path) -> list[str]:
    """Names what two runs differ in, or what is missing."""
    wrong = [] if (run / "report" / "index.html").is_file() else ["no report"]
    summaries = [json.loads((one / "summary.json").read_text()) for one in (run, whole)]
    wrong += [f"summary: {name}" for name in ("test", "selected", "validation", "in_use", "finished")
              if summaries[0].get(name) != summaries[1].get(name)]  # fmt: skip
    for name in ("last.ckpt", "best.ckpt"):
        first, second = (torch.load(one / "checkpoints" / name, weights_only=True) for one in (run, whole))
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "random_states", "epoch", "global_step"):
            if not same(first[part], second[part]):
                wrong.append(f"{name}: {part}")
    if not same(*(load_file(one / "weights.safetensors") for one in (run, whole))):
        wrong.append("weights.safetensors")
    if rows_of(run) != rows_of(whole):
        wrong.append("metrics")
    return wrong + same_files(run, whole, ("maps", "confusion", "predictions.npz"))


def same(ours: Any, theirs: Any) -> bool:
    """Compares two trees of plain values and tensors, bit for bit."""
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(value, theirs[key]) for key, value in ours.items())
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return torch.equal(ours, theirs) if isinstance(ours, torch.Tensor) else ours == theirs


def rows_of(run: Path) -> list[str]:
    """All rows of a run's metrics, part after part, their columns by name."""
    rows = []
    for path in sorted((run / "metrics").glob("*/metrics.csv"), key=lambda path: int(path.parent.name)):
        with path.open(newline="") as file:
            rows += [json.dumps({k: v for k, v in sorted(row.items()) if v}) for row in csv.DictReader(file)]
    return rows


def same_files(ours: Path, theirs: Path, names: tuple[str, ...] = (".",)) -> list[str]:
    """Names the files below two folders that are not in both or differ; arrays are compared by their values."""
    found = [{str(path.relative_to(root)): path for name in names for path in [root / name, *(root / name).rglob("*")]
              if path.is_file()} for root in (ours, theirs)]  # fmt: skip
    wrong = [f"only in one: {name}" for name in found[0].keys() ^ found[1].keys()]
    for name in found[0].keys() & found[1].keys():
        first, second = found[0][name], found[1][name]
        if first.read_bytes() != second.read_bytes() and not (name.endswith(".npz") and same_arrays(first, second)):
            wrong.append(name)
    return wrong


def same_arrays(first: Path, second: Path) -> bool:
    """Whether two archives hold the same arrays."""
    with np.load(first) as ours, np.load(second) as theirs:
        return set(ours) == set(theirs) and all(
            ours[key].dtype == theirs[key].dtype and ours[key].tobytes() == theirs[key].tobytes() for key in ours
        )
