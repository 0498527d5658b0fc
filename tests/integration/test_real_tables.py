"""The default network on the real tables beside the repository, far above the trivial answer."""

from __future__ import annotations

import pytest

import glial


@pytest.mark.shared_data
def test_adult(shared_data):
    run = glial.train(
        str(shared_data / "adult.csv.gz"), target="income-per-year", epochs=3, out=False
    )
    assert run.metrics["baseline"]["accuracy"] == pytest.approx(0.759, abs=0.005)
    assert run.metrics["test"]["accuracy"] > 0.845
    assert run.metrics["test"]["roc_auc"] > 0.9
    assert run.encoding.cardinalities


@pytest.mark.shared_data
def test_california_housing(shared_data):
    path = str(shared_data / "california-housing.csv.gz")
    run = glial.train(path, target="median_house_value", epochs=6, out=False)
    assert run.metrics["test"]["r2"] > 0.75
    assert run.metrics["test"]["rmse"] < 0.5 * run.metrics["baseline"]["rmse"]
    assert "total_bedrooms is missing" in run.encoding.names
