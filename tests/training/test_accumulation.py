"""Batches in parts: the same update in less memory, by choice or because memory ran out."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.data.batches import Batch, split
from glial.tasks import fit_task
from glial.tasks.settings import TaskSettings
from glial.training import Descent, Moment, TrainSettings

ROWS = 23
FRAME = pl.DataFrame(
    {
        "class": ["a", "b", "b", "c", "b"] * 4 + ["a", "b", "b"],
        "yes": ([True, False, False, False] * 6)[:ROWS],
        "no": ([False, True, True] * 8)[:ROWS],
        "value": [float(i * i % 7) for i in range(ROWS)],
    }
)
CASES = {
    "classes": (["class"], "classification", {}),
    "weighed classes": (["class"], "classification", {"class_weights": "balanced"}),
    "focal": (["class"], "classification", {"loss": "focal", "class_weights": "balanced"}),
    "several answers": (["yes", "no"], "multilabel", {}),
    "weighed answers": (["yes", "no"], "multilabel", {"class_weights": "balanced"}),
    "number": (["value"], "regression", {}),
}


def gradients(task, batch, **settings):
    torch.manual_seed(0)
    model = nn.Linear(3, task.num_outputs).double()
    options = {"optimizer": "sgd", **settings}
    descent = Descent(model, task.loss, TrainSettings(**options), lr=0.1, mass=task.mass)
    loss = descent.step(batch, Moment(0, 0, 0.0))
    return loss, [p.detach().clone() for p in model.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("parts", [2, 3, 7, 1000])
@pytest.mark.parametrize("case", CASES)
def test_parts_of_a_batch_make_the_update_of_the_whole(case, parts, weighed):
    targets, name, settings = CASES[case]
    asked = TaskSettings(name=name, **settings)
    task = fit_task(FRAME, targets, asked, scale_target=True, loss=None)
    inputs = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weight = torch.arange(ROWS, dtype=torch.float64) if weighed else None
    target = task.encode(FRAME)
    target = target.double() if target.is_floating_point() else target
    batch = Batch((inputs,), target, weight)
    whole, wanted = gradients(task, batch)
    loss, found = gradients(task, batch, accumulate=parts)
    torch.testing.assert_close(loss.double(), whole.double(), rtol=1e-6, atol=1e-7)
    for mine, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


def test_parts_are_nearly_equal_and_never_a_single_row():
    batch = Batch((torch.arange(7)[:, None],), torch.arange(7), torch.ones(7))
    assert [part.target.tolist() for part in split(batch, 3)] == [[0, 1, 2], [3, 4], [5, 6]]
    assert [len(part.target) for part in split(batch, 100)] == [3, 2, 2]
    assert split(Batch((torch.ones(1, 1),), torch.ones(1)), 4)[0].target.tolist() == [1.0]


class Narrow(nn.Linear):
    """A layer with memory for so many rows at once."""

    most = 4

    def forward(self, rows):
        if len(rows) > self.most:
            raise torch.OutOfMemoryError("out of memory: tried to allocate 7 GiB")
        return super().forward(rows)


def squared(outputs, target, weight):
    return (outputs - target).square().mean()


def test_memory_that_runs_out_makes_parts_smaller_and_the_update_the_same(caplog):
    torch.manual_seed(0)
    rows = Batch((torch.randn(16, 2),), torch.ones(16, 1))
    narrow, wide = Narrow(2, 1), nn.Linear(2, 1)
    wide.load_state_dict(narrow.state_dict())
    steps = [Descent(m, squared, TrainSettings(), lr=0.1) for m in (narrow, wide)]
    for number in range(3):
        for step in steps:
            step.step(rows, Moment(number, 0, 0.0))
    torch.testing.assert_close(narrow.weight, wide.weight)
    assert steps[0].numbers()["accumulate"] == 4
    assert [r.message for r in caplog.records] == [
        f"out of memory: batches are computed in {parts} parts from now on "
        f"(train.accumulate={parts} does so from the start)"
        for parts in (2, 4)
    ]
    resumed = Descent(narrow, squared, TrainSettings(), lr=0.1)
    resumed.load(steps[0].tensors(), steps[0].numbers())
    assert resumed.numbers()["accumulate"] == 4


def test_a_network_that_never_fits_is_refused_and_other_errors_are_not_hidden():
    narrow = Narrow(2, 1)
    narrow.most = 1
    descent = Descent(narrow, squared, TrainSettings(), lr=0.1)
    with pytest.raises(InputError, match="does not fit in memory"):
        descent.step(Batch((torch.ones(16, 2),), torch.ones(16, 1)), Moment(0, 0, 0.0))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        descent.step(Batch((torch.ones(1, 5),), torch.ones(1, 1)), Moment(0, 0, 0.0))
