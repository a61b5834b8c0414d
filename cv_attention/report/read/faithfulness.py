"""Summarizes insertion and deletion curves as means with bootstrap intervals."""

from typing import Any

import numpy as np

from cv_attention.rundir.contents import Faithfulness

_RESAMPLES = 2000


def faithfulness(content: Faithfulness) -> dict[str, Any]:
    """Adds a table to the curves that the page draws.

    Args:
        content: The curves, as the run recorded them.

    Returns:
        The same as plain values, and ``table``: for each map and baseline ``name``, ``known`` (whether it explains),
        and for insertion and deletion the mean AUC over the images with its bootstrapped 95 % interval
        [mean, low, high].
    """
    table = [
        {"name": name, "known": group is content.curves, **{kind: _interval(both[kind]["auc"]) for kind in both}}
        for group in (content.curves, content.baselines)
        for name, both in group.items()
    ]
    return {**vars(content), "table": table}


def _interval(values: list[float]) -> list[float]:
    """Computes the mean over images with its bootstrap interval."""
    drawn = np.random.default_rng(0).choice(np.array(values), (_RESAMPLES, len(values))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [round(float(value), 4) for value in (np.mean(values), low, high)]
