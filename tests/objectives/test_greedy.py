"""Layers learnt one by one: the bound rises with each, and what follows is plain descent."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

from glial.core.errors import InputError
from glial.data.batches import Batch
from glial.functional.rbm import RBMWeights, rbm_free_energy, rbm_hidden_sums, rbm_visible_sums
from glial.functional.rbm_partition import exact_log_partition
from glial.models.dbn import DBNSettings
from glial.models.energy import Stacked
from glial.models.rbm_autoencoder import RBMAutoencoderSettings
from glial.objectives import GreedyDescent
from glial.training import Descent, TrainSettings, Watchable
from glial.training.objective import Objective
from glial.training.schedules import Moment


def loss(outputs, target, weight=None):
    return functional.cross_entropy(outputs, target)


def network(hidden=(6, 4), **settings):
    torch.manual_seed(0)
    return DBNSettings(hidden_sizes=list(hidden), **settings).build(5, 3)


def batches(count=8, rows=12):
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(count):
        numbers = torch.randn(rows, 5, generator=generator)
        found.append(Batch((numbers,), (numbers[:, 0] > 0).long()))
    return found


def run(objective, parts, total):
    for number, batch in enumerate(parts):
        objective.step(batch, Moment(number, 0, number / total))


def test_layers_learn_in_turn_and_then_all():
    model = network(pretraining_share=0.5)
    objective = GreedyDescent(model, loss, TrainSettings(optimizer="adam"), lr=0.01)
    assert isinstance(objective, Objective)
    assert isinstance(objective, Watchable)
    assert isinstance(model, Stacked)
    changed = []
    for number, batch in enumerate(batches()):
        before = copy.deepcopy(model.state_dict())
        moment = Moment(number, 0, number / 8)
        assert objective.stage(moment) == [0, 0, 1, 1, 2, 2, 2, 2][number]
        told = objective.step(batch, moment)
        assert torch.isfinite(told)
        after = model.state_dict()
        changed.append(
            [
                name
                for name in after
                if after[name].is_floating_point() and not torch.equal(after[name], before[name])
            ]
        )
    assert changed[0] == ["layers.0.weight", "layers.0.bias"]
    assert changed[2] == ["layers.1.weight", "layers.1.bias"]
    assert len(changed[4]) == 6


def test_without_a_share_it_is_plain_descent():
    model = network(pretraining_share=0.0)
    other = copy.deepcopy(model)
    settings = TrainSettings(optimizer="adam", schedule="cosine")
    run(GreedyDescent(model, loss, settings, lr=0.01), batches(), 8)
    run(Descent(other, loss, settings, lr=0.01), batches(), 8)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_the_second_part_has_the_whole_schedule():
    model = network(pretraining_share=0.5)
    objective = GreedyDescent(model, loss, TrainSettings(schedule="cosine"), lr=0.01)
    rates = []
    for number, batch in enumerate(batches()):
        objective.step(batch, Moment(number, 0, number / 8))
        rates.append(objective.rate())
    assert rates[4] == pytest.approx(0.01)
    assert rates[6] == pytest.approx(0.005)


@pytest.mark.parametrize("stop", [2, 5])
def test_a_checkpoint_holds_both_parts(stop):
    settings = TrainSettings(optimizer="adam")
    torch.manual_seed(3)
    whole = network(pretraining_share=0.5)
    objective = GreedyDescent(whole, loss, settings, lr=0.01)
    parts = batches()
    run(objective, parts[:stop], 8)
    again = network(pretraining_share=0.5)
    again.load_state_dict(whole.state_dict())
    second = GreedyDescent(again, loss, settings, lr=0.01)
    held = {k: v.clone() for k, v in objective.tensors().items()}
    second.load(held, objective.numbers())
    state = torch.get_rng_state()
    for one in (objective, second):
        torch.set_rng_state(state)
        for number, batch in enumerate(parts[stop:], stop):
            one.step(batch, Moment(number, 0, number / 8))
    for first, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(first, other)


def test_networks_without_layers_are_refused():
    with pytest.raises(InputError, match="no layers to learn one by one"):
        GreedyDescent(torch.nn.Linear(1, 1), loss, TrainSettings(), lr=0.1)


def states(units):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=units)))


def bound(lower, upper, rows):
    """Of the log likelihood of rows in a network of two layers, by sums over all hidden states.

    The lower machine says hidden states given rows, and rows given these; the upper how likely
    hidden states are.
    """
    hidden = states(len(lower.hidden_bias))
    prior = -rbm_free_energy(upper, hidden) - exact_log_partition(upper)
    sums = rbm_visible_sums(lower, hidden)
    given = rows @ sums.t() - functional.softplus(sums).sum(dim=1)
    odds = rbm_hidden_sums(lower, rows)
    chances = odds @ hidden.t() - functional.softplus(odds).sum(dim=1, keepdim=True)
    return float((chances.exp() * (given + prior - chances)).sum(dim=1).mean())


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.9])
def test_the_bound_rises_with_a_second_layer_unless_it_learns_nothing(share):
    """The second begins as the first upside down: there the bound is the first's likelihood."""
    pictures = torch.cat([states(3)[:, [0] * 3 + [1] * 3 + [2] * 3], states(3).repeat(1, 3)[1:-1]])
    torch.manual_seed(0)
    settings = DBNSettings(
        hidden_sizes=[7, 9], visible="bernoulli", pretraining_share=0.9, pretraining_lr=0.05
    )
    model = settings.build(9, 2)
    model.start(pictures)
    objective = GreedyDescent(model, loss, TrainSettings(optimizer="adam"), lr=0.0)
    batch = Batch((pictures.repeat(8, 1),), torch.zeros(8 * len(pictures), dtype=torch.int64))
    first, second = model.layers

    def machines():
        biases = [objective.tensors()[f"lower_bias.{number}"] for number in (0, 1)]
        return [
            RBMWeights(layer.weight.detach(), bias, layer.bias.detach())
            for layer, bias in zip((first, second), biases, strict=True)
        ]

    for number in range(400):
        objective.step(batch, Moment(number, 0, 0.45 * number / 400))
    lower = machines()[0]
    with torch.no_grad():
        second.weight.copy_(lower.weight.t())
        second.bias.copy_(lower.visible_bias)
        objective.load(
            {**objective.tensors(), "lower_bias.1": lower.hidden_bias.clone()}, objective.numbers()
        )
    likelihood = -rbm_free_energy(lower, pictures).mean() - exact_log_partition(lower)
    before = bound(*machines(), pictures)
    assert before == pytest.approx(float(likelihood), abs=1e-3)
    if share:
        for number in range(400):
            objective.step(batch, Moment(number, 0, 0.45 + 0.449 * number / 400))
    after = bound(*machines(), pictures)
    assert (after > before + 0.05) is bool(share)


