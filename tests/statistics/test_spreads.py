"""Networks whose runs spread more than the others': variances by hand, wider intervals, and simulated false alarms."""

import numpy as np
import pytest
from scipy import stats

from cv_attention.statistics import fit_additive, judge
from cv_attention.statistics.spreads import spreads
from tests.quick import quick_only


def study(scales, blocks, seed=0):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((len(scales), blocks)) * np.array(scales)[:, None] + generator.normal(0, 2, blocks)


def by_hand(values, arm):
    """Variance of an arm in a complete table, p value of the F test, and the variance of the other arms."""
    rest = np.delete(values, arm, axis=0)
    others, blocks = rest.shape
    residual = rest - rest.mean(0) - rest.mean(1, keepdims=True) + rest.mean()
    common = (residual**2).sum() / ((others - 1) * (blocks - 1))
    contrast = (values[arm] - rest.mean(0)).var(ddof=1)  # its own variance, and that of a mean of the others
    p = stats.f.sf(contrast / common * others / (others + 1), blocks - 1, (others - 1) * (blocks - 1))
    return contrast - common / others, p, common


@pytest.mark.parametrize("arm", [0, 2])
@pytest.mark.parametrize("blocks", [3, 5, 9])
def test_the_variance_of_an_arm_is_the_one_by_hand(arm, blocks):
    scales = np.ones(6)
    scales[arm] = 6
    values = study(scales, blocks)
    found = spreads(values, fit_additive(values), 0)
    own, p, common = by_hand(values, arm)
    assert p < 0.05
    assert np.isfinite(found.ratios).tolist() == [one == arm for one in range(6)]
    np.testing.assert_allclose(found.ratios[arm], (own / common) ** 0.5)
    np.testing.assert_allclose(found.covariance[arm or 1, arm or 1], (own + common) / blocks)
    df = (own + common) ** 2 / (own**2 / (blocks - 1) + common**2 / (4 * (blocks - 1)))  # Welch and Satterthwaite
    np.testing.assert_allclose(found.df[arm or 1], df)
    assert found.concerned.tolist() == ([True] * 6 if arm == 0 else [one == arm for one in range(6)])


@pytest.mark.parametrize("seed", range(30))
def test_arms_are_found_by_the_f_test_at_ten_percent(seed):
    values = study([1, 1, 2, 1], 4, seed)
    found = spreads(values, fit_additive(values), 0)
    wanted = [by_hand(values, arm)[1] < 0.1 for arm in range(4)]
    assert (np.isfinite(found.ratios).tolist() if found else [False] * 4) == wanted


def test_only_intervals_of_such_an_arm_are_wider_and_none_is_narrower():
    values = study([1, 1, 6, 1, 1], 5)
    study_of_all = judge(values)
    pooled = fit_additive(values)
    widths = np.array([one.high - one.low for one in study_of_all.arms[1:]]) / pooled.errors[1:]
    assert widths[1] > 1.2 * widths[0]
    np.testing.assert_allclose(widths[[2, 3]], widths[0])
    assert [ratio is not None for ratio in study_of_all.spreads] == [False, False, True, False, False]


def test_an_arm_far_apart_takes_nothing_from_the_others():
    """Of five arms, one sometimes diverges: it gets a paired t test of its own, the others four fifths of alpha."""
    values = study([1, 1, 1, 15, 1, 1], 8)
    found, without = judge(values, margin=1.0), judge(np.delete(values, 3, axis=0), margin=1.0, alpha=0.05 * 4 / 5)
    assert found.arms[:3] + found.arms[4:] == without.arms
    assert (found.deviation, found.df, found.method) == (without.deviation, without.df, without.method)
    low, high = stats.ttest_rel(values[3], values[0]).confidence_interval(1 - 0.05 / 5)
    np.testing.assert_allclose([found.arms[3].low, found.arms[3].high], [low, high])
    assert (found.apart, without.apart) == ((False, False, False, True, False, False), ())
    assert found.spreads[3] == pytest.approx(by_hand(values, 3)[0] ** 0.5 / by_hand(values, 3)[2] ** 0.5)


def test_two_arms_far_apart_do_not_hide_one_another():
    values = study([1, 7, 1, 15, 1, 1], 8)
    rest = judge(values[[0, 2, 4, 5]], alpha=0.05 * 3 / 5)
    found = judge(values)
    assert [found.arms[arm] for arm in (0, 2, 4, 5)] == list(rest.arms)
    assert [ratio is not None and ratio > 3 for ratio in found.spreads] == [False, True, False, True, False, False]


@pytest.mark.parametrize("blocks", quick_only([8], [3, 8, 5]))
def test_arms_far_apart_raise_few_false_alarms(blocks):
    generator = np.random.default_rng(5)
    scales = np.array([1, 1, 1, 1, 5, 15.0])[:, None]
    studies = [judge(generator.standard_normal((6, blocks)) * scales) for _ in range(400)]
    alarms = np.mean([any(arm.verdict in ("better", "worse") for arm in one.arms) for one in studies])
    assert alarms < 0.08  # 5 % and 2.8 standard errors
    widths = [arm.high - arm.low for one in studies for arm in one.arms[1:4]]
    if blocks == 8:  # pooled with them, 20; by the four arms alone, 2.6
        assert np.median(widths) < 4


def test_two_arms_stay_a_paired_t_test():
    values = study([9, 1], 5)
    low, high = stats.ttest_rel(values[1], values[0]).confidence_interval(0.95)
    one = judge(values).arms[1]
    np.testing.assert_allclose([one.low, one.high], [low, high])


def test_missing_runs_are_no_hindrance():
    values = study([8, 1, 1, 1], 6)
    values[0, 0] = values[2, 3] = values[3, 5] = np.nan
    found = judge(values)
    assert found.spreads[0] > 2
    assert all(np.isfinite([one.low, one.high]).all() for one in found.arms[1:])


@pytest.mark.long
@pytest.mark.parametrize("blocks", [3, 5])
@pytest.mark.parametrize("place", [0, 1])
def test_a_network_that_spreads_three_times_as_much_raises_few_false_alarms(blocks, place):
    generator = np.random.default_rng(11)
    scales = np.ones((6, 1))
    scales[place] = 3
    wrong = sum(
        any(one.verdict in ("better", "worse") for one in judge(generator.standard_normal((6, blocks)) * scales).arms)
        for _ in range(400)
    )
    assert wrong / 400 <= 0.11  # with the pooled variance for all: 0.16 and 0.10
