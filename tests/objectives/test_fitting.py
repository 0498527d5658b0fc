"""The objective of networks that are computed from rows: it ends by itself, and refuses parts."""

import itertools

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.data import Batch, TensorBatches
from glial.models.kmeans import KMeansSettings
from glial.objectives import OBJECTIVES, Fitting
from glial.training import Loop, Moment, TrainSettings


def rows_of_four():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(200, 3, generator=generator) + 3 * (torch.arange(200) % 4)[:, None]


def made(rows):
    torch.manual_seed(0)
    network = KMeansSettings(num_clusters=6).build(3)
    network.centres.copy_(rows[:6])
    return network


def test_the_loop_ends_where_another_step_would_change_nothing():
    rows = rows_of_four()
    network, settings = made(rows), TrainSettings(epochs=100)
    objective = OBJECTIVES.resolve("fitting")(network, settings)
    batches = TensorBatches(Batch((rows,), torch.zeros(200)), 200, seed=0)
    loop = Loop(network, objective, batches, settings)
    assert loop.run() == "settled"
    losses = [row["train_loss"] for row in loop.progress.history]
    assert 3 < len(losses) < 100
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(losses))
    before = network.centres.clone()
    assert network.refine(rows).settled
    assert torch.equal(before, network.centres)
    again = Fitting(network, settings)
    again.load({}, objective.numbers())
    assert again.settled


def test_parts_of_the_rows_are_refused_and_so_is_what_is_not_heeded():
    rows = rows_of_four()
    fitting = Fitting(made(rows), TrainSettings())
    with pytest.raises(InputError, match="all rows need them in one batch"):
        fitting.step(Batch((rows[:10],), torch.zeros(10)), Moment(1, 0, 0.0))
    with pytest.raises(InputError, match=r"train\.l2 does not go"):
        Fitting(made(rows), TrainSettings(l2=0.1))
    with pytest.raises(TypeError, match="Linear does not fit itself"):
        Fitting(nn.Linear(1, 1), TrainSettings())
