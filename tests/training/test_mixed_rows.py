"""Rows mixed with others: the loss against both targets, whatever weights and parts there are."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from torch import nn

from glial.data.augmentation import AugmentSettings
from glial.data.augmentation.mixing import mixed
from glial.data.batches import Batch
from glial.tasks import fit_task
from glial.tasks.settings import TaskSettings
from glial.training import Descent, Moment, TrainSettings

ROWS = 11
FRAME = pl.DataFrame(
    {
        "class": ["a", "b", "b", "c", "b", "c", "b", "b", "b", "a", "b"],
        "yes": [True, False, False, True, False, False, True, False, False, True, True],
        "no": [False, True, True, False, True, False, True, False, True, False, False],
        "value": [float(i * i % 7) for i in range(ROWS)],
    }
)


def both_of(targets, name, settings, weighed):
    task = fit_task(
        FRAME, targets, TaskSettings(name=name, **settings), scale_target=True, loss=None
    )
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(ROWS, 3, generator=draws)
    weight = torch.rand(ROWS, generator=draws) if weighed else None
    batch = Batch((inputs,), task.encode(FRAME), weight)
    return task, batch, mixed(batch, AugmentSettings(mixup=1.0), 3)


def stepped(task, batch, **options):
    torch.manual_seed(0)
    model = nn.Linear(3, task.num_outputs)
    before = model(*batch.inputs).detach()
    settings = TrainSettings(optimizer="sgd", **options)
    descent = Descent(model, task.loss, settings, lr=0.1, mass=task.mass)
    return descent.step(batch, Moment(0, 0, 0.0)), before, model.weight.detach().clone()


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_classes_are_weighed_by_class_row_and_share(class_weights, weighed):
    settings = {"class_weights": class_weights, "label_smoothing": 0.0}
    task, batch, both = both_of(["class"], "classification", settings, weighed)
    loss, outputs, _ = stepped(task, both)
    share = float(both.weight[0] if batch.weight is None else both.weight[0] / batch.weight[0])
    counts = torch.tensor([2.0, 7.0, 2.0])
    by_class = ROWS / (3 * counts) if class_weights == "balanced" else torch.ones(3)
    own = torch.ones(ROWS) if batch.weight is None else batch.weight
    partner = [
        int((batch.inputs[0] * share - both.inputs[0] + (1 - share) * row).abs().sum(1).argmin())
        for row in batch.inputs[0]
    ]
    total = mass = 0.0
    logs = outputs.log_softmax(dim=1)
    for j in range(ROWS):
        i = partner[j]  # row i was mixed with row j
        for row, part in ((i, share), (j, 1 - share)):
            amount = float(own[row] * by_class[batch.target[row]]) * part
            total -= amount * float(logs[i, batch.target[row]])
            mass += amount
    assert float(loss) == pytest.approx(total / mass, rel=1e-5)


@pytest.mark.parametrize("weighed", [False, True])
def test_numbers_are_held_against_both(weighed):
    task, _, both = both_of(["value"], "regression", {"loss": "mean_squared_error"}, weighed)
    loss, outputs, _ = stepped(task, both)
    weights = torch.stack([both.weight, both.other_weight])
    errors = torch.stack([(outputs - t)[:, 0].square() for t in (both.target, both.other)])
    assert float(loss) == pytest.approx(float((weights * errors).sum() / weights.sum()), rel=1e-5)


def test_the_gradient_of_squared_errors_is_that_of_the_mixed_target():
    task, _, both = both_of(["value"], "regression", {"loss": "mean_squared_error"}, False)
    share = both.weight[:, None]
    blended = Batch(both.inputs, share * both.target + (1 - share) * both.other)
    torch.testing.assert_close(stepped(task, both)[2], stepped(task, blended)[2])


@pytest.mark.parametrize(
    ("targets", "name", "settings"),
    [
        (["class"], "classification", {"class_weights": "balanced"}),
        (["class"], "classification", {"loss": "focal"}),
        (["yes"], "classification", {}),
        (["yes", "no"], "multilabel", {"class_weights": "balanced"}),
        (["value"], "regression", {}),
    ],
)
@pytest.mark.parametrize("parts", [2, 3])
def test_parts_of_a_mixed_batch_make_the_update_of_the_whole(targets, name, settings, parts):
    task, _, both = both_of(targets, name, settings, True)
    loss, _, weight = stepped(task, both)
    loss_in_parts, _, weight_in_parts = stepped(task, both, accumulate=parts)
    torch.testing.assert_close(loss_in_parts, loss)
    torch.testing.assert_close(weight_in_parts, weight)


def test_networks_trained_as_one_each_learn_from_both_targets():
    task, _, both = both_of(["value"], "regression", {"loss": "mean_squared_error"}, False)

    class Members(nn.Module):
        def __init__(self):
            super().__init__()
            self.member = nn.Parameter(torch.tensor([[0.5, -1.0, 0.2], [0.1, 0.3, 0.0]]))

        def forward(self, inputs):
            return (inputs @ self.member.T)[:, :, None]

    model = Members()
    outputs = model(*both.inputs).detach()[:, :, 0]
    descent = Descent(model, task.loss, TrainSettings(optimizer="sgd"), lr=0.0, mass=task.mass)
    loss = descent.step(both, Moment(0, 0, 0.0))
    share = both.weight[:, None]
    wanted = share * (outputs - both.target) ** 2 + (1 - share) * (outputs - both.other) ** 2
    assert float(loss) == pytest.approx(float(wanted.mean()), rel=1e-5)


@pytest.mark.parametrize("weighed", [False, True])
def test_captured_steps_learn_from_both_targets_too(weighed):
    task, _, both = both_of(["class"], "classification", {}, weighed)
    loss, _, weight = stepped(task, both)
    captured_loss, _, captured = stepped(task, both, step="captured")
    torch.testing.assert_close(captured_loss, loss)
    torch.testing.assert_close(captured, weight)
