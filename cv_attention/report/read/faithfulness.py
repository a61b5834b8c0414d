"""Summarizes insertion and deletion curves as means with bootstrap intervals."""

from typing import Any

from cv_attention.rundir.contents import Faithfulness


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
    """Returns the mean over images with its 95 % bootstrap interval."""
    from cv_attention.statistics import bootstrap

    return [round(value, 4) for value in bootstrap(values)]
