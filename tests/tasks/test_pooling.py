"""Pooled outputs stand for plain means, also where probabilities are extreme or a class is new."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from glial.tasks import TaskSettings, fit_task
from glial.tasks.pooling import deviation, side_by_side


def fitted(name, **columns):
    frame = pl.DataFrame(columns)
    return fit_task(frame, list(columns), TaskSettings(name=name))


def test_two_classes_far_out():
    task = fitted("classification", y=["n", "y"])
    outputs = [torch.tensor([[40.0], [-40.0], [0.0]]), torch.tensor([[30.0], [-30.0], [2.0]])]
    told = task.decode(task.pool([(task, one) for one in outputs])).probabilities["probability_y"]
    expected = [np.mean([1 / (1 + np.exp(-float(one[i, 0]))) for one in outputs]) for i in range(3)]
    np.testing.assert_allclose(told, expected, rtol=1e-12)


def test_a_class_that_a_member_never_saw_is_improbable_to_it():
    whole, small = (
        fitted("classification", y=["a", "b", "c"]),
        fitted("classification", y=["a", "c"]),
    )
    votes = [(whole, torch.tensor([[0.0, 0.0, 0.0]])), (small, torch.tensor([[0.0]]))]
    told = whole.decode(whole.pool(votes)).probabilities
    # A third each from the first, a half, none and a half from the second.
    expected = [5 / 12, 1 / 6, 5 / 12]
    np.testing.assert_allclose([told[f"probability_{c}"][0] for c in "abc"], expected, rtol=1e-12)
    only = whole.decode(whole.pool([(small, torch.tensor([[0.0]]))])).probabilities
    np.testing.assert_allclose(
        [only[f"probability_{c}"][0] for c in "abc"], [0.5, 0, 0.5], atol=1e-300
    )
    assert np.isfinite(whole.pool([votes[1]]).numpy()).all()


def test_numbers_are_averaged_in_their_own_units():
    small, large = fitted("regression", y=[0.0, 1.0]), fitted("regression", y=[100.0, 500.0])
    votes = [(small, torch.tensor([[1.0]])), (large, torch.tensor([[-1.0]]))]
    # 0.5 + 0.5 and 300 - 200: the scale is half the range of two values.
    assert large.decode(large.pool(votes)).predictions["prediction"] == pytest.approx([50.5])
    assert large.spread(votes)["spread"] == pytest.approx([99 / 2**0.5])


def test_alignment_and_deviation():
    task = fitted("regression", y=[0.0, 2.0])
    found = side_by_side([(task, torch.zeros(2, 1))], ["prediction", "nothing"])
    assert found.tolist() == [[[1.0, 0.0], [1.0, 0.0]]]
    assert deviation(found).tolist() == [[0.0, 0.0], [0.0, 0.0]]
