"""Reads a run directory for a comparison: its configuration and its figures."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cv_attention.comparison import fields, predictions, summaries
from cv_attention.comparison.predictions import Predictions
from cv_attention.comparison.validation import best_validation
from cv_attention.config import Experiment
from cv_attention.rundir import read_yaml, summary
from cv_attention.rundir.layout import RunLayout, runs_in
from cv_attention.suggest import suggest

# Between 0 and 1, shown in percent.
SHARES = (
    *("accuracy", "accuracy_top5", "pointing", "pointing_attention", "probability"),
    *("exact", "word_accuracy", "attention_in_box", "glimpse_in_box"),
    *("map", "balanced_accuracy", "subset_accuracy", "f1_macro", "f1_micro", "f1_macro_tuned", "f1_micro_tuned"),
    *("precision_macro", "recall_macro"),
)
RATES = ("cer",)  # shown in percent; lower is better, and more errors than characters are possible
USUAL = ("accuracy", "cer", "map", "mae")  # what runs are compared by, the first of these that they have
SPLITS = {"test": "test", "val": "validation"}  # the split -> its figures in summary.json


@dataclass(frozen=True)
class Run:
    """Holds the contents of a run directory.

    Attributes:
        path: The directory.
        config: Its configuration by dotted names; fields missing because an older version wrote it have their
            default.
        summary: Its ``summary.json``; empty if there is none.
        altered: Notices about files that have changed since the run wrote them.
    """

    path: Path
    config: dict[str, Any]
    summary: dict[str, Any]
    altered: tuple[str, ...] = ()

    def figures(self, split: str) -> dict[str, float]:
        """Returns the metrics of the split ``test`` or ``val``; empty if the run has not got that far."""
        metrics = self.summary.get(SPLITS[split])
        if split == "val" and "validation" not in self.summary and self.summary.get("test"):
            metrics = best_validation(self.path)  # for older runs; newer ones record {} if the epoch was not validated
        return summaries.figures(metrics or {})

    @property
    def directions(self) -> Mapping[str, Any]:
        """Metric -> whether higher values of it are better, as far as the run says so."""
        return self.summary.get("higher_is_better") or {}

    def predictions(self) -> Predictions | None:
        """Returns the predictions for the test images; None if they were not kept."""
        return predictions.read(self.path, self.figures("test"))

    def contradicts(self) -> bool:
        """Returns whether there are predictions that do not belong to the test in the summary."""
        return self.predictions_file.is_file() and self.predictions() is None

    @property
    def predictions_file(self) -> Path:
        """The file of predictions, whether it exists or not."""
        return predictions.file_of(self.path, self.figures("test"))

    def figure(self, split: str, metric: str) -> float | None:
        """Returns one metric; None if the run has not finished or ended with a non-finite value.

        Raises:
            ValueError: if the run has finished and has no such metric.
        """
        metrics = self.figures(split)
        if not metrics:
            return None
        images = self.predictions() if metric == "probability" and split == "test" else None
        if images is not None and images.probability is not None:
            metrics |= {"probability": float(images.probability.mean(dtype=float))}
        if metric not in metrics:
            raise ValueError(f"{self.path} has no {split} metric {metric!r}{self._why(split, metric, metrics)}")
        value = metrics[metric]
        if metric in SHARES and not (0 <= value <= 1 or not math.isfinite(value)):
            raise ValueError(f"{self.path}: {split} {metric} must lie between 0 and 1, got {value:g}")
        return value if math.isfinite(value) else None

    def _why(self, split: str, metric: str, metrics: Mapping[str, float]) -> str:
        if metric == "probability" and split == "test" and predictions.OF_TEXTS not in metrics:
            state = "does not belong to the test in summary.json" if self.contradicts() else "is missing"
            return f": it is computed from {RunLayout(self.path).predictions.name}, which {state}"
        return suggest(metric, list(metrics))


def read(path: Path) -> Run:
    """Reads a run directory; it may be unfinished.

    Raises:
        ValueError: if it is not a run directory, or a file in it cannot be read.
    """
    said = summary.read(path)
    summaries.check(path / summary.NAME, said)
    file = RunLayout(path).config
    if not file.is_file():
        near = [run.name for run in runs_in(path.parent)]
        raise ValueError(f"{path} is not a run directory{suggest(path.name, near) or ': it has no config.yaml'}")
    known = set(fields.names())
    groups = {name.rsplit(".", 1)[0] for name in known if "." in name}
    groups |= {group.rsplit(".", 1)[0] for group in groups if "." in group}
    config = dict(_flat(Experiment().to_dict(), groups)) | dict(_flat(read_yaml(file), groups))
    for group in groups & config.keys():
        raise ValueError(f"{file}: {group} must hold options, got {config[group]!r}")
    for name in ("seed", "data.fold"):
        if not isinstance(config[name], int) or isinstance(config[name], bool):
            raise ValueError(f"{file}: {name} must be a whole number, got {config[name]!r}")
    own = said.get("data") or {}
    if "module" in own:  # a data module of one's own, of which the configuration says nothing
        config |= {"data.name": str(own["module"]), "data.batch_size": own.get("batch_size")}
    used = (file.name, RunLayout(path).predictions.name, RunLayout(path).readings.name)
    return Run(path, config, said, tuple(summary.changes(path, said, used)))


def _flat(config: Mapping[str, Any], groups: set[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and f"{prefix}{name}" in groups:
            yield from _flat(value, groups, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
