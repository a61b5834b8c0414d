"""Bootstrap intervals, against distributions that are known exactly."""

import numpy as np
import pytest
from scipy import stats

from cv_attention.statistics import bootstrap, intervals, student, wilson


def test_the_mean_of_zeros_and_ones_is_binomial():
    """N of N values drawn with replacement hold Binomial(N, mean) ones."""
    values = np.arange(200) < 60
    for confidence in (0.5, 0.95):
        got = bootstrap(values, confidence=confidence, resamples=20_000, seed=3)
        expected = stats.binom.ppf([(1 - confidence) / 2, (1 + confidence) / 2], 200, 0.3) / 200
        assert got.mean == pytest.approx(0.3)
        assert (got.low, got.high) == pytest.approx(tuple(expected), abs=0.006)  # one image is 0.005


def test_a_normal_mean_lies_within_1_96_standard_errors():
    values = np.random.default_rng(0).normal(2, 1, 400)
    got = bootstrap(values)
    error = values.std(ddof=1) / 20
    assert got.low == pytest.approx(got.mean - 1.96 * error, abs=0.2 * error)
    assert got.high == pytest.approx(got.mean + 1.96 * error, abs=0.2 * error)
    assert got == bootstrap(values.tolist())
    assert got != bootstrap(values, seed=1)


def test_many_values_are_drawn_in_parts(monkeypatch):
    values = np.random.default_rng(0).normal(size=50)
    whole = bootstrap(values)
    monkeypatch.setattr(intervals, "_AT_ONCE", 120)
    assert bootstrap(values) == whole


def test_one_value_and_equal_values_are_their_own_interval():
    assert bootstrap([0.25]) == (0.25, 0.25, 0.25)
    assert str(bootstrap([True, True])) == "1.000 [1.000, 1.000]"


@pytest.mark.parametrize("bad", [[], [1.0, float("nan")], [[0.0, 0.0]], [float("inf")]], ids=str)
def test_values_that_have_no_mean_are_refused(bad):
    with pytest.raises(ValueError, match="finite numbers"):
        bootstrap(bad)


@pytest.mark.parametrize("options", [{"confidence": 1.0}, {"confidence": 0}, {"resamples": 0}], ids=str)
def test_arguments_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=r"confidence in \(0, 1\) and resamples >= 1 are needed, got"):
        bootstrap([1.0, 2.0], **options)


def test_the_earlier_name_is_deprecated():
    from cv_attention.saliency import metrics

    with pytest.warns(
        DeprecationWarning, match=r"metrics\.bootstrap is deprecated; use cv_attention\.statistics\.bootstrap"
    ):
        earlier = metrics.bootstrap
    assert earlier is bootstrap
    with pytest.raises(AttributeError, match="no attribute 'bootstrapp'"):
        _ = metrics.bootstrapp


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (1, 1), (0, 20), (9, 10), (50, 100), (153, 153), (3, 7000)])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_wilsons_interval_is_scipys(hits, count, confidence):
    theirs = stats.binomtest(hits, count).proportion_ci(confidence, method="wilson")
    assert wilson(hits, count, confidence=confidence) == pytest.approx(
        (hits / count, theirs.low, theirs.high), abs=1e-9
    )


@pytest.mark.parametrize(("hits", "count", "confidence"), [(1, 0, 0.9), (3, 2, 0.9), (-1, 2, 0.9), (1, 2, 1.0)])
def test_wilsons_interval_needs_a_share(hits, count, confidence):
    with pytest.raises(ValueError, match=f"got {hits}, {count} and {confidence}"):
        wilson(hits, count, confidence=confidence)


def test_t_intervals_are_those_of_scipy():
    values = [0.03, 0.05, 0.045, 0.01]
    for confidence in (0.8, 0.95, 0.999):
        wanted = stats.ttest_1samp(values, 0).confidence_interval(confidence)
        assert student(values, confidence=confidence) == pytest.approx((np.mean(values), wanted.low, wanted.high))
    assert student([0.5]) == (0.5, -np.inf, np.inf)
    for wrong in ([], [np.nan], [[1.0]]):
        with pytest.raises(ValueError, match="values must be a list of finite numbers"):
            student(wrong)
    with pytest.raises(ValueError, match=r"confidence must be in \(0, 1\), got 1"):
        student(values, confidence=1)
