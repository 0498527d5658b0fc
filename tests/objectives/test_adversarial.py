"""The adversary: its gradient taken away exactly, its absence plain descent, its state whole."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from glial.data.batches import Batch
from glial.objectives import AdversarialDescent
from glial.objectives.adversarial import take_away
from glial.training import Descent, Moment, TrainSettings

MOMENT = Moment(0, 0, 0.0)
SETTINGS = TrainSettings(optimizer="adam")


def loss(outputs, target, weight):
    weight = torch.ones(len(target)) if weight is None else weight
    each = nn.functional.binary_cross_entropy_with_logits(
        outputs[:, 0], target.float(), reduction="none"
    )
    return (each * weight).sum() / weight.sum()


def rows(seed=0, count=40, weighs=False):
    generator = torch.Generator().manual_seed(seed)
    group = torch.randint(2, (count,), generator=generator)
    x = torch.randn(count, 3, generator=generator) + group[:, None]
    target = (x[:, 0] + torch.randn(count, generator=generator) > 0.5).long()
    weight = torch.rand(count, generator=generator) if weighs else None
    return Batch((x,), target, weight, group=group)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def adversarial(model, settings=SETTINGS, **options):
    return AdversarialDescent(model, loss, settings, 0.01, num_groups=2, **options)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_of_a_gradient_has_no_part_along_the_adversarys(seed):
    torch.manual_seed(seed)
    mine = [torch.randn(3, 2), torch.randn(4)]
    before = [part.clone() for part in mine]
    theirs = [torch.randn(3, 2), torch.randn(4)]
    take_away(mine, theirs, 0.0)
    assert sum((a * b).sum() for a, b in zip(mine, theirs, strict=True)).abs() < 1e-5
    take_away(before, theirs, 2.0)
    for left, right, other in zip(mine, before, theirs, strict=True):
        assert torch.allclose(left - 2 * other, right, atol=1e-5)
    unmoved = [torch.ones(2)]
    take_away(unmoved, [torch.zeros(2)], 1.0)
    assert unmoved[0].tolist() == [1, 1]


@pytest.mark.parametrize("criterion", ["demographic_parity", "equalized_odds", "equal_opportunity"])
@pytest.mark.parametrize("weighs", [False, True])
def test_the_gradient_is_the_papers(criterion, weighs):
    model, batch = network(), rows(weighs=weighs)
    settings = TrainSettings(optimizer="sgd", momentum=0.0)
    descent = adversarial(model, settings, criterion=criterion, strength=0.7)
    for _ in range(3):  # so that the adversary has weights
        descent.step(batch, MOMENT)
    before = copy.deepcopy(model)
    descent.step(batch, MOMENT)
    scores = before(batch.inputs[0])
    spied = descent.adversary(scores, batch.target)
    counts = torch.ones(40) if batch.weight is None else batch.weight
    counts = counts * (batch.target == 1) if criterion == "equal_opportunity" else counts
    surprise = nn.functional.cross_entropy(spied, batch.group, reduction="none")
    parameters = list(before.parameters())
    of_adversary = torch.autograd.grad(
        (surprise * counts).sum() / counts.sum(), parameters, retain_graph=True
    )
    of_loss = torch.autograd.grad(loss(scores, batch.target, batch.weight), parameters)
    g, h = (torch.cat([part.flatten() for part in parts]) for parts in (of_loss, of_adversary))
    expected = g - (g @ h) / (h @ h) * h - 0.7 * h
    assert torch.allclose(weights(before) - weights(model), 0.01 * expected, atol=1e-7)


def test_without_strength_it_is_plain_descent_bit_for_bit():
    one, other, batch = network(), network(), rows()
    plain, idle = Descent(one, loss, SETTINGS, 0.01), adversarial(other, strength=0.0)
    for _ in range(5):
        assert plain.step(batch, MOMENT) == idle.step(batch, MOMENT)
    assert torch.equal(weights(one), weights(other))


def test_a_batch_in_parts_has_the_gradient_of_the_whole():
    found = []
    for parts in (1, 3):
        model, batch = network(), rows(weighs=True)
        settings = TrainSettings(optimizer="sgd", accumulate=parts)
        descent = adversarial(model, settings, mass=lambda target, weight: weight.sum())
        for _ in range(4):
            descent.step(batch, MOMENT)
        found.append(weights(model))
    assert torch.allclose(*found, atol=1e-6)


def test_it_goes_on_from_its_state_bit_for_bit():
    model, batch = network(), rows()
    descent = adversarial(model)
    for _ in range(4):
        descent.step(batch, MOMENT)
    tensors = {name: value.clone() for name, value in descent.tensors().items()}
    other = network()
    other.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    again = adversarial(other)
    again.load(tensors, descent.numbers())
    for _ in range(4):
        assert descent.step(batch, MOMENT) == again.step(batch, MOMENT)
    assert torch.equal(weights(model), weights(other))
    left, right = (d.adversary.state_dict() for d in (descent, again))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_members_of_an_ensemble_are_each_looked_at():
    class Members(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = network()

        def forward(self, x):
            return torch.stack([self.one(x), self.one(x)], dim=1)

    def mean_loss(outputs, target, weight):
        return loss(outputs.mean(dim=1), target, weight)

    batch = rows()
    both, single = Members(), network()
    descents = [
        AdversarialDescent(both, mean_loss, SETTINGS, 0.01, num_groups=2),
        adversarial(single),
    ]
    for _ in range(3):
        for descent in descents:
            descent.step(batch, MOMENT)
    assert torch.allclose(weights(both), weights(single), atol=1e-6)


@pytest.mark.slow
def test_an_adversary_of_many_classes_and_groups_learns_to_tell_groups():
    torch.manual_seed(0)
    group = torch.arange(90) % 3
    scores = nn.functional.one_hot(group, 4).float() * 3
    model = nn.Linear(4, 4)
    descent = AdversarialDescent(
        model, lambda o, t, w: o.sum() * 0, SETTINGS, 0.0, num_groups=3, num_classes=4
    )
    with torch.no_grad():
        model.weight.copy_(torch.eye(4))
        model.bias.zero_()
    batch = Batch((scores,), torch.arange(90) % 4, group=group)
    for _ in range(300):
        descent.step(batch, MOMENT)
    told = descent.adversary(model(scores), batch.target).argmax(dim=1)
    assert (told == group).float().mean() == 1
