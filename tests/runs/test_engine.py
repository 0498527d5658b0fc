"""How steps are computed: known for small networks, measured for long trainings, written down."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.data.batches import Batch
from glial.runs import Plan, engine
from glial.runs.engine import with_engine
from glial.tasks.classification import Classification
from glial.tasks.labels import Labels
from glial.tasks.settings import TaskSettings
from glial.training import Descent, Moment, TrainSettings

TASK = Classification("y", Labels(["a", "b", "c"]), [1 / 3] * 3, TaskSettings())


def images(rows=8, size=16):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(rows, 3, size, size, generator=generator)
    return Batch((pixels,), torch.arange(rows) % 3)


def convolutional(width=8):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 3),
    )


def plan_of(**train):
    return Plan.from_values({"model": {"name": "custom"}, "train": train})


def decided(plan, network, rows):
    plan = with_engine(plan, network, TASK.loss, TASK.mass, rows, num_batches=1)
    return {key: getattr(plan.train, key) for key in ("threads", "layout", "precision")}


def test_small_steps_are_known_and_not_measured(monkeypatch):
    monkeypatch.setattr(engine, "_gain", lambda *trials: pytest.fail("measured"))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    rows = Batch((torch.ones(4, 5),), torch.tensor([0, 1, 2, 0]))
    assert decided(plan_of(), nn.Linear(5, 3), rows) == {
        "threads": 1,
        "layout": "contiguous",
        "precision": "float32",
    }
    assert decided(plan_of(), convolutional(), images())["layout"] == "channels_last"
    # 2 * 8 * 3 * 3 * 3 * 64 * 64 operations a row forward, times three: above 10^8 from 48 rows on
    wide = convolutional()
    assert decided(plan_of(epochs=1), wide, images(8, 64))["threads"] == 1
    assert decided(plan_of(epochs=1), wide, images(64, 64))["threads"] == 6


@pytest.mark.parametrize(
    ("gain", "precision", "layout"),
    [(1.5, "bfloat16", "contiguous"), (1.05, "float32", "channels_last")],
)
def test_long_trainings_take_what_is_faster(monkeypatch, gain, precision, layout, caplog):
    monkeypatch.setattr(engine, "MEASURED_SECONDS", 0.0)
    monkeypatch.setattr(engine, "_gain", lambda *trials: gain)
    caplog.set_level("INFO")
    found = decided(plan_of(threads=1), convolutional(), images())
    assert found == {"threads": 1, "layout": layout, "precision": precision}
    assert f"{gain:.2f}x" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "gain", "train", "step"),
    [
        (0.0, 1.5, {}, "torch_compile"),
        (0.0, 1.05, {}, "eager"),
        (1e9, 1.5, {}, "eager"),
        (0.0, 1.5, {"step": "eager"}, "eager"),
        (0.0, 1.5, {"deterministic": True}, "eager"),
        (0.0, 1.5, {"freeze": "body"}, "eager"),
    ],
)
def test_long_trainings_on_images_are_compiled_where_that_is_faster(
    monkeypatch, seconds, gain, train, step
):
    monkeypatch.setattr(engine, "MEASURED_SECONDS", 0.0)
    monkeypatch.setattr(engine, "TORCH_COMPILE_SECONDS", seconds)
    monkeypatch.setattr(engine, "_gain", lambda *trials: gain)
    plan = plan_of(threads=1, precision="float32", layout="channels_last", **train)
    found = with_engine(plan, convolutional(), TASK.loss, TASK.mass, images(), num_batches=1)
    assert found.train.step == step


def test_tables_are_not_given_to_torch_s_compiler(monkeypatch):
    monkeypatch.setattr(engine, "MEASURED_SECONDS", 0.0)
    monkeypatch.setattr(engine, "TORCH_COMPILE_SECONDS", 0.0)
    monkeypatch.setattr(engine, "_gain", lambda *trials: 1.05)
    rows = Batch((torch.ones(4, 5),), torch.tensor([0, 1, 2, 0]))
    found = with_engine(plan_of(), nn.Linear(5, 3), TASK.loss, TASK.mass, rows, num_batches=1)
    assert found.train.step == "eager"


def test_what_is_asked_for_or_deterministic_is_not_measured(monkeypatch):
    monkeypatch.setattr(engine, "MEASURED_SECONDS", 0.0)
    monkeypatch.setattr(engine, "_gain", lambda *trials: pytest.fail("measured"))
    asked = {"threads": 1, "layout": "contiguous", "precision": "bfloat16"}
    assert decided(plan_of(**asked), convolutional(), images()) == asked
    strict = decided(plan_of(deterministic=True), convolutional(), images())
    assert strict["precision"] == "float32"


def test_a_measurement_leaves_the_network_and_the_random_numbers_alone(monkeypatch):
    monkeypatch.setattr(engine, "MEASURED_SECONDS", 0.0)
    network = convolutional()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    decided(plan_of(), network, images())
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_memory_is_kept_for_images_alone(monkeypatch):
    told = []
    monkeypatch.setattr(engine, "keep_freed_memory", lambda: told.append(True))
    decided(plan_of(), nn.Linear(5, 3), Batch((torch.ones(4, 5),), torch.tensor([0, 1, 2, 0])))
    assert not told
    decided(plan_of(), convolutional(), images())
    assert told


def test_ratios_are_medians_of_turns():
    first, second = iter([9.0, 2.0, 4.0, 6.0]), iter([1.0, 1.0, 1.0, 1.0])
    assert engine._gain(lambda: next(first), lambda: next(second)) == 4.0


@pytest.mark.parametrize("asked", [{"layout": "channels_last"}, {"precision": "bfloat16"}])
def test_layout_and_precision_give_the_same_gradients_to_their_accuracy(asked):
    grads = []
    for settings in ({"layout": "contiguous", "precision": "float32"}, asked):
        model = convolutional()
        options = TrainSettings(optimizer="sgd", **settings)
        descent = Descent(model, TASK.loss, options, lr=0.0, mass=TASK.mass)
        loss = descent.step(images(), Moment(0, 0, 0.0))
        assert loss.dtype == torch.float32
        grads.append([p.grad.float() for p in model.parameters()])
    tolerance = 2e-2 if "precision" in asked else 1e-5
    for found, wanted in zip(*reversed(grads), strict=True):
        assert (found - wanted).abs().max() <= tolerance * max(1.0, float(wanted.abs().max()))


def test_bfloat16_is_what_the_passes_compute_in():
    seen = []

    class Watching(nn.Linear):
        def forward(self, rows):
            outputs = super().forward(rows)
            seen.append(outputs.dtype)
            return outputs

    settings = TrainSettings(precision="bfloat16")
    descent = Descent(Watching(3, 3), TASK.loss, settings, lr=0.1, mass=TASK.mass)
    descent.step(Batch((torch.ones(2, 3),), torch.tensor([0, 1])), Moment(0, 0, 0.0))
    assert seen == [torch.bfloat16]
