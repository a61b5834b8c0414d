"""The table of insertion and deletion curves against scipy's bootstrap."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from cv_attention.report.read.faithfulness import faithfulness
from cv_attention.rundir.contents import Faithfulness


def content(auc: list[float]) -> dict:
    curve = {"auc": auc, "curve": [[0.0, value] for value in auc]}
    both = {"insertion": curve, "deletion": curve}
    return {"epoch": 1, "step": 2, "mean": [0.5] * 3, "kernel": [1.0], "classes": [0], "curves": {"grad_cam": both},
            "baselines": {"random": both}}  # fmt: skip


def test_intervals_are_those_of_scipys_bootstrap():
    auc = np.random.default_rng(1).normal(0.6, 0.1, 60)
    expected = bootstrap(
        (auc,), np.mean, n_resamples=20_000, confidence_level=0.95, method="percentile"
    ).confidence_interval
    explained, random = faithfulness(Faithfulness.of(content(auc.tolist())))["table"]
    mean, low, high = explained["insertion"]
    assert mean == pytest.approx(auc.mean(), abs=1e-4)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.002)  # a 90 % interval is 0.004 shorter
    assert (explained["known"], random["known"]) == (True, False)


@pytest.mark.parametrize("auc", [[0.5, float("nan")], [float("inf")]])
def test_curves_that_are_not_finite_are_refused(auc):
    with pytest.raises(ValueError, match="finite"):
        Faithfulness.of(content(auc))
