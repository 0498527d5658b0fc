"""The loop: batches, early endings, watchers, and going on bit for bit after any interruption."""

from __future__ import annotations

import math
import random
import signal

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.data.batches import Batch, TensorBatches
from glial.training import Descent, Loop, StopRequest, TrainSettings, outputs_of

ROWS = 41  # batches of 8: five whole ones and one row, which is joined to the last


def network():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 1)
    )


def drawn_rows():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 3, generator=generator)
    return Batch((x,), (x[:, :1] * 2).sin() + x[:, 1:2])


def squared(outputs, target, weight):
    return (outputs - target).square().mean()


def make_loop(folder=None, validated=True, model=None, validate=None, rows=None, **options):
    loop_options = {k: options.pop(k) for k in ("callbacks", "stop", "score") if k in options}
    settings = TrainSettings(**{"epochs": 4, "checkpoint_seconds": 1000.0, **options})
    model, rows = model or network(), rows or drawn_rows()

    def measured():
        return {"loss": squared(outputs_of(model, rows.inputs), rows.target, None).item()}

    objective = Descent(model, squared, settings, 0.05)
    size = ROWS if settings.batch_size == "full" else 8
    return Loop(
        model,
        objective,
        TensorBatches(rows, size, settings.seed),
        settings,
        validate=(validate or measured) if validated else None,
        folder=folder,
        **loop_options,
    )


def everything(loop):
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in loop.progress.history]
    progress = (loop.progress.best, loop.progress.best_epoch, loop.progress.waited)
    return history, progress, loop.final_weights(), loop.model.state_dict()


def assert_same(first, second):
    assert first[:2] == second[:2]
    for mine, other in zip(first[2:], second[2:], strict=True):
        assert mine.keys() == other.keys()
        for name in mine:
            assert torch.equal(mine[name], other[name]), name


class StopAt(Descent):
    """Sets the request to stop after a number of steps in all, as a signal would."""

    request: StopRequest
    at: int

    def step(self, batch, moment):
        loss = super().step(batch, moment)
        if moment.step + 1 == self.at:
            self.request.signal = signal.SIGTERM
        return loss


PLANS = {
    "adamw": {},
    "momentum": {"optimizer": "momentum", "weight_decay": 0.1, "l1": 0.001},
    "adagrad": {"optimizer": "adagrad"},
    "rmsprop_ema": {"optimizer": "rmsprop", "ema": 0.9},
    "swa": {"optimizer": "nesterov", "swa_start": 0.4, "clip_norm": 0.5},
    "plateau": {"schedule": "plateau", "schedule_patience": 1, "optimizer": "adam"},
    "one_cycle": {"schedule": "one_cycle", "warmup": 0.1, "decay_schedule": "flat_cosine"},
}


def interrupted_at(folder, steps, **plan):
    """Train in as many pieces as there are steps, each in a loop of its own."""
    for at in steps:
        stop = StopRequest()
        loop = make_loop(folder, stop=stop, **plan)
        loop._objective.__class__ = StopAt
        loop._objective.request, loop._objective.at = stop, at
        torch.rand(7)  # another process has another state of its generator
        assert loop.load() == (at != steps[0])
        assert loop.run() == "interrupted"
        assert loop.progress.step == at
    loop = make_loop(folder, **plan)
    assert loop.load()
    assert loop.run() == "epochs"
    return loop


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_going_on_is_bit_for_bit_the_uninterrupted_training(name, tmp_path):
    whole = make_loop(tmp_path / "whole", **PLANS[name])
    assert whole.run() == "epochs"
    chance = random.Random(name)
    for trial in range(3):
        steps = sorted(chance.sample(range(1, 20), 2))
        pieces = interrupted_at(tmp_path / str(trial), steps, **PLANS[name])
        assert_same(everything(whole), everything(pieces))


@pytest.mark.slow
def test_going_on_from_every_step(tmp_path):
    whole = make_loop(tmp_path / "whole", epochs=2, ema=0.8)
    whole.run()
    for at in range(1, 10):
        pieces = interrupted_at(tmp_path / str(at), [at], epochs=2, ema=0.8)
        assert_same(everything(whole), everything(pieces))


