"""What a number of seeds can show, against statsmodels' power of the paired t test and against simulated verdicts."""

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from cv_attention.statistics import detectable, judge, seeds_needed


@pytest.mark.parametrize("seeds", [3, 5, 9, 30])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_two_arms_detect_what_a_paired_t_test_does(seeds, power):
    # a difference of two runs has the standard deviation sqrt(2) times that of one
    effect = TTestPower().solve_power(nobs=seeds, alpha=0.05, power=power, alternative="two-sided")
    assert detectable(seeds, 0.3, 2, power=power) == pytest.approx(effect * 0.3 * 2**0.5, rel=1e-4)


def test_two_seeds_of_two_arms_are_simulated():
    """statsmodels' power has two digits for one degree of freedom."""
    generator, nobs = np.random.default_rng(0), 200_000
    pairs = generator.standard_normal((2, nobs)) * 0.3 * 2**0.5 + detectable(2, 0.3, 2, power=0.5)
    t = pairs.mean(0) / (pairs.std(0, ddof=1) / 2**0.5)
    assert np.mean(t > 12.7062) == pytest.approx(0.5, abs=0.005)


def test_the_number_of_seeds_and_the_difference_are_each_others_inverse():
    for seeds in (4, 10, 25):
        difference = detectable(seeds, 0.3, 4)
        assert abs(seeds_needed(difference, 0.3, 4) - seeds) <= 1


def test_verdicts_find_the_difference_as_often_as_planned():
    generator, size = np.random.default_rng(0), detectable(6, 1.0, 4)
    shift = np.array([0, size, 0, 0])[:, None]
    found = sum(judge(generator.standard_normal((4, 6)) + shift).arms[1].verdict == "better" for _ in range(400))
    assert 0.76 < found / 400 < 0.9  # Bonferroni's level is a little stricter than the verdict's, Dunnett's


@pytest.mark.parametrize(("seeds", "arms"), [(1, 2), (3, 1)])
def test_too_few_seeds_or_arms_are_refused(seeds, arms):
    with pytest.raises(ValueError, match="at least 2"):
        detectable(seeds, 0.3, arms)
