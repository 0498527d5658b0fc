"""Steps that go wrong: what is done about them, and that nothing is done to those that do not."""

from __future__ import annotations

import math
import signal

import pytest
import torch
from torch import nn

from glial.core.seeds import derive_seed
from glial.data.batches import Batch, TensorBatches
from glial.training import Descent, Loop, Moment, StopRequest, TrainSettings
from glial.training.faults import Fault, fault_findings
from glial.training.spikes import goes_better, spike_limit

ROWS, SIZE, EPOCHS = 200, 8, 4  # 25 batches an epoch, 100 in all
BAD = 55  # the step that goes wrong, from 0: batch 5 of the third epoch


def network():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1)
    )


def plain_network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def rows():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 3, generator=generator)
    return Batch((x,), (x[:, :1] * 2).sin() + x[:, 1:2])


def squared(outputs, target, weight):
    return (outputs - target).square().mean()


class Spoilt(TensorBatches):
    """Batches of which some are spoilt: by the number of their step."""

    def __init__(self, spoil, steps, batch_size=SIZE):
        super().__init__(rows(), batch_size, 0)
        self._spoil, self._steps = spoil, steps

    def epoch(self, epoch, start=0):
        for number, batch in enumerate(super().epoch(epoch, start), start):
            at = epoch * self.num_batches + number
            yield self._spoil(batch) if at in self._steps else batch


def with_infinity(batch):
    x = batch.inputs[0].clone()
    x[2, 1] = math.inf
    return batch._replace(inputs=(x,))


def with_nan_target(batch):
    return batch._replace(target=batch.target.clone().fill_(math.nan))


def times(factor):
    return lambda batch: batch._replace(inputs=(batch.inputs[0] * factor,))


def make_loop(
    spoil=None, steps=(BAD,), model=None, folder=None, stop=None, objective=Descent, **plan
):
    plan = {"epochs": EPOCHS, "lr": 0.02, "checkpoint_seconds": 1000.0, **plan}
    settings = TrainSettings(**plan)
    model = model or network()
    batches = TensorBatches(rows(), SIZE, 0) if spoil is None else Spoilt(spoil, steps)
    learning = objective(model, squared, settings, settings.lr)
    options = {"folder": folder, "stop": stop}
    return Loop(model, learning, batches, settings, **options)


def weights_without(steps, model=None, **plan):
    """What a training comes to that never sees some of the batches, by a loop by hand."""
    settings = TrainSettings(**{"epochs": EPOCHS, "lr": 0.02, **plan})
    model, batches = model or network(), TensorBatches(rows(), SIZE, 0)
    descent = Descent(model.train(), squared, settings, settings.lr)
    torch.manual_seed(derive_seed(0, "training"))
    total, step = settings.epochs * batches.num_batches, 0
    for epoch in range(settings.epochs):
        for batch in batches.epoch(epoch):
            if step not in steps:
                descent.step(batch, Moment(step, epoch, step / total))
            step += 1
    return model.state_dict()


def assert_equal(mine, other):
    assert mine.keys() == other.keys()
    for name in mine:
        assert torch.equal(mine[name], other[name]), name


