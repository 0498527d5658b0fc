"""Forecasts: their loss, metrics and decoding."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, root_mean_squared_error

from glial.data.series import Frequency, WindowForm
from glial.functional import quantile_loss
from glial.tasks import TaskSettings, load_task
from glial.tasks.forecast_metrics import forecast_scores, naive_error, quantile_scores
from glial.tasks.forecasting import Forecasting

FORM = WindowForm(context=4, horizon=2, season=2)


def task_of(targets=("y",), *, logarithm=False, **settings):
    values = TaskSettings(name="forecasting", **settings)
    return Forecasting(list(targets), FORM, Frequency("month", 1.0), logarithm, [], values)


def test_the_quantile_loss_is_scikit_learns():
    generator = np.random.default_rng(0)
    truth, said = generator.normal(size=50), generator.normal(size=(50, 3))
    shares = [0.1, 0.5, 0.9]
    expected = np.mean(
        [mean_pinball_loss(truth, said[:, i], alpha=q) for i, q in enumerate(shares)]
    )
    found = quantile_loss(torch.tensor(said), torch.tensor(truth), torch.tensor(shares).double())
    assert found.item() == pytest.approx(expected)
    scores = quantile_scores(truth[:, None], said[:, None], shares)
    assert scores["quantile_loss"] == pytest.approx(expected)


def test_the_quantile_loss_is_least_at_the_quantile():
    values = torch.arange(101.0)
    tried = torch.linspace(0, 100, 401)
    for share in (0.1, 0.5, 0.9):
        outputs = tried[:, None, None].expand(-1, 101, 1)
        losses = quantile_loss(
            outputs, values.expand(401, -1), torch.tensor([share]), reduction="none"
        ).mean(dim=1)
        assert abs(tried[losses.argmin()].item() - 100 * share) <= 0.5


def test_metrics_are_those_of_the_papers():
    generator = np.random.default_rng(1)
    truth, said = generator.uniform(1, 5, 40), generator.uniform(1, 5, 40)
    past = generator.uniform(1, 5, 60)
    scale = np.abs(past[12:] - past[:-12]).mean()
    assert naive_error(past[:, None], 12)[0] == pytest.approx(scale)
    scores = forecast_scores(truth[:, None], said[:, None], np.full((40, 1), scale))
    assert scores["mae"] == pytest.approx(mean_absolute_error(truth, said))
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(truth, said))
    assert scores["mase"] == pytest.approx(mean_absolute_error(truth, said) / scale)
    symmetric = 200 * np.mean(np.abs(truth - said) / (truth + said))
    assert scores["smape"] == pytest.approx(symmetric)


def test_unknown_values_do_not_count():
    truth = np.array([[1.0], [np.nan], [3.0]])
    said = np.array([[2.0], [9.0], [3.0]])
    scale = np.array([[2.0], [1.0], [np.nan]])
    scores = forecast_scores(truth, said, scale)
    assert (scores["mae"], scores["mase"]) == (0.5, 0.5)
    within = quantile_scores(truth, np.stack([said - 1, said + 0.5], axis=2), [0.25, 0.75])
    assert (within["coverage"], within["nominal_coverage"]) == (1.0, 0.5)
    assert np.isnan(naive_error(np.ones((5, 1)), 1)).all()
    assert np.isnan(forecast_scores(truth * np.nan, said, scale)["mae"])


def test_the_loss_leaves_out_what_is_unknown_and_averages_members():
    task = task_of(quantiles=[0.5])
    outputs = torch.tensor([[[1.0, 2.0], [3.0, 2.0]]])  # two members of one window
    target = torch.tensor([[2.0, 77.0, 1.0, 0.0]])
    assert task.loss(outputs, target).item() == pytest.approx(0.5)
    assert task.mass(target).item() == 1
    assert task.monitor(outputs, target)["scaled_mae"] == 0.0


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("mean_absolute_error", 2.0), ("mean_squared_error", 4.0), ("huber", 1.5), ("quantile", 1.0)],
)
def test_every_loss_has_its_value(loss, expected):
    task = task_of(loss=loss, quantiles=[0.5])
    found = task.loss(torch.zeros(1, 2), torch.tensor([[2.0, -2.0, 1.0, 1.0]]))
    assert found.item() == pytest.approx(expected)


def test_forecasts_come_back_in_the_targets_units_with_quantiles_in_order():
    task = task_of(logarithm=True)
    outputs = torch.tensor([[0.0, 2.0, 1.0, 0.0, 0.0, 0.0]])
    level, scale = torch.tensor([[[1.0]]]).double(), torch.tensor([[[0.5]]]).double()
    values = task.unscaled(outputs, level, scale)
    expected = np.exp([[1.0, 1.5, 2.0], [1.0, 1.0, 1.0]])
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    frame = task.decode(values).frame()
    assert frame.columns == ["prediction", "prediction_0.1", "prediction_0.5", "prediction_0.9"]
    assert frame["prediction"].to_list() == frame["prediction_0.5"].to_list()


def test_several_targets_have_columns_of_their_own():
    task = task_of(["y", "z"], quantiles=[0.5, 0.2])
    assert task.num_outputs == 2 * 2 * 2
    frame = task.decode(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).frame()
    assert frame.row(0, named=True) == {
        "prediction_y": 2.0,
        "prediction_y_0.2": 1.0,
        "prediction_y_0.5": 2.0,
        "prediction_z": 4.0,
        "prediction_z_0.2": 3.0,
        "prediction_z_0.5": 4.0,
    }
    scores = task.scores(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), pl.DataFrame({"y": [2], "z": [3]}))
    assert scores["mae"] == 0.5


def test_the_spread_around_points_is_the_quantiles_of_what_came():
    task = task_of(quantiles=[0.5])
    target = torch.tensor([[2.0, 9.0, 1.0, 0.0]])
    assert task.spread_around(torch.ones(1, 2, 1), target).tolist() == [[1.0]]


def test_a_task_survives_its_file():
    task = task_of(["y", "z"], logarithm=True)
    again = load_task(json.loads(json.dumps(task.state())), task.settings)
    assert again.state() == task.state()
    assert again.frequency == task.frequency