def test_stopped_before_the_first_step(tmp_path):
    stop = StopRequest()
    stop.signal = signal.SIGINT
    loop = make_loop(tmp_path, stop=stop)
    assert loop.run() == "interrupted"
    assert loop.progress.step == 0
    again = make_loop(tmp_path)
    assert again.load()
    again.run()
    whole = make_loop()
    whole.run()
    assert_same(everything(whole), everything(again))


def test_checkpoints_do_not_change_the_training(tmp_path):
    often = make_loop(tmp_path, checkpoint_seconds=0.0)
    never = make_loop()
    often.run()
    never.run()
    assert_same(everything(often), everything(never))
    assert (tmp_path / "last" / "checkpoint.safetensors").exists()


def test_without_a_folder_nothing_is_loaded(tmp_path):
    assert make_loop().load() is False
    assert make_loop(tmp_path).load() is False


def saved(folder):
    stop = StopRequest()
    loop = make_loop(folder, stop=stop)
    loop._objective.__class__ = StopAt
    loop._objective.request, loop._objective.at = stop, 7
    loop.run()
    return folder / "last" / "checkpoint.safetensors"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
@pytest.mark.parametrize("which", ["last", "best"])
def test_a_truncated_checkpoint_is_an_input_error(tmp_path, share, which):
    saved(tmp_path)
    path = tmp_path / which / "checkpoint.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError):
        make_loop(tmp_path).load()


def test_a_missing_best_checkpoint_is_an_input_error(tmp_path):
    saved(tmp_path)
    (tmp_path / "best" / "checkpoint.safetensors").unlink()
    with pytest.raises(InputError):
        make_loop(tmp_path).load()


def test_a_changed_byte_of_the_header_is_an_input_error_or_harmless(tmp_path):
    path = saved(tmp_path)
    content = bytearray(path.read_bytes())
    chance = random.Random(0)
    for _ in range(60):
        changed = bytearray(content)
        changed[chance.randrange(8, 1200)] = chance.randrange(256)
        path.write_bytes(changed)
        try:
            make_loop(tmp_path).load()
        except InputError:
            continue


def test_another_networks_checkpoint_is_an_input_error(tmp_path):
    saved(tmp_path)
    torch.manual_seed(0)
    other = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1))
    with pytest.raises(InputError, match="does not fit"):
        make_loop(tmp_path, model=other).load()


def test_iterations_of_an_epoch():
    rows = Batch((torch.zeros(10_000, 1),), torch.zeros(10_000, 1))
    batches = TensorBatches(rows, 200, seed=0)
    assert batches.num_batches == len(list(batches.epoch(0))) == 50
    loop = make_loop()
    loop.run()
    assert loop.progress.step == 4 * 5


def test_one_update_an_epoch_with_the_whole_table_and_one_a_row_with_one_row():
    loop = make_loop(batch_size="full")
    loop.run()
    assert loop.progress.step == 4
    assert TensorBatches(drawn_rows(), 1, seed=0).num_batches == ROWS


def test_the_gradient_of_the_whole_table_does_not_depend_on_its_order():
    rows, model = drawn_rows(), nn.Linear(3, 1)
    order = torch.randperm(ROWS)
    gradients = []
    for index in (torch.arange(ROWS), order):
        loss = squared(model(rows.inputs[0][index]), rows.target[index], None)
        gradients.append(torch.autograd.grad(loss, model.weight)[0])
    torch.testing.assert_close(*gradients)


