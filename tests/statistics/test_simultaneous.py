"""Critical values against Dunnett's published tables, scipy's `dunnett`, and sign flips written out in loops."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from cv_attention.statistics import fit_additive
from cv_attention.statistics.simultaneous import dunnett, sign_flips


@pytest.mark.parametrize(
    ("arms", "df", "published"),  # Dunnett (1964), two-sided, 5 %
    [(1, 5, 2.57), (2, 5, 3.03), (3, 8, 2.88), (5, 10, 2.99), (5, 20, 2.73), (9, 30, 2.86), (2, 120, 2.24)],
)
def test_dunnetts_values_are_the_published_ones(arms, df, published):
    assert dunnett(np.eye(arms) + 1, df, 0.95) == pytest.approx(published, abs=0.006)


def test_unequal_numbers_of_runs_give_scipys_value():
    generator = np.random.default_rng(0)
    sizes = (4, 9, 3, 5)
    control, *samples = [generator.standard_normal(size) for size in sizes]
    found = stats.dunnett(*samples, control=control, random_state=0)
    interval = found.confidence_interval(0.95)
    df = sum(sizes) - len(sizes)
    pooled = (sum(one.var() * len(one) for one in (control, *samples)) / df) ** 0.5
    errors = pooled * np.sqrt(1 / np.array(sizes[1:]) + 1 / sizes[0])
    critical = (interval.high - interval.low) / 2 / errors
    covariance = np.diag(1 / np.array(sizes[1:])) + 1 / sizes[0]
    np.testing.assert_allclose(dunnett(covariance, df, 0.95), critical, rtol=0.005)


def test_flips_are_those_of_a_loop_that_fits_again():
    values = np.random.default_rng(2).standard_normal((4, 6))
    values[2, 1] = values[0, 4] = np.nan
    fit = fit_additive(values)
    residuals = np.full(values.shape, np.nan)
    residuals[np.isfinite(values)] = fit.residuals
    expected = []
    for signs in product((1, -1), repeat=6):
        again = fit_additive(residuals * signs)
        t = np.abs(again.differences[1:]) / again.errors[1:]
        expected.append(0 if len(set(signs)) == 1 else t.max())
    found = sign_flips(fit, np.array([False, True, True, True]), np.nonzero(np.isfinite(values))[1])
    np.testing.assert_allclose(np.repeat(found, 2), np.sort(expected), atol=1e-8)  # half of them are mirror images


def test_many_blocks_are_flipped_by_chance_but_always_alike():
    fit = fit_additive(np.random.default_rng(0).standard_normal((3, 14)))
    block = np.tile(np.arange(14), 3)
    first, second = (sign_flips(fit, np.array([False, True, True]), block) for _ in range(2))
    assert len(first) == 4096
    np.testing.assert_array_equal(first, second)
