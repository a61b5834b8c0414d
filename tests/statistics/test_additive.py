"""The additive fit against statsmodels' least squares, with and without missing runs."""

import numpy as np
import pytest
import statsmodels.api as sm

from cv_attention.statistics import fit_additive, interaction


def with_ordinary_least_squares(values, reference):
    """Differences to the reference, their standard errors and the residual variance."""
    arm, block = np.nonzero(np.isfinite(values))
    arms = [one for one in range(len(values)) if one != reference]
    columns = [np.ones(len(arm)), *(arm == one for one in arms), *(block == one for one in range(1, values.shape[1]))]
    fitted = sm.OLS(values[arm, block], np.stack(columns, axis=1).astype(float)).fit()
    count = len(arms)
    return fitted.params[1 : 1 + count], fitted.cov_params()[1 : 1 + count, 1 : 1 + count], fitted.scale


@pytest.mark.parametrize("missing", [[], [(0, 1)], [(1, 0), (3, 2), (0, 4)]])
@pytest.mark.parametrize("reference", [0, 2])
def test_differences_and_covariance_are_those_of_statsmodels(missing, reference):
    values = np.random.default_rng(0).normal(80, 0.5, (4, 5))
    for cell in missing:
        values[cell] = np.nan
    fit = fit_additive(values, reference)
    others = np.arange(4) != reference
    differences, covariance, variance = with_ordinary_least_squares(values, reference)
    np.testing.assert_allclose(fit.differences[others], differences, atol=1e-9)
    np.testing.assert_allclose(fit.covariance[np.ix_(others, others)] * fit.variance, covariance, atol=1e-9)
    np.testing.assert_allclose(fit.variance, variance)
    np.testing.assert_allclose(fit.errors[others] ** 2, np.diag(covariance))


def test_an_arm_without_shared_blocks_has_no_difference():
    values = np.full((3, 4), np.nan)
    values[0, :2], values[1, :2], values[2, 2:] = [80, 81], [80.5, 81.2], [70, 71]
    fit = fit_additive(values)
    assert fit.design.estimable.tolist() == [True, True, False]
    assert np.isnan(fit.differences[2])
    np.testing.assert_allclose(fit.differences[1], 0.35)


def test_equal_values_have_a_variance_of_exactly_zero():
    values = np.array([[0.1, 0.2, 0.7]] * 3) + 0.1
    assert fit_additive(values).variance == 0


def test_the_interaction_is_the_f_test_of_nested_models():
    generator = np.random.default_rng(1)
    first, second = generator.normal(80, 0.5, (3, 4)), generator.normal(81, 0.5, (3, 5))
    second[1] += 0.6
    rows = [(0, *cell) for cell in np.ndindex(first.shape)] + [(1, *cell) for cell in np.ndindex(second.shape)]
    recipe, arm, block = np.array(rows).T
    y = np.concatenate([first.ravel(), second.ravel()])
    blocks = [(recipe == r) & (block == b) for r in (0, 1) for b in range((4, 5)[r])]
    arms = [arm == one for one in (1, 2)]
    small = np.stack([*blocks, *arms], axis=1).astype(float)
    large = np.stack([*blocks, *arms, *((arm == one) & (recipe == 1) for one in (1, 2))], axis=1).astype(float)
    _, p, _ = sm.OLS(y, large).fit().compare_f_test(sm.OLS(y, small).fit())
    np.testing.assert_allclose(interaction(first, second), p)


def test_an_interaction_needs_arms_under_both_recipes():
    assert interaction(np.array([[1.0, 2, 4], [np.nan] * 3]), np.array([[1.0, 2, 3], [4, 5, 7]])) is None
