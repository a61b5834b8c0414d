"""Insertion and deletion curves of the probe images, and their means with intervals."""

from typing import Any

import numpy as np


def faithfulness(content: dict[str, Any]) -> dict[str, Any]:
    """Takes over what the page draws, and adds a table.

    Args:
        content: As the training writes it: ``epoch``, ``step``, ``mean``, ``kernel``, ``classes``, ``curves``,
            ``baselines``.

    Returns:
        The same, checked, and ``table``: for each map and baseline ``name``, ``known`` (whether it explains), and for
        insertion and deletion the mean AUC over the images with its bootstrapped 95 % interval [mean, low, high].
    """
    groups = {group: content[group] for group in ("curves", "baselines")}
    curves = {
        g: {str(n): {k: _curve(c[k]) for k in ("insertion", "deletion")} for n, c in groups[g].items()} for g in groups
    }
    table = [
        {"name": name, "known": group == "curves", **{kind: _interval(both[kind]["auc"]) for kind in both}}
        for group, named in curves.items()
        for name, both in named.items()
    ]
    return {
        "epoch": int(content["epoch"]),
        "step": int(content["step"]),
        "mean": [float(value) for value in content["mean"]],
        "kernel": [float(value) for value in content["kernel"]],
        "classes": [int(value) for value in content["classes"]],
        **curves,
        "table": table,
    }


def _curve(curve: dict[str, Any]) -> dict[str, Any]:
    points = [[float(value) for value in row] for row in curve["curve"]]
    auc = [float(value) for value in curve["auc"]]
    if len(points) != len(auc) or not np.isfinite(np.array(points)).all() or not np.isfinite(auc).all():
        raise ValueError("a curve must be finite and have one row for each image")
    return {"auc": auc, "curve": points}


def _interval(values: list[float]) -> list[float]:
    """The mean over images with its 95 % bootstrap interval."""
    from cv_attention.statistics import bootstrap

    return [round(value, 4) for value in bootstrap(values)]
