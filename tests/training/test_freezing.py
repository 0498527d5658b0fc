"""Frozen layers do not change, free ones learn, and rates fall from layer to layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data import Batch, TensorBatches
from glial.training import Descent, Loop
from glial.training.freezing import Freezing
from glial.training.optimizers import make_optimizer
from glial.training.schedules import Moment
from glial.training.settings import TrainSettings


def squared(outputs: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    return (outputs - target).square().mean()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 4),
        nn.BatchNorm1d(4),
        nn.Dropout(0.5),
        nn.Linear(4, 4),
        nn.Linear(4, 1),
    )


def rows() -> Batch:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(12, 3, generator=generator)
    return Batch((inputs,), inputs.sum(dim=1, keepdim=True))


def trained(model: nn.Module, **settings: object) -> Loop:
    plan = TrainSettings.read({"lr": 0.05, "epochs": 4, **settings})
    objective = Descent(model, squared, plan, lr=0.05)
    loop = Loop(model, objective, TensorBatches(rows(), 6, seed=0), plan)
    loop.run()
    return loop


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
@pytest.mark.parametrize("penalties", [{}, {"weight_decay": 0.1, "l1": 0.01, "l2": 0.01}])
def test_only_the_head_learns(optimizer: str, penalties: dict[str, float]) -> None:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained(model, freeze="body", optimizer=optimizer, clip_norm=1.0, **penalties)
    changed = [n for n, value in model.state_dict().items() if not torch.equal(value, before[n])]
    assert changed == ["4.weight", "4.bias"]


def test_statistics_of_a_frozen_normalisation_stay() -> None:
    model = network()
    trained(model, freeze=2)
    assert model[1].running_mean.tolist() == [0.0] * 4
    assert model[1].num_batches_tracked == 0
    trained(model, freeze="none")
    assert model[1].num_batches_tracked == 8


def test_groups_are_set_free_from_the_head_down() -> None:
    model = network()
    settings = TrainSettings(freeze="body", unfreeze_every=2)
    freezing = Freezing(model, settings)
    learning = []
    for epoch in range(8):
        model.train()
        freezing.apply(epoch)
        learning.append([name for name, p in model.named_parameters() if p.requires_grad])
    assert [len(names) for names in learning] == [2, 2, 4, 4, 6, 6, 8, 8]
    assert learning[0] == ["4.weight", "4.bias"]
    assert model[2].training


def test_a_network_that_was_freed_step_by_step_learns_everywhere() -> None:
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    trained(model, unfreeze_every=1, epochs=6)
    pairs = zip(before, model.parameters(), strict=True)
    assert not any(torch.equal(old, new) for old, new in pairs)


def test_rates_fall_by_the_factor_from_the_head_down() -> None:
    model = network()
    optimizer = make_optimizer(model, TrainSettings(group_rate=0.5), lr=1.0)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {name: rates[id(p)] for name, p in model.named_parameters() if "weight" in name} == {
        "0.weight": 0.125,
        "1.weight": 0.25,
        "3.weight": 0.5,
        "4.weight": 1.0,
    }


def test_a_rate_for_each_group_moves_weights_by_it() -> None:
    """Plain descent: with the same gradients, a step is proportional to the rate."""
    steps = {}
    for factor in (1.0, 0.5):
        model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 1, bias=False))
        torch.manual_seed(0)
        for p in model.parameters():
            nn.init.normal_(p)
        before = [p.detach().clone() for p in model.parameters()]
        settings = TrainSettings(optimizer="sgd", group_rate=factor)
        Descent(model, squared, settings, lr=0.1).step(rows(), Moment(0, 0, 0.0))
        steps[factor] = [p - old for p, old in zip(model.parameters(), before, strict=True)]
    torch.testing.assert_close(steps[0.5][0], 0.5 * steps[1.0][0])
    torch.testing.assert_close(steps[0.5][1], steps[1.0][1])


def test_more_groups_than_there_are_cannot_be_frozen() -> None:
    with pytest.raises(InputError, match="at most 3: this network has 4"):
        Freezing(network(), TrainSettings(freeze=4))


def test_a_network_with_rates_of_its_own_refuses_others() -> None:
    class Own(nn.Linear):
        def parameter_groups(self) -> list[dict[str, object]]:
            return [{"params": list(self.parameters())}]

    with pytest.raises(InputError, match="sets the rates of its layers itself"):
        make_optimizer(Own(2, 1), TrainSettings(group_rate=0.5), lr=0.1)