@pytest.mark.slow
def test_gradient_noise_falls_with_the_batch():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 3, generator=generator)
    y = x.sum(dim=1, keepdim=True) + torch.randn(4000, 1, generator=generator)
    model = nn.Linear(3, 1)

    def variance(size):
        found = []
        for epoch in range(max(1, size // 20)):
            for batch in TensorBatches(Batch((x,), y), size, seed=0).epoch(epoch):
                loss = squared(model(batch.inputs[0]), batch.target, None)
                found.append(torch.autograd.grad(loss, model.weight)[0][0])
        return torch.stack(found).var(dim=0).sum().item()

    small, large = variance(10), variance(80)
    assert small / large == pytest.approx(8, rel=0.35)


def test_classes_one_after_the_other_unshuffled_converge_to_a_wrong_value():
    target = torch.cat([torch.zeros(50, 1), torch.ones(50, 1)])
    rows = Batch((torch.ones(100, 1),), target)
    found = {}
    for shuffle in (True, False):
        model = nn.Linear(1, 1, bias=False)
        settings = TrainSettings(epochs=60, optimizer="sgd")
        batches = TensorBatches(rows, 10, seed=0, shuffle=shuffle)
        Loop(model, Descent(model, squared, settings, 0.1), batches, settings).run()
        found[shuffle] = model.weight.item()
    assert found[True] == pytest.approx(0.5, abs=0.15)  # the share of the second class
    assert found[False] > 0.7


def scripted(values, **options):
    """A training whose validation says what a list says."""
    said = iter(values)

    def validate():
        value = next(said)
        return dict(value) if isinstance(value, dict) else {"loss": value}

    return make_loop(validate=validate, epochs=len(values), **options)


def test_early_stopping_waits_for_its_patience_and_restores_the_best():
    seen = {}

    class Keep:
        def on_epoch_end(self, view):
            seen[view.epoch] = {k: v.clone() for k, v in loop.model.state_dict().items()}

    loop = scripted([3.0, 2.0, 2.5, 2.1, 2.2, 1.0], patience=3, callbacks=[Keep()])
    assert loop.run() == "patience"
    assert loop.progress.epoch == 5
    assert loop.progress.best_epoch == 2
    final = loop.final_weights()
    assert all(torch.equal(final[name], seen[2][name]) for name in final)


def test_without_restoring_the_last_weights_are_the_result():
    loop = scripted([1.0, 2.0], restore_best=False)
    assert loop.run() == "epochs"
    assert all(torch.equal(v, loop.model.state_dict()[k]) for k, v in loop.final_weights().items())


def test_stop_below():
    loop = scripted([3.0, 0.5, 0.4], stop_below=0.5)
    assert loop.run() == "stop_below"
    assert loop.progress.epoch == 2


def test_a_small_improvement_does_not_count_but_small_ones_add_up():
    loop = scripted([1.0, 0.99, 0.98, 0.97], min_delta=0.05, patience=2)
    assert loop.run() == "patience"
    assert (loop.progress.epoch, loop.progress.best_epoch) == (3, 3)
    loop = scripted([1.0 - 0.03 * i for i in range(20)], min_delta=0.05, patience=2)
    assert loop.run() == "epochs"


@pytest.mark.parametrize(("lower", "best"), [(False, 3), (True, 1)])
def test_ties_of_the_score_go_to_the_lower_loss(lower, best):
    figures = [
        {"loss": 0.9, "score": 0.1},
        {"loss": 0.8, "score": 0.5},
        {"loss": 0.7, "score": 0.5},
        {"loss": 0.75, "score": 0.5},
    ]
    loop = scripted(figures, monitor="score", score=("score", lower))
    loop.run()
    assert loop.progress.best_epoch == best


def test_a_score_or_loss_that_is_not_finite_is_never_the_best():
    figures = [
        {"loss": 0.1, "score": math.nan},
        {"loss": math.nan, "score": 0.9},
        {"loss": 0.7, "score": 0.5},
    ]
    loop = scripted(figures, monitor="score", score=("score", False))
    loop.run()
    assert loop.progress.best_epoch == 3


def test_a_loss_that_is_not_finite_ends_with_the_best_weights(caplog):
    rows = drawn_rows()
    loop = make_loop(rows=rows, epochs=5, recovery=False)

    class Spoil:
        def on_epoch_end(self, view):
            if view.epoch == 2:
                rows.target[0] = math.nan

    loop._callbacks = [Spoil()]
    assert loop.run() == "not_finite"
    assert loop.progress.epoch == 3
    assert "not finite" in caplog.text
    assert all(v.isfinite().all() for v in loop.final_weights().values())


def test_the_time_limit_is_kept():
    loop = make_loop(epochs=10_000_000, time_limit=0.3)
    assert loop.run() == "time_limit"
    assert 0.2 <= loop.progress.seconds < 1.5  # it keeps back what validating takes
    assert loop.progress.best is not None


class Watch:
    def __init__(self) -> None:
        self.told = []

    def on_fit_start(self, view):
        self.told.append("start")

    def on_epoch_end(self, view):
        self.told.append((view.epoch, view.step, round(view.fraction, 6)))

    def on_tick(self, view):
        assert view.epochs == 4

    def on_fit_end(self, view):
        self.told.append("end")


def test_watching_leaves_the_weights_bit_identical():
    watch = Watch()
    watched, alone = make_loop(callbacks=[watch]), make_loop()
    watched.run()
    alone.run()
    assert_same(everything(watched), everything(alone))
    assert watch.told == ["start", (1, 5, 0.25), (2, 10, 0.5), (3, 15, 0.75), (4, 20, 1.0), "end"]


def test_a_view_cannot_be_changed():
    class Change:
        def on_epoch_end(self, view):
            with pytest.raises(TypeError):
                view.metrics["val_loss"] = 0.0
            with pytest.raises(AttributeError):
                view.epoch = 9

    make_loop(callbacks=[Change()], epochs=1).run()


def test_returning_true_stops_and_every_watcher_is_told():
    class Stop:
        def on_epoch_end(self, view):
            return view.epoch == 2

    watch = Watch()
    loop = make_loop(callbacks=[Stop(), watch])
    assert loop.run() == "callback"
    assert [item[0] for item in watch.told[1:-1]] == [1, 2]


def test_no_epochs_and_no_validation():
    loop = make_loop(epochs=0)
    before = {k: v.clone() for k, v in loop.model.state_dict().items()}
    assert loop.run() == "epochs"
    assert all(torch.equal(before[k], v) for k, v in loop.final_weights().items())
    loop = make_loop(validated=False)
    assert loop.run() == "epochs"
    assert loop.progress.best is None
    assert "val_loss" not in loop.progress.history[0]


def test_the_same_seed_gives_the_same_training_and_another_another():
    loops = [make_loop(seed=seed) for seed in (3, 3, 4)]
    for loop in loops:
        torch.rand(3)
        loop.run()
    assert_same(everything(loops[0]), everything(loops[1]))
    assert (
        loops[0].progress.history[-1]["train_loss"] != loops[2].progress.history[-1]["train_loss"]
    )


def test_the_training_loss_is_the_mean_over_rows():
    model = nn.Linear(3, 1)
    rows = drawn_rows()
    expected = squared(model(rows.inputs[0]), rows.target, None).item()
    settings = TrainSettings(epochs=1, optimizer="sgd")
    objective = Descent(model, squared, settings, 1e-12)
    loop = Loop(model, objective, TensorBatches(rows, 8, 0), settings)
    loop.run()
    assert loop.progress.history[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_going_on_with_images_that_lie_channels_last_is_bit_for_bit_too(tmp_path):
    """A fused optimiser reads memory as it lies, so a loaded state must lie as it did."""
    generator = torch.Generator().manual_seed(0)
    rows = Batch((torch.randn(ROWS, 3, 6, 6, generator=generator),), torch.ones(ROWS, 1))
    states = []
    for epochs in ((4,), (2, 4)):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 1))
        folder = tmp_path / str(len(epochs))
        for last in epochs:
            plan = {"model": model, "rows": rows, "validated": False, "layout": "channels_last"}
            loop = make_loop(folder, epochs=last, **plan)
            assert loop.load() == (last == 4 and len(epochs) == 2)
            loop.run()
            loop.save()
        states.append(model.state_dict())
    for name, value in states[0].items():
        assert torch.equal(states[1][name], value), name
