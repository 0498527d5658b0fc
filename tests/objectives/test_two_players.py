"""Two players: a plain PyTorch loop of the same networks is the oracle."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.data import TensorBatches
from glial.data.batches import Batch
from glial.functional import discriminator_loss, generator_loss
from glial.models.gan import GANSettings
from glial.objectives import TwoPlayers
from glial.training import Loop, TrainSettings
from glial.training.objective import Objective
from glial.training.schedules import Moment

ADAM = {"optimizer": "adam", "betas": [0.5, 0.99]}


def network(**settings):
    torch.manual_seed(0)
    return GANSettings(**{"hidden_sizes": [8, 8], "latent_size": 3, **settings}).build(2)


def batches(model, count=6):
    generator = torch.Generator().manual_seed(1)
    kind = next(model.parameters()).dtype
    rows = torch.randn(count, 16, 2, generator=generator).to(kind)
    drawn = [model.draw(part, generator=generator) for part in rows]
    return [Batch(one.inputs, one.target) for one in drawn]


def trained(model, settings, lr=0.01):
    players = TwoPlayers(model, settings, lr)
    assert isinstance(players, Objective)
    rows = batches(model)
    return [
        float(players.step(batch, Moment(step, 0, step / len(rows))))
        for step, batch in enumerate(rows)
    ], players


def plain_loop(model, *, kind, steps, factor, weight, every, clip, lr=0.01):
    """What anyone would write: two optimisers, the penalty by a pass of its own."""
    judge, make = model.discriminator, model.generator
    first = torch.optim.Adam(judge.parameters(), lr=lr * factor, betas=(0.5, 0.99))
    second = torch.optim.Adam(make.parameters(), lr=lr, betas=(0.5, 0.99))
    losses = []
    for step, batch in enumerate(batches(model)):
        real, noise, *_ = batch.inputs
        made = make(noise)
        first.zero_grad()
        loss = discriminator_loss(judge(real), judge(made.detach()), kind)
        losses.append(loss.item())
        if weight and step % every == 0:
            for rows in (real.clone(), made.detach().clone()):
                rows.requires_grad_()
                (slope,) = torch.autograd.grad(judge(rows).sum(), rows, create_graph=True)
                loss = loss + every * weight / 2 * slope.square().sum(dim=1).mean()
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(judge.parameters(), clip)
        first.step()
        if (step + 1) % steps == 0:
            second.zero_grad()
            generator_loss(judge(real), judge(made), kind).backward()
            if clip:
                nn.utils.clip_grad_norm_(make.parameters(), clip)
            second.step()
    return losses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "steps", "factor", "weight", "every", "clip"),
    [
        ("non_saturating", 1, 1.0, 0.0, 1, None),
        ("relativistic", 1, 4.0, 0.5, 1, None),
        ("hinge", 2, 0.5, 0.5, 4, 0.1),
        ("relativistic_average", 3, 1.0, 0.0, 1, 0.5),
    ],
)
def test_steps_are_those_of_a_plain_loop(kind, steps, factor, weight, every, clip):
    ours = network(
        adversarial_loss=kind,
        discriminator_steps=steps,
        discriminator_lr_factor=factor,
        penalty="r1_r2",
        penalty_weight=weight,
        penalty_every=every,
    )
    ours.double()
    theirs = copy.deepcopy(ours)
    found, _ = trained(ours, TrainSettings(**ADAM, clip_norm=clip))
    wanted = plain_loop(
        theirs, kind=kind, steps=steps, factor=factor, weight=weight, every=every, clip=clip
    )
    assert found == pytest.approx(wanted, rel=1e-9)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-9)


def test_the_generator_waits_for_its_turn():
    model = network(discriminator_steps=3)
    players = TwoPlayers(model, TrainSettings(**ADAM), 0.01)
    moved = []
    for step, batch in enumerate(batches(model)):
        before = [p.detach().clone() for p in model.generator.parameters()]
        players.step(batch, Moment(step, 0, 0.0))
        after = list(model.generator.parameters())
        moved.append(not all(map(torch.equal, before, after)))
    assert moved == [False, False, True] * 2


def test_each_player_has_its_rate():
    model = network(discriminator_lr_factor=4.0)
    _, players = trained(model, TrainSettings(**ADAM, schedule="linear"), lr=0.3)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in players.optimizers]
    assert rates == pytest.approx([4 * 0.3 / 6, 0.3 / 6])
    assert players.rate() == pytest.approx(0.3 / 6)


@pytest.mark.slow
def test_a_resumed_training_is_the_same_bit_for_bit(tmp_path):
    settings = TrainSettings(**ADAM, epochs=4, batch_size=4, ema=0.9, checkpoint_seconds=0.001)

    def loop(folder, epochs, stop=None):
        model = network(discriminator_steps=2)
        generator = torch.Generator().manual_seed(0)
        rows = torch.randn(22, 2, generator=generator)

        def drawn(batch, seed):
            one = model.draw(batch.target, generator=torch.Generator().manual_seed(seed))
            return Batch(one.inputs, one.target)

        rows = TensorBatches(Batch((), rows), 4, seed=0, augment=drawn)
        players = TwoPlayers(model, settings, 0.01)
        return Loop(model, players, rows, settings, folder=folder, callbacks=stop or [])

    whole = loop(None, 4)
    whole.run()

    class Stops:
        def on_epoch_end(self, view):
            return view.epoch == 2

    first = loop(tmp_path, 4, [Stops()])
    assert first.run() == "callback"
    first.save()
    second = loop(tmp_path, 4)
    assert second.load()
    second.run()
    assert second.progress.step == whole.progress.step
    ours, wanted = second.final_weights(), whole.final_weights()
    assert all(torch.equal(ours[name], wanted[name]) for name in wanted)


def test_what_is_given_out_is_the_average_of_the_generator():
    settings = TrainSettings(**ADAM, epochs=2, ema=0.5)
    model = network()
    rows = batches(model)
    loop = Loop(model, TwoPlayers(model, settings, 0.01), Rows(rows), settings)
    seen = []
    step = loop._objective.step

    def watched(batch, moment):
        loss = step(batch, moment)
        seen.append(model.generator.body[0].weight.detach().clone())
        return loss

    loop._objective.step = watched
    loop.run()
    average = seen[0]
    for weight in seen[1:]:
        average = 0.5 * average + 0.5 * weight
    assert torch.allclose(loop.final_weights()["generator.body.0.weight"], average, atol=1e-6)


class Rows:
    """Batches as they are."""

    def __init__(self, rows):
        self._rows = rows
        self.num_batches, self.batch_size = len(rows), len(rows[0].target)
        self.num_rows = sum(len(batch.target) for batch in rows)

    def epoch(self, epoch, start=0):
        yield from self._rows[start:]


def test_passes_made_once_more_leave_both_gradients_and_no_update():
    model = network(adversarial_loss="non_saturating")
    players = TwoPlayers(model, TrainSettings(**ADAM), 0.01)
    before = [p.detach().clone() for p in model.parameters()]
    players.make_passes(batches(model)[0], Moment(0, 0, 0.0))
    assert all(map(torch.equal, before, model.parameters()))
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_weights_of_rows_are_refused():
    model = network()
    batch = batches(model)[0]._replace(weight=torch.ones(16))
    with pytest.raises(InputError, match="every row alike"):
        TwoPlayers(model, TrainSettings(), 0.01).step(batch, Moment(0, 0, 0.0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"accumulate": 2},
        {"freeze": "body"},
        {"group_rate": 0.5},
        {"schedule": "plateau"},
        {"precision": "bfloat16"},
    ],
)
def test_settings_that_would_be_passed_over_are_refused(wrong):
    with pytest.raises(InputError, match=f"train.{next(iter(wrong))} does not go"):
        TwoPlayers(network(), TrainSettings(**wrong), 0.01)


def test_a_network_that_is_not_two_players_is_refused():
    with pytest.raises(InputError, match="not one of two players"):
        TwoPlayers(nn.Linear(2, 2), TrainSettings(), 0.01)
    model = network()
    model.third = nn.Linear(1, 1)
    with pytest.raises(InputError, match="not one of two players") as caught:
        TwoPlayers(model, TrainSettings(), 0.01)
    assert caught.value.got == "third.weight"
