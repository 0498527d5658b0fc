"""Learning by contrast: autograd and sums over every state are the oracles."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from glial.core.errors import InputError
from glial.data import TensorBatches
from glial.data.batches import Batch
from glial.functional.rbm import rbm_free_energy, rbm_statistics
from glial.functional.rbm_partition import exact_log_partition
from glial.models.energy import EnergyBased
from glial.models.rbm import RBMSettings, RestrictedBoltzmann
from glial.objectives import ContrastiveDivergence
from glial.training import Descent, Loop, TrainSettings, Watchable
from glial.training.objective import Objective
from glial.training.schedules import Moment

KINDS = {
    "binary": {"visible": "bernoulli"},
    "numbers": {"visible": "gaussian"},
    "of one variance": {"visible": "gaussian", "variance": 0.5},
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def network(hidden=4, numbers=3, **settings) -> RestrictedBoltzmann:
    torch.manual_seed(0)
    made = RBMSettings(hidden_size=hidden, **settings).build(numbers).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.5)
    return made


def batch_of(model, rows, seed=0):
    drawn = model.draw(rows, generator=seeded(seed))
    return Batch(drawn.inputs, drawn.target)


def bars_and_stripes(side=3):
    """Pictures whose rows, or whose columns, are each all on or all off; -1 and 1."""
    codes = torch.arange(2**side)[:, None] >> torch.arange(side) & 1
    across = codes[:, :, None].expand(-1, side, side)
    both = torch.cat([across, across.transpose(1, 2)[1:-1]])
    return 2.0 * both.reshape(len(both), 1, side, side) - 1


@torch.no_grad()
def exact_nats(model, rows):
    machine = model.machine
    told = -rbm_free_energy(machine, model.visible_units.chances(rows)) - exact_log_partition(
        machine
    )
    return float(told.mean())


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_the_one_of_autograd_on_the_difference_of_free_energies(kind, steps):
    model = network(gibbs_steps=steps, **KINDS[kind])
    other = copy.deepcopy(model)
    settings = TrainSettings(optimizer="sgd", momentum=0.9)
    contrast = ContrastiveDivergence(model, settings, lr=0.1)
    assert isinstance(contrast, Objective)
    assert isinstance(contrast, Watchable)
    descent = Descent(other, other.loss, settings, lr=0.1)
    for number in range(3):
        batch = batch_of(model, torch.randn(8, 3, generator=seeded(number)).double(), number)
        losses = [o.step(batch, Moment(number, 0, 0.0)) for o in (contrast, descent)]
        torch.testing.assert_close(losses[0], losses[1])
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-8, msg=name)


def test_chains_start_from_rows_or_go_on():
    fresh, going = network(persistent=False), network(persistent=True)
    assert isinstance(fresh, EnergyBased)
    rows = torch.randn(8, 3, generator=seeded()).double()
    objectives = [ContrastiveDivergence(m, TrainSettings(), lr=0.0) for m in (fresh, going)]
    batch = batch_of(fresh, rows)
    for objective in objectives:
        objective.step(batch, Moment(0, 0, 0.0))
    ends = going.contrast({}, *batch.inputs).chains["hidden"]
    assert not any(name.startswith("chain.") for name in objectives[0].tensors())
    torch.testing.assert_close(objectives[1].tensors()["chain.hidden"], ends)
    small = batch_of(fresh, rows[:3], seed=1)
    objectives[1].step(small, Moment(1, 0, 0.0))
    moved = going.contrast({"hidden": ends[:3]}, *small.inputs).chains["hidden"]
    held = objectives[1].tensors()["chain.hidden"]
    torch.testing.assert_close(held, torch.cat([moved, ends[3:]]))


def test_looking_at_a_step_moves_no_chain_and_no_weight():
    model = network(persistent=True)
    objective = ContrastiveDivergence(model, TrainSettings(), lr=0.1)
    batch = batch_of(model, torch.randn(8, 3, generator=seeded()).double())
    objective.step(batch, Moment(0, 0, 0.0))
    chains = objective.tensors()["chain.hidden"].clone()
    before = copy.deepcopy(model.state_dict())
    objective.make_passes(batch, Moment(1, 0, 0.0))
    assert torch.equal(objective.tensors()["chain.hidden"], chains)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad.any() for parameter in model.parameters())


def test_a_checkpoint_holds_chains_and_running_averages():
    settings = TrainSettings(optimizer="adam")
    whole, again = network(persistent=True), network(persistent=True)
    first = ContrastiveDivergence(whole, settings, lr=0.01)
    parts = [batch_of(whole, torch.randn(8, 3, generator=seeded(n)).double(), n) for n in range(6)]
    for number, batch in enumerate(parts[:3]):
        first.step(batch, Moment(number, 0, 0.0))
    again.load_state_dict(whole.state_dict())
    second = ContrastiveDivergence(again, settings, lr=0.01)
    second.load({k: v.clone() for k, v in first.tensors().items()}, first.numbers())
    for number, batch in enumerate(parts[3:]):
        for objective in (first, second):
            objective.step(batch, Moment(number, 0, 0.0))
    for one, two in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


def learn(settings, *, epochs=400, kind=RestrictedBoltzmann):
    rows = bars_and_stripes()
    torch.manual_seed(0)
    model = kind(RBMSettings(hidden_size=10, **settings), (1, 3, 3))
    model.start(rows)
    before = exact_nats(model, rows)
    plan = TrainSettings(optimizer="adam", epochs=epochs, schedule="cosine")
    generator = seeded(1)

    def draw(batch, number):
        drawn = model.draw(*batch.inputs, generator=generator)
        return Batch(drawn.inputs, drawn.target)

    many = rows.repeat(8, 1, 1, 1)  # as many chains
    train = TensorBatches(Batch((many,), many), len(many), seed=0, augment=draw)
    Loop(model, ContrastiveDivergence(model, plan, lr=0.05), train, plan).run()
    return before, exact_nats(model, rows)


@pytest.mark.slow
def test_the_exact_likelihood_of_bars_and_stripes_nears_what_is_possible():
    """Fourteen pictures: nothing can be above -log 14, independent pixels are at -9 log 2."""
    before, by_rows = learn({})
    _, going_on = learn({"gibbs_steps": 5, "persistent": True})
    assert before == pytest.approx(-9 * math.log(2), abs=0.1)
    best = -math.log(14)
    assert best - 0.8 < by_rows < best
    assert best - 0.8 < going_on < best


class _WithoutContrast(RestrictedBoltzmann):
    """Its own states are left alone: energies only fall."""

    def contrast(self, chains, *inputs):
        found = super().contrast(chains, *inputs)
        alone = rbm_statistics(self.machine, inputs[0])._asdict()
        return found._replace(gradients={name: alone[name] for name in found.gradients})


@pytest.mark.slow
def test_without_the_contrast_nothing_is_learnt():
    before, after = learn({}, epochs=200, kind=_WithoutContrast)
    _, whole = learn({}, epochs=200)
    assert after < before + 0.1
    assert whole > before + 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accumulate": 2}, "train.accumulate"),
        ({"precision": "bfloat16"}, "train.precision"),
        ({"freeze": "body"}, "train.freeze"),
    ],
)
def test_settings_that_would_be_passed_over_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        ContrastiveDivergence(network(), TrainSettings(**settings), lr=0.1)


def test_weights_and_networks_without_energies_are_refused():
    model = network()
    batch = batch_of(model, torch.zeros(2, 3).double())._replace(weight=torch.ones(2))
    with pytest.raises(InputError, match="takes every row alike"):
        ContrastiveDivergence(model, TrainSettings(), lr=0.1).step(batch, Moment(0, 0, 0.0))
    with pytest.raises(InputError, match="has no energy"):
        ContrastiveDivergence(torch.nn.Linear(1, 1), TrainSettings(), lr=0.1)
