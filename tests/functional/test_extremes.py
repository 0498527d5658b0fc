"""Tails: as SciPy fits them, as the distribution has them, and beyond what was seen."""

import numpy as np
import pytest
import torch
from scipy.stats import genpareto

from glial.core.errors import InputError
from glial.functional.extremes import extreme_quantile, fit_generalized_pareto


@pytest.mark.parametrize("shape", [-0.4, 0.0, 0.3, 0.8])
def test_the_fit_is_as_likely_as_scipys(shape):
    values = genpareto.rvs(shape, scale=2.5, size=400, random_state=0)
    own = fit_generalized_pareto(torch.from_numpy(values))
    theirs = genpareto.fit(values, floc=0)
    likelihoods = [genpareto.logpdf(values, c, scale=s).sum() for c, s in (own, theirs[::2])]
    assert likelihoods[0] > likelihoods[1] - 1e-3
    assert own == pytest.approx((shape, 2.5), abs=0.35)


def test_a_rare_level_is_that_of_the_distribution():
    exact = [genpareto.ppf(1 - 1e-4, c) for c in (-0.2, 0.0, 0.2)]
    even = np.linspace(0, 1, 20_002)[1:-1]
    found = [
        extreme_quantile(torch.from_numpy(genpareto.ppf(even, c)), 1e-4) for c in (-0.2, 0, 0.2)
    ]
    np.testing.assert_allclose(found, exact, rtol=0.03)


def test_levels_go_beyond_the_largest_value_and_are_nearer_the_truth_than_it():
    generator, truth = np.random.default_rng(0), -np.log(1e-4)
    errors = {"tail": [], "largest": []}
    for _ in range(20):
        values = generator.exponential(size=1000)
        errors["tail"].append(extreme_quantile(torch.from_numpy(values), 1e-4) - truth)
        errors["largest"].append(values.max() - truth)
    biases = {name: abs(np.mean(some)) for name, some in errors.items()}
    assert biases["tail"] < 0.5 * biases["largest"]
    assert max(errors["tail"]) > 0


def test_a_share_that_is_not_rare_is_an_ordinary_quantile_and_ties_have_no_tail():
    values = torch.arange(100.0)
    assert extreme_quantile(values, 0.25) == pytest.approx(torch.quantile(values, 0.75).item())
    assert extreme_quantile(torch.ones(50), 0.001) == 1


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [float("nan")]])
def test_what_is_no_excess_is_refused(values):
    with pytest.raises(InputError, match="tail"):
        fit_generalized_pareto(torch.tensor(values))
    with pytest.raises(InputError, match="tail"):
        extreme_quantile(torch.tensor(values), 0.01)
