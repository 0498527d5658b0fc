"""What networks of series start from, beside statsmodels' smoothing and scikit-learn's ridge."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glial.models import build
from glial.models.forecast import DAMPING, PRIOR, SeasonalView, WindowSizes, smoothing_weights

NAMES = ("forecast_mlp", "forecast_rnn", "forecast_tcn")


def wave(count: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.5, count)
    return 10 + 0.1 * np.arange(count) + 3 * np.sin(np.arange(count)) + noise


@pytest.mark.parametrize(
    ("season", "rates"), [(4, (0.4, 0.1, 0.2)), (4, (0.8, 0.0, 0.4)), (1, (0.4, 0.0, 0.0))]
)
def test_smoothing_is_that_of_statsmodels(season, rates):
    ets = pytest.importorskip("statsmodels.tsa.exponential_smoothing.ets")
    values = wave(25)
    level, trend, place = rates
    weights = smoothing_weights(25, 6, season, level, trend, place).numpy()
    first = values[:season].mean()
    slope = (values[season : 2 * season].mean() - first) / season if trend else 0.0
    start = {"initial_level": first + slope * (season - 1) / 2, "initial_trend": slope}
    # In its terms: rates of the trend and the season are shares of the error of a forecast.
    terms = {"smoothing_level": level, "smoothing_trend": level * trend, "damping_trend": DAMPING}
    if season > 1:
        start |= {"initial_seasonal": values[:season] - first, "seasonal_periods": season}
        terms["smoothing_seasonal"] = place * (1 - level)
    # Smoothing begins after the first season, or after the first value.
    model = ets.ETSModel(
        values[season:],
        trend="add",
        damped_trend=True,
        seasonal="add" if season > 1 else None,
        initialization_method="known",
        **start,
    )
    fit = model.smooth([terms.get(name, start.get(name)) for name in model.param_names])
    np.testing.assert_allclose(weights @ values, fit.forecast(6), rtol=1e-6)


def test_smoothing_keeps_what_stands_still():
    weights = smoothing_weights(24, 12, 12, 0.4, 0.1, 0.2)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(12).double())


def test_views_are_changes_and_know_no_level():
    sizes = WindowSizes({"context": 9, "horizon": 4, "season": 3, "targets": 1}, 0, 4)
    torch.testing.assert_close(
        sizes.views().sum(dim=2), torch.zeros(len(sizes.views()), 4), atol=1e-5, rtol=0
    )
    line = torch.arange(9.0)
    seen = sizes.views() @ line
    # The last change of a season, and the last value less the value a season before each step.
    torch.testing.assert_close(seen[0], torch.full((4,), 3.0))
    torch.testing.assert_close(seen[5], torch.tensor([2.0, 1.0, 0.0, 2.0]))


def windows(rows: int) -> tuple[SeasonalView, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    view = SeasonalView(WindowSizes({"context": 8, "horizon": 3, "season": 2, "targets": 2}, 1, 6))
    history, known = torch.randn(rows, 8, 2), torch.randn(rows, 11, 1)
    return view, history, known, torch.randn(rows, 3, 2)


def test_the_start_is_scikit_learns_ridge():
    linear_model = pytest.importorskip("sklearn.linear_model")
    view, history, known, target = windows(200)
    observed = (torch.rand(target.shape) < 0.8).float()
    weights, intercepts = view.fit([history, known], target, observed)
    naive, features = view(history, known)
    for number in range(2):
        seen = observed[..., number].flatten().bool()
        ridge = linear_model.Ridge(alpha=PRIOR * 3)
        ridge.fit(
            features.flatten(0, 1)[seen].numpy(),
            (target - naive)[..., number].flatten()[seen].numpy(),
        )
        np.testing.assert_allclose(weights[:, number], ridge.coef_, atol=1e-4)
        assert float(intercepts[number]) == pytest.approx(ridge.intercept_, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_networks_begin_as_the_regression(name):
    sizes = {"context": 8, "horizon": 3, "season": 2, "targets": 2}
    network = build(name, num_inputs=1, num_outputs=6, windows=sizes).eval()
    view, history, known, target = windows(50)
    weights, _ = view.fit([history, known], target, torch.ones_like(target))
    levels = torch.tensor([[0.5], [-0.5]])
    network.start_from(weights, levels)
    naive, features = view(history, known)
    expected = naive + features @ weights + levels.squeeze(1)
    found = network(history, known).reshape(50, -1, 3, 2).mean(dim=1)
    assert (found - expected).abs().max() < 0.1 < (naive - expected).abs().max()
