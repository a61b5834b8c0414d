"""Compares the configuration that a run has written down with the one that is asked for."""

import json
from collections.abc import Collection
from functools import reduce
from typing import Any

from cv_attention.comparison.fields import SILENT_EXTRA, Kind, kind, names
from cv_attention.config import Experiment

# Fields that a run fills in from its data and weights, so that its configuration is more exact than the requested one.
FILLED_IN = ("data.mean", "data.std", "data.train_transforms", "data.eval_transforms", "data.bits")


def other_values(before: Experiment, asked: Experiment, without: Collection[str] = ()) -> list[str]:
    """Lists fields that affect results and have other values than asked, as ``optimizer.lr: 0.1 -> 0.05``.

    Args:
        before: The configuration of a run.
        asked: The requested one; what it leaves open, a run may have filled in.
        without: Names of fields that do not count.
    """
    lines = []
    for name in names():
        if kind(name) in (Kind.EXECUTION, Kind.RECORD) or name in without:
            continue
        old, new = _value(before, name), _value(asked, name)
        if old != new and not (name in FILLED_IN and not new):
            lines.append(f"{name}: {json.dumps(old)} -> {json.dumps(new)}")
    return lines


def _value(experiment: Experiment, name: str) -> Any:
    value: Any = reduce(getattr, name.split("."), experiment)
    return {key: value[key] for key in value if key not in SILENT_EXTRA} if name == "trainer.extra" else value