@pytest.mark.slow
def test_machines_alone_give_digits_back_once_they_are_unrolled():
    """Backpropagation changes nothing here: all that is known was learnt layer by layer."""
    digits = torch.tensor(load_digits().images / 8 - 1, dtype=torch.float32)[:, None]
    errors = []
    for share in (0.9, 0.0):
        torch.manual_seed(0)
        settings = RBMAutoencoderSettings(hidden_sizes=[40], code_size=10, pretraining_share=share)
        model = settings.build(0, images=[[1, 8, 8]])
        model.start(digits[:1400])
        objective = GreedyDescent(model, model.loss, TrainSettings(optimizer="sgd"), lr=0.0)
        for number in range(400):
            rows = digits[32 * number % 1400 :][:32]
            objective.step(Batch((rows,), rows), Moment(number, 0, number / 400))
        with torch.no_grad():
            kept = digits[1400:]
            errors.append(float((model.eval().reconstruct(kept) - kept).square().mean()))
    spread = float((digits[1400:] - digits[:1400].mean(0)).square().mean())
    assert errors[0] < 0.8 * spread
    assert errors[1] > 0.95 * spread


def test_the_decoder_begins_as_the_encoder_upside_down():
    torch.manual_seed(0)
    model = RBMAutoencoderSettings(hidden_sizes=[5], code_size=2, pretraining_share=0.5).build(4)
    rows = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    model.start(rows)
    objective = GreedyDescent(model, model.loss, TrainSettings(optimizer="sgd"), lr=0.0)
    batch = Batch((rows,), rows)
    run(objective, [batch] * 4, 8)
    assert not torch.equal(model.decoder[0].linear.weight, model.encoder[1].linear.weight.t())
    lower = [objective.tensors()[f"lower_bias.{number}"].clone() for number in (0, 1)]
    objective.step(batch, Moment(4, 0, 0.5))
    pairs = zip(model.encoder, reversed(model.decoder), lower, strict=True)
    for layer, mirror, bias in pairs:
        assert torch.equal(mirror.linear.weight, layer.linear.weight.t())
        assert torch.equal(mirror.linear.bias, bias)
