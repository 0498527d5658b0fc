"""Captured passes and the direct optimiser: the eager numbers, bit for bit, or none at all."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glial.data.batches import Batch, TensorBatches
from glial.models import build
from glial.tasks.classification import Classification
from glial.tasks.labels import Labels
from glial.tasks.settings import TaskSettings
from glial.training import Descent, Loop, Moment, TrainSettings
from glial.training.captured import (
    CannotCaptureError,
    CapturedPasses,
    capture_obstacle,
    shapes_of,
)
from glial.training.optimizers import DirectAdam, make_optimizer

pytestmark = pytest.mark.slow

ROWS, FEATURES, CLASSES = 70, 18, 3
NETWORKS = {
    "dense": lambda: nn.Sequential(nn.Linear(18, 16), nn.ReLU(), nn.Linear(16, 3)),
    "dropout": lambda: nn.Sequential(
        nn.Linear(18, 16), nn.GELU(), nn.Dropout(0.4), nn.Linear(16, 3)
    ),
    "batch norm": lambda: nn.Sequential(
        nn.Linear(18, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, 3)
    ),
    "layer norm": lambda: nn.Sequential(
        nn.Linear(18, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3)
    ),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3, 3)),
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 3),
    ),
    "attention": lambda: nn.Sequential(
        nn.Unflatten(1, (6, 3)),
        nn.Linear(3, 8),
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        nn.Flatten(),
        nn.Linear(48, 3),
    ),
    "mlp": lambda: build(
        "mlp", num_inputs=18, num_outputs=3, hidden_sizes=[8, 8], norm="batch", skip=True
    ),
    "linear": lambda: build("linear", num_inputs=18, num_outputs=3),
}
UPDATES = {
    "adamw": {"weight_decay": 0.1},
    "adam, decayed apart": {"optimizer": "adam", "weight_decay": 0.1, "l1": 1e-3},
    "clipped": {"clip_norm": 0.1, "l2": 0.01, "schedule": "cosine"},
    "momentum": {"optimizer": "momentum", "ema": 0.9},
    "channels last": {"layout": "channels_last", "weight_decay": 0.1},
}


def rows(weighed=False):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(ROWS, FEATURES, generator=generator)
    weight = torch.rand(ROWS, generator=generator) if weighed else None
    return Batch((inputs,), torch.randint(0, CLASSES, (ROWS,), generator=generator), weight)


def task(**settings):
    return Classification("y", Labels(["a", "b", "c"]), [0.5, 0.3, 0.2], TaskSettings(**settings))


def trained(network, step, data, learnt, folder=None, **asked):
    settings = TrainSettings(epochs=3, step=step, checkpoint_seconds=0.0, **asked)
    descent = Descent(network, learnt.loss, settings, lr=0.01, mass=learnt.mass)
    loop = Loop(network, descent, TensorBatches(data, 16, seed=0), settings, folder=folder)
    assert loop.run() == "epochs"
    losses = [row["train_loss"] for row in loop.progress.history]
    return losses, network.state_dict(), descent


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("name", NETWORKS)
def test_captured_training_is_eager_training_bit_for_bit(name, update):
    torch.manual_seed(0)
    eager = NETWORKS[name]()
    captured = copy.deepcopy(eager)
    assert capture_obstacle(captured) is None
    learnt = task(class_weights="balanced", label_smoothing=0.1)
    losses, weights, _ = trained(eager, "eager", rows(True), learnt, **UPDATES[update])
    found, mine, descent = trained(captured, "captured", rows(True), learnt, **UPDATES[update])
    assert descent._captured is not None
    assert found == losses
    for key, value in weights.items():
        assert torch.equal(mine[key], value), key


def test_a_captured_training_goes_on_from_an_eager_one_and_back(tmp_path):
    learnt, data = task(), rows()
    runs = {}
    for steps in ("eager eager", "captured captured", "eager captured", "captured eager"):
        torch.manual_seed(0)
        network, folder = NETWORKS["dropout"](), tmp_path / steps
        for epochs, step in zip((2, 4), steps.split(), strict=True):
            settings = TrainSettings(epochs=epochs, step=step, weight_decay=0.1)
            descent = Descent(network, learnt.loss, settings, lr=0.01)
            batches = TensorBatches(data, 16, seed=0)
            loop = Loop(network, descent, batches, settings, folder=folder)
            assert loop.load() == (epochs == 4)
            loop.run()
            loop.save()
        runs[steps] = network.state_dict()
    wanted = runs.pop("eager eager")
    for steps, found in runs.items():
        for key, value in wanted.items():
            assert torch.equal(found[key], value), (steps, key)


def test_capturing_leaves_weights_running_averages_and_random_numbers_alone():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(18, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    CapturedPasses(network, network, task().loss, rows())
    assert torch.equal(torch.get_rng_state(), state)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


class Counting(nn.Linear):
    calls = 0

    def forward(self, inputs):
        self.calls += 1
        return super().forward(inputs)


class Growing(nn.Linear):
    """Its numbers hang on a count that a trace would fix."""

    calls = 0

    def forward(self, inputs):
        self.calls += 1
        return super().forward(inputs) * self.calls


class Branching(nn.Linear):
    def forward(self, inputs):
        outputs = super().forward(inputs)
        return outputs if outputs.sum() > 0 else -outputs


@pytest.mark.parametrize("kind", [Growing, Branching])
def test_what_a_trace_would_get_wrong_is_not_captured(kind):
    with pytest.raises(CannotCaptureError):
        CapturedPasses(network := kind(18, 3), network, task().loss, rows())


class Noisy(nn.Linear):
    """Its noise is drawn from constants."""

    def forward(self, inputs):
        noise = torch.bernoulli(torch.full((18,), 0.5) * 1.0)
        return super().forward(inputs * noise)


def test_what_is_drawn_from_constants_is_drawn_anew():
    torch.manual_seed(0)
    network, losses = Noisy(18, 3), []
    passes = CapturedPasses(network, network, task().loss, rows())
    for seed in (1, 2):
        torch.manual_seed(seed)
        losses.append(float(passes.run(rows())))
        torch.manual_seed(seed)
        assert losses[-1] == task().loss(network(*rows().inputs), rows().target).item()
    assert losses[0] != losses[1]


def test_what_hangs_on_constants_alone_is_computed_once_and_results_are_not_copied():
    network = NETWORKS["dense"]()
    passes = CapturedPasses(network, network, task().loss, rows())
    names = " ".join(str(call) for call in passes._calls)
    assert names.count("div") + names.count("mul") <= 1  # of the loss; that of its slope is fixed
    assert "compute_and_copy" not in names


def test_a_network_that_cannot_be_captured_is_trained_eagerly(caplog):
    caplog.set_level("INFO")
    torch.manual_seed(0)
    first, second = Branching(18, 3), Branching(18, 3)
    second.load_state_dict(first.state_dict())
    wanted = trained(first, "eager", rows(), task())
    found = trained(second, "captured", rows(), task())
    assert found[0] == wanted[0]
    assert sum("steps are not captured" in record.message for record in caplog.records) == 1


def test_obstacles_are_named():
    assert "Counting" in capture_obstacle(nn.Sequential(Counting(1, 1)))
    hooked = nn.Linear(1, 1)
    hooked.register_forward_hook(lambda *parts: None)
    assert "hooks" in capture_obstacle(hooked)
    assert "progress" in capture_obstacle(build("tabular", num_inputs=2, num_outputs=1))


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_direct_adam_is_the_optimizers_own_step_bit_for_bit(optimizer):
    networks = []
    for direct in (False, True):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2))
        adam = make_optimizer(network, TrainSettings(optimizer=optimizer), lr=0.1)
        for number in range(6):
            adam.param_groups[0]["lr"] = 0.1 / (number + 1)
            adam.param_groups[1]["lr"] = 0.1 / (number + 1 + number // 4)  # together, then apart
            adam.zero_grad()
            network(torch.ones(3, 4) * number).square().mean().backward()
            with torch.no_grad():
                (DirectAdam(adam) if direct and number else adam).step()
        networks.append((network.state_dict(), adam.state_dict()["state"]))
    (weights, state), (found, other) = networks
    assert all(torch.equal(found[key], value) for key, value in weights.items())
    for number, values in state.items():
        assert all(torch.equal(other[number][key], value) for key, value in values.items())


def test_direct_adam_suits_only_a_fused_adam_with_its_state():
    layer = nn.Linear(2, 1)
    kinds = [
        torch.optim.SGD(layer.parameters(), lr=0.1),
        torch.optim.Adam(layer.parameters(), fused=False),
        torch.optim.Adam(layer.parameters(), fused=True, amsgrad=True),
    ]
    fused = torch.optim.Adam(layer.parameters(), fused=True)
    assert not DirectAdam.suits(fused)
    for optimizer in (*kinds, fused):
        F.mse_loss(layer(torch.ones(1, 2)), torch.ones(1, 1)).backward()
        optimizer.step()
    assert [DirectAdam.suits(optimizer) for optimizer in (*kinds, fused)] == [False] * 3 + [True]


def test_a_batch_of_another_shape_is_not_run_on_captured_memory():
    network = NETWORKS["dense"]()
    passes = CapturedPasses(network, network, task().loss, rows())
    few = Batch((torch.ones(2, FEATURES),), torch.tensor([0, 1]))
    assert torch.equal(passes.run(rows()), task().loss(network(*rows().inputs), rows().target))
    assert shapes_of(few) != shapes_of(rows()) != shapes_of(rows(weighed=True))
    descent = Descent(network, task().loss, TrainSettings(step="captured"), lr=0.0)
    for batch in (rows(), few):
        wanted = task().loss(network(*batch.inputs), batch.target)
        assert torch.equal(descent.step(batch, Moment(0, 0, 0.0)), wanted.detach())