PLANS = {
    "adamw": {},
    "momentum": {"optimizer": "momentum", "schedule": "cosine"},
    "rmsprop": {"optimizer": "rmsprop", "clip_norm": 1.0},
    "captured": {"step": "captured"},
    "bfloat16": {"precision": "bfloat16"},
    "accumulated": {"accumulate": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [with_infinity, with_nan_target])
@pytest.mark.parametrize("plan", PLANS)
def test_a_batch_that_is_not_finite_is_left_out_and_nothing_else_changes(plan, spoil):
    loop = make_loop(spoil, **PLANS[plan])
    assert loop.run() == "epochs"
    assert_equal(loop.model.state_dict(), weights_without({BAD}, **PLANS[plan]))
    [fault] = loop.recovery.faults
    assert (fault.problem, fault.remedy) == ("loss-not-finite", "skip-batch")
    assert (fault.step, fault.epoch, fault.batch, fault.count) == (BAD + 1, 3, 6, 1)
    assert [row.get("faults") for row in loop.progress.history] == [None, None, 1, None]
    assert loop.progress.step == 100


@pytest.mark.parametrize("bad", [0, 24, 25, 99])
def test_the_first_and_the_last_batches_of_epochs_too(bad):
    loop = make_loop(with_infinity, steps=(bad,))
    assert loop.run() == "epochs"
    assert_equal(loop.model.state_dict(), weights_without({bad}))


def test_batches_that_follow_each_other_are_all_left_out():
    loop = make_loop(with_infinity, steps=(30, 31, 33))
    assert loop.run() == "epochs"
    assert_equal(loop.model.state_dict(), weights_without({30, 31, 33}))
    assert [fault.count for fault in loop.recovery.faults] == [3]


class Cornered(Descent):
    """A loss whose gradient alone is not finite, where a target says so."""

    def _held_against(self, outputs, batch):
        corner = (outputs.flatten()[0] * 0 + 0.0).abs().sqrt() if batch.target[0] > 90 else 0.0
        return super()._held_against(outputs, batch) + corner


@pytest.mark.parametrize("bad", [BAD, 24, 99])
def test_a_gradient_that_is_not_finite_is_found_where_the_loss_says_nothing(bad):
    def mark(batch):
        target = batch.target.clone()
        target[0] = 99.0
        return batch._replace(target=target)

    loop = make_loop(mark, steps=(bad,), objective=Cornered)
    assert loop.run() == "epochs"
    assert_equal(loop.model.state_dict(), weights_without({bad}))
    assert [fault.step for fault in loop.recovery.faults] == [bad + 1]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_batch_whose_loss_leaps_is_left_out_where_training_goes_better_so(optimizer):
    plan = {"optimizer": optimizer, "model": plain_network()}
    loop = make_loop(lambda batch: times(1e4)(batch)._replace(target=batch.target * 1e4), **plan)
    assert loop.run() == "epochs"
    without = weights_without({BAD}, plain_network(), optimizer=optimizer)
    assert_equal(loop.model.state_dict(), without)
    [fault] = loop.recovery.faults
    assert (fault.problem, fault.remedy, fault.step) == ("loss-spike", "skip-batch", BAD + 1)


def test_a_leap_that_does_no_harm_changes_nothing():
    def far(batch):
        return batch._replace(target=batch.target + 1e4)

    # Held short, the one step hardly moves the weights.
    plan = {"optimizer": "sgd", "clip_norm": 1e-3}
    loop = make_loop(far, model=plain_network(), **plan)
    other = make_loop(far, model=plain_network(), recovery=False, **plan)
    assert loop.run() == other.run() == "epochs"
    assert loop.recovery.suspected == 1
    assert loop.recovery.faults == []
    assert_equal(loop.model.state_dict(), other.model.state_dict())
    losses = [[row["train_loss"] for row in one.progress.history] for one in (loop, other)]
    assert losses[0] == losses[1]


def line(factor, steps):
    """A line to be learnt at a rate that is too high for some of the batches."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(3200, 1, generator=generator).sign()
    batches = Spoilt(times(factor), steps, 32)
    noise = 0.1 * torch.randn(3200, 1, generator=generator)
    TensorBatches.__init__(batches, Batch((x,), 2 * x + noise), 32, 0)
    return batches


def test_the_rate_is_halved_where_batch_after_batch_leaps():
    # A step multiplies the error by 1 - 2 lr x^2: -0.2, for inputs of 1.6 times -2.07, and with
    # half the rate -0.54.
    settings = TrainSettings(epochs=1, lr=0.6, optimizer="sgd")
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    batches = line(1.6, range(60, 90))
    descent = Descent(model, squared, settings, 0.6)
    loop = Loop(model, descent, batches, settings)
    assert loop.run() == "epochs"
    assert [fault.remedy for fault in loop.recovery.faults] == ["halve-rate"]
    assert model.weight.item() == pytest.approx(2.0, abs=0.3)
    lost = Loop(*lost_parts(batches), settings.model_copy(update={"recovery": False}))
    lost.run()
    assert lost.progress.history[-1]["train_loss"] > 1e4 * loop.progress.history[-1]["train_loss"]


def lost_parts(batches):
    settings = TrainSettings(epochs=1, lr=0.6, optimizer="sgd")
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model, Descent(model, squared, settings, 0.6), batches


def test_what_cannot_be_met_ends_as_without(caplog):
    loop = make_loop(with_infinity, steps=range(20, 100))
    other = make_loop(with_infinity, steps=range(20, 100), recovery=False)
    assert loop.run() == other.run() == "not_finite"
    assert_equal(loop.final_weights(), other.final_weights())
    assert [fault.remedy for fault in loop.recovery.faults] == [""]
    assert "nothing helped" in caplog.text


def test_what_comes_again_and_again_ends_as_without():
    # Of epochs of 25 batches, three each that are not near each other: more than a tenth in all.
    bad = [epoch * 25 + batch for epoch in range(12) for batch in (0, 12, 24)]
    loop = make_loop(with_infinity, steps=bad, epochs=12)
    assert loop.run() == "not_finite"
    *healed, last = loop.recovery.faults
    assert all(fault.healed for fault in healed)
    assert last.remedy == ""
    left_out = sum(fault.count for fault in healed)
    assert left_out > 3 + 0.1 * last.step
    assert left_out <= 6 + 0.1 * last.step


class Narrow(Descent):
    """Has no memory for a step, so many times."""

    at, times = BAD, 1

    def step(self, batch, moment):
        if moment.step == self.at and self.times:
            self.times -= 1
            self._model[0].weight.data += 1.0  # half a step
            raise torch.OutOfMemoryError("out of memory: tried to allocate 7 GiB")
        return super().step(batch, moment)


@pytest.mark.parametrize("times", [1, 2])
def test_where_memory_runs_out_the_step_is_made_again_or_left_out(times):
    loop = make_loop(objective=Narrow)
    loop._objective.times = times
    assert loop.run() == "epochs"
    assert_equal(loop.model.state_dict(), weights_without({BAD} if times == 2 else set()))
    [fault] = loop.recovery.faults
    assert fault.problem == "out-of-memory"
    assert fault.remedy == ("skip-batch" if times == 2 else "try-again")


def test_memory_that_is_never_enough_and_other_errors_are_raised():
    loop = make_loop(objective=Narrow)
    loop._objective.times = 1000
    loop._objective.at = 0

    def narrow(batch, moment):
        raise torch.OutOfMemoryError("out of memory")

    loop._objective.step = narrow
    with pytest.raises(torch.OutOfMemoryError):
        loop.run()

    def broken(batch, moment):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    other = make_loop()
    other._objective.step = broken
    with pytest.raises(RuntimeError, match="shapes"):
        other.run()


class Tight(nn.Linear):
    """A layer with memory for so many rows at once, from its second call on."""

    calls = 0

    def forward(self, inputs):
        self.calls += 1
        if self.calls > 40 and len(inputs) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(inputs)


def test_batches_in_parts_are_told_with_the_setting_that_prevents_it():
    torch.manual_seed(0)
    loop = make_loop(model=Tight(3, 1))
    assert loop.run() == "epochs"
    [fault] = loop.recovery.faults
    assert (fault.remedy, fault.count) == ("split-batch", 2)
    [finding] = fault_findings(loop.recovery.faults, 100)
    assert finding.problem == "out-of-memory"
    assert finding.remedy == {"set": {"train.accumulate": 2}}


def everything(loop):
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in loop.progress.history]
    return history, loop.recovery.faults, loop.recovery.numbers()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["infinity", "leap", "memory"])
def test_a_training_that_is_interrupted_meets_the_same_faults_to_the_last_bit(kind, tmp_path):
    def leap(batch):
        return times(1e4)(batch)._replace(target=batch.target * 1e4)

    plan = {"spoil": leap if kind == "leap" else with_infinity if kind == "infinity" else None}
    plan |= {"model": None, "objective": Narrow if kind == "memory" else Descent}

    def made(folder, stop=None):
        return make_loop(**{**plan, "model": plain_network()}, folder=folder, stop=stop)

    whole = made(tmp_path / "whole")
    assert whole.run() == "epochs"
    assert len(whole.recovery.faults) == 1
    for at in (30, 54, 55, 56, 60, 70, 74, 75, 80):
        folder, stop = tmp_path / str(at), StopRequest()
        first = made(folder, stop)
        step = first._objective.step

        def stopping(batch, moment, step=step, at=at, stop=stop):
            loss = step(batch, moment)
            if moment.step + 1 == at:
                stop.signal = signal.SIGTERM
            return loss

        first._objective.step = stopping
        assert first.run() == "interrupted"
        torch.rand(7)
        second = made(folder)
        assert second.load()
        assert second.run() == "epochs"
        assert everything(second) == everything(whole)
        assert_equal(second.model.state_dict(), whole.model.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("plan", [*PLANS, "ema", "swa"])
def test_a_healthy_training_is_the_same_with_and_without(plan):
    options = {**PLANS, "ema": {"ema": 0.9}, "swa": {"swa_start": 0.4}}[plan]
    loop, other = make_loop(**options), make_loop(recovery=False, **options)
    assert loop.run() == other.run()
    assert_equal(loop.final_weights(), other.final_weights())
    assert loop.recovery.faults == []
    assert loop.recovery.suspected == 0


def test_callbacks_are_told_of_each_epoch_once():
    class Count:
        epochs = ()

        def on_epoch_end(self, view):
            self.epochs += (view.epoch,)

    loop = make_loop(with_infinity, steps=(1, 26, 77))
    loop._callbacks = [count := Count()]
    loop.run()
    assert count.epochs == (1, 2, 3, 4)


def test_batches_that_come_once_are_not_made_again():
    batches = Spoilt(with_infinity, (30,))
    batches.once = True
    settings = TrainSettings(epochs=2, lr=0.02)
    model = network()
    loop = Loop(model, Descent(model, squared, settings, 0.02), batches, settings)
    assert loop.run() == "not_finite"
    assert loop.recovery.faults == []


def test_the_limit_is_ten_times_the_reach_of_recent_losses():
    assert spike_limit([1.0] * 15) == math.inf
    assert spike_limit([1.0, 2.0, 3.0] * 11, 10.0) == 2.0 + 10 * 1.0
    assert spike_limit([-5.0] * 40, 10.0) == pytest.approx(-5.0 + 10 * 0.5)
    assert spike_limit([0.0] * 40, 10.0) == math.inf
    assert spike_limit([0.0] * 40, 10.0, scale=1.0) == pytest.approx(0.01)


def test_better_means_lower_batch_by_batch_and_beyond_the_noise():
    recent = [0.9, 1.1] * 20  # noise 0.148
    assert goes_better([1.0] * 10, [1.2] * 10, recent)
    assert not goes_better([1.0] * 10, [1.05] * 10, recent)  # within the noise
    assert not goes_better([1.0] * 10, [0.9] * 7 + [9.0] * 3, recent)  # mostly worse
    assert not goes_better([math.nan], [2.0], recent)
    assert goes_better([1.0], [math.inf], recent)
    assert not goes_better([], [], recent)
    # Where nothing is learnt for long, no worse is better.
    assert goes_better([1.0] * 10, [0.95] * 10, recent, stalled=True)
    assert not goes_better([1.0] * 10, [0.8] * 10, recent, stalled=True)


def test_findings_are_notes_but_where_much_was_left_out_or_nothing_helped():
    once = Fault("loss-not-finite", "skip-batch", 7, 1, 7, rate=0.1)
    assert fault_findings([once], 200)[0].severity == "note"
    assert fault_findings([once] * 3, 200)[0].severity == "warning"
    assert fault_findings([once] * 3, 200)[0].evidence["left_out"] == 3
    lost = Fault("loss-not-finite", "", 9, 1, 9, rate=0.1)
    [finding] = fault_findings([lost], 200)
    assert (finding.severity, finding.remedy) == ("warning", {"set": {"train.lr": 0.01}})
    halved = Fault("loss-spike", "halve-rate", 9, 1, 9, rate=0.1)
    assert fault_findings([halved], 200)[0].remedy == {"set": {"train.lr": 0.05}}
