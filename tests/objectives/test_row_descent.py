"""Descent on rows: torch's Adagrad is the oracle."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import embedding

from glial.core.errors import InputError
from glial.data.batches import Batch
from glial.objectives import RowDescent
from glial.training import TrainSettings
from glial.training.objective import Objective
from glial.training.schedules import Moment


class Tables(nn.Module):
    """A table that is looked up by rows, and a bias that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(6, 2, generator=torch.Generator().manual_seed(0)))
        self.bias = nn.Parameter(torch.zeros(2))

    def loss(self, batch: Batch, *, sparse: bool = True) -> torch.Tensor:
        rows = embedding(batch.target, self.table, sparse=sparse)
        return (rows + self.bias - 1).square().sum()


BATCHES = [Batch((), torch.tensor(rows)) for rows in ([1, 1, 4], [4, 0], [1, 5, 5, 5])]


@pytest.mark.parametrize("name", ["adagrad", "sgd"])
def test_steps_are_those_of_torch(name):
    ours, theirs = Tables(), Tables()
    settings = TrainSettings(optimizer=name, eps=1e-10, schedule="linear")
    descent = RowDescent(ours, ours.loss, settings, lr=0.1)
    makers = {"adagrad": torch.optim.Adagrad, "sgd": torch.optim.SGD}
    optimizer = makers[name](theirs.parameters(), lr=0.1)
    for step, batch in enumerate(BATCHES):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 3)
        optimizer.zero_grad()
        expected = theirs.loss(batch, sparse=False)
        expected.backward()
        optimizer.step()
        assert torch.allclose(descent.step(batch, Moment(step, 0, step / 3)), expected)
        assert descent.rate() == pytest.approx(0.1 * (1 - step / 3))
        for found, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(found, wanted, atol=1e-6)


def test_rows_that_are_not_looked_up_stay():
    tables = Tables()
    before = tables.table.detach().clone()
    RowDescent(tables, tables.loss, TrainSettings(optimizer="adagrad"), 0.1).step(
        BATCHES[0], Moment(0, 0, 0.0)
    )
    changed = (tables.table != before).any(dim=1)
    assert changed.tolist() == [False, True, False, False, True, False]


def test_it_goes_on_from_a_checkpoint():
    tables = Tables()
    settings = TrainSettings(optimizer="adagrad")
    descent = RowDescent(tables, tables.loss, settings, 0.1)
    assert isinstance(descent, Objective)
    descent.step(BATCHES[0], Moment(0, 0, 0.0))
    other = Tables()
    other.load_state_dict(tables.state_dict())
    again = RowDescent(other, other.loss, settings, 0.1)
    again.load({k: v.clone() for k, v in descent.tensors().items()}, descent.numbers())
    for objective in (descent, again):
        objective.step(BATCHES[1], Moment(1, 0, 0.5))
    assert torch.equal(tables.table, other.table)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam"},
        {"weight_decay": 0.1},
        {"clip_norm": 1.0},
        {"freeze": "body"},
        {"accumulate": 2},
        {"schedule": "plateau"},
    ],
)
def test_what_it_does_not_do_is_refused(settings):
    asked = TrainSettings(**{"optimizer": "adagrad", **settings})
    with pytest.raises(InputError, match=next(iter(settings))):
        RowDescent(Tables(), lambda batch: batch.target, asked, 0.1)
