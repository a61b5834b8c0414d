"""Decides whether higher or lower values of a metric are better."""

from collections.abc import Sequence

from cv_attention.comparison.runs import RATES, SHARES, Run


def stated(metric: str, runs: Sequence[Run]) -> bool | None:
    """Returns whether higher values of a metric are better, None where neither its name nor a run says so.

    A run says so in ``summary.json``: for the metric that chose its epoch, and for those that know it themselves.

    Args:
        metric: Its name, without the split.
        runs: The runs that are compared.
    """
    if metric == "loss" or metric.endswith("_loss"):
        return False
    said = {found for run in runs if isinstance(found := run.directions.get(metric), bool)}
    if len(said) == 1:
        return said.pop()
    return True if metric in SHARES else False if metric in RATES else None
