"""Verdicts against scipy, statsmodels and hand calculation, and what is said where nothing can be judged."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from cv_attention.statistics import judge, seeds_needed

PUBLISHED = np.array([[79.97, 79.87, 80.50], [80.25, 80.26, 80.87], [80.59, 80.99, 80.69], [80.07, 79.37, 80.02]])


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_two_arms_have_the_interval_of_the_paired_t_test(seeds):
    values = np.random.default_rng(seeds).normal(80, 1, (2, seeds))
    one = judge(values).arms[1]
    low, high = stats.ttest_rel(values[1], values[0]).confidence_interval(0.95)
    np.testing.assert_allclose([one.low, one.high], [low, high])


def test_three_seeds_of_four_networks_have_dunnetts_interval():
    study = judge(PUBLISHED, margin=0.3)
    residual = (
        PUBLISHED - PUBLISHED.mean(1, keepdims=True) - PUBLISHED.mean(0, keepdims=True) + PUBLISHED.mean()
    )  # by hand: arm + seed in a complete table
    spread = ((residual**2).sum() / 6) ** 0.5
    assert (study.df, study.deviation) == (6, pytest.approx(spread))
    for one, row in zip(study.arms[1:], PUBLISHED[1:], strict=True):
        half = 3.10 * spread * (2 / 3) ** 0.5  # Dunnett (1964): three treatments, six degrees of freedom
        difference = row.mean() - PUBLISHED[0].mean()
        np.testing.assert_allclose([one.low, one.high], [difference - half, difference + half], atol=0.003)
        assert one.verdict == "unresolved"  # the published "SE gains" was an accident


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("spread", [0.05, 0.2])
def test_equivalence_is_two_one_sided_tests(shift, spread):
    values = np.random.default_rng(7).normal(80, spread, (2, 5))
    values[1] += shift
    p, *_ = ttost_paired(values[1], values[0], -0.3, 0.3)
    assert judge(values, margin=0.3).arms[1].within_margin == (p < 0.05)


@pytest.mark.parametrize(("p", "equivalent"), [(0.04, True), (0.06, False)])
def test_the_level_of_equivalence_is_that_of_one_sided_tests(p, equivalent):
    values = np.random.default_rng(7).normal(80, 0.2, (2, 5))
    differences = values[1] - values[0]
    margin = abs(differences.mean()) + stats.t.ppf(1 - p, 4) * differences.std(ddof=1) / 5**0.5
    assert ttost_paired(values[1], values[0], -margin, margin)[0] == pytest.approx(p)
    assert judge(values, margin=margin).arms[1].within_margin == equivalent


@pytest.mark.long
def test_arms_that_differ_by_the_margin_are_seldom_called_equivalent():
    generator = np.random.default_rng(0)
    shifts = np.array([0, 1, -1, 1, -1, 1.0])[:, None]
    found = 0
    for _ in range(500):
        arms = judge(generator.standard_normal((6, 20)) * 0.5 + shifts, margin=1.0).arms[1:]
        found += any(one.within_margin for one in arms)
    assert 0.02 < found / 500 <= 0.06


def test_folds_have_nadeau_and_bengios_variance():
    values = np.random.default_rng(3).normal(80, 1, (2, 5))
    differences = values[1] - values[0]
    error = ((1 / 5 + 1 / 4) * differences.var(ddof=1)) ** 0.5
    half = stats.t.ppf(0.975, 4) * error
    one = judge(values, overlap=1 / 4).arms[1]
    np.testing.assert_allclose([one.low, one.high], [differences.mean() - half, differences.mean() + half])
    assert one.more is None  # other folds of the same images would add little


def test_a_missing_fold_counts_with_the_folds_that_are_there():
    values = np.random.default_rng(3).normal(80, 1, (2, 5))
    values[1, 4] = np.nan
    differences = (values[1] - values[0])[:4]
    half = stats.t.ppf(0.975, 3) * ((1 / 4 + 1 / 4) * differences.var(ddof=1)) ** 0.5
    one = judge(values, overlap=1 / 4).arms[1]
    np.testing.assert_allclose([one.low, one.high], [differences.mean() - half, differences.mean() + half])


def test_seeds_are_asked_for_by_the_spread_of_the_arm():
    values = np.random.default_rng(1).standard_normal((5, 5)) * np.array([1, 1, 6, 1, 1])[:, None]
    values += np.array([0, 0.8, 0.8, 0.8, 0.8])[:, None] - values.mean(axis=1, keepdims=True)
    study = judge(values)
    assert [ratio is not None for ratio in study.spreads] == [False, False, True, False, False]
    pooled = seeds_needed(0.8, study.deviation, 5) - 5
    assert study.arms[1].more == study.arms[3].more == pooled
    assert study.arms[2].more > 1.5 * pooled


def test_verdicts_say_which_way():
    noise = np.random.default_rng(2).normal(0, 0.05, (5, 4))
    values = 80 + noise + np.array([0, 1, -1, 0.15, 0])[:, None]
    verdicts = [one.verdict for one in judge(values, margin=0.5).arms[1:]]
    assert verdicts == ["better", "worse", "better", "equivalent"]
    assert judge(values, margin=0.5).arms[3].within_margin  # a difference that is shown, and shown to be small
    turned = [one.verdict for one in judge(values, margin=0.5, higher_is_better=False).arms[1:]]
    assert turned == ["worse", "better", "worse", "equivalent"]


def test_without_a_margin_nothing_is_equivalent():
    values = 80 + np.random.default_rng(0).normal(0, 0.001, (2, 5))
    assert judge(values).arms[1].verdict != "equivalent"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[80.0], [81.0]], "only one seed: no spread to judge by"),
        ([[80.0, 81.0], [81.0, np.nan]], "only one seed: no spread to judge by"),
        ([[80.0, 81.0, np.nan, np.nan], [np.nan, np.nan, 81.0, 82.0]], "no seed in common with the reference"),
        ([[80.0, 81.0], [np.nan, np.nan]], "no finished run"),
        ([[80.0, 80.0], [81.0, 81.0]], "the difference is the same for every seed: no spread to judge by"),
        ([[80.0, 81.0], [81.0, 82.0]], "the difference is the same for every seed: no spread to judge by"),
        ([[80.0, np.nan], [81.0, 82.0]], "only one seed of the reference: no spread to judge by"),
        ([[np.nan, np.nan], [81.0, 82.0]], "no finished run of the reference"),
        (np.empty((2, 0)), "no finished run"),
    ],
)
def test_what_cannot_be_judged_has_a_reason(values, reason):
    one = judge(np.array(values), margin=0.3).arms[1]
    assert (one.verdict, one.low, one.more) == ("none", None, None)
    assert one.reason == reason


def test_a_missing_seed_leaves_the_others_in():
    values = np.random.default_rng(0).normal(80, 0.3, (3, 8))
    values[1, 3] = values[2, 0] = np.nan
    study = judge(values, margin=0.3)
    assert all(one.low is not None for one in study.arms[1:])
    assert study.method.endswith(("max-t by sign flips agrees", "max-t by sign flips"))


def test_sign_flips_take_over_where_spreads_are_unequal():
    values = np.random.default_rng(0).standard_normal((6, 8)) * np.array([5.0, 1, 1, 1, 1, 1])[:, None]
    study = judge(values)
    assert study.method == "max-t by sign flips"
    width = study.arms[1].high - study.arms[1].low
    alone = judge(values[:, :5])
    assert alone.method == "Dunnett, pooled residual"
    residual = judge(values).deviation
    assert width > 1.1 * 2 * 2.65 * residual * (2 / 8) ** 0.5  # 2.65: Dunnett's, five treatments and 35 degrees


@pytest.mark.parametrize(
    ("deviation", "for_03", "for_05", "equivalence"),  # of six blocks, planned independently of this code
    [(0.10, 4, 2, None), (0.17, 9, 4, 10), (0.30, 25, 10, 28), (0.40, 44, 17, None)],
)
def test_seeds_to_plan(deviation, for_03, for_05, equivalence):
    assert seeds_needed(0.3, deviation, 7) == for_03
    assert seeds_needed(0.5, deviation, 7) == for_05
    if equivalence:
        assert seeds_needed(0.0, deviation, 7, margin=0.3) == equivalence
    assert seeds_needed(0.0, deviation, 7) is None
