"""Simulated studies: how often useless blocks are called different. `results/compare.md` has the large ones."""

import numpy as np
import pytest
from scipy import stats

from cv_attention.statistics import judge

STUDIES = 600


def studies(blocks, overlap=None, arms=6):
    """Shares of studies with a wrong verdict, of those by paired t tests, and of those whose intervals all hold."""
    generator = np.random.default_rng(1)
    truth = np.array([0.0] * arms)
    wrong = paired = covered = 0
    for _ in range(STUDIES):
        values = truth[:, None] + generator.standard_normal((arms, blocks)) + 2 * generator.standard_normal(blocks)
        if overlap is not None:  # what folds of one data set have in common, as Nadeau and Bengio assume
            values = 0.8**0.5 * values + 0.2**0.5 * generator.standard_normal((arms, 1))
        found = judge(values, margin=1.0, overlap=overlap).arms[1:]
        wrong += any(one.verdict in ("better", "worse") for one in found)
        covered += all(one.low <= 0 <= one.high for one in found)
        paired += bool((stats.ttest_rel(values[1:], values[:1], axis=1).pvalue < 0.05).any())
    return wrong / STUDIES, paired / STUDIES, covered / STUDIES


@pytest.mark.long
@pytest.mark.parametrize(
    ("blocks", "overlap"),
    [(3, None), (5, 1 / 4), (5, None), (10, None)],
)
def test_useless_blocks_are_seldom_called_different(blocks, overlap):
    wrong, paired, covered = studies(blocks, overlap)
    assert wrong <= 0.06
    assert paired > 0.15  # the same data by a paired t test for each block
    assert covered == 1 - wrong
    assert wrong >= 0.02  # nor are intervals wider than they need be


@pytest.mark.long
def test_unequal_spreads_are_what_sign_flips_are_for():
    generator = np.random.default_rng(5)
    wrong = 0
    for _ in range(300):
        values = generator.standard_normal((6, 8)) * np.array([3.0, 1, 1, 1, 1, 1])[:, None]
        wrong += any(one.verdict in ("better", "worse") for one in judge(values).arms[1:])
    assert wrong / 300 <= 0.09  # Dunnett's value alone: 0.16
