"""A playground's training is a plan's: each knob does what its definition says, by torch."""

import pytest
import torch
from torch import nn

from glial.nn.landscape import weights_of
from glial.serving.playground.frames import frame_of
from glial.serving.playground.knobs import Knobs
from glial.serving.playground.lessons import LESSONS
from glial.serving.playground.network import build_network, dense_layers, loss_of, probabilities
from glial.serving.playground.session import ANEW, GOES_ON, Session

pytestmark = pytest.mark.slow  # all of them together: each is a short training

FULL = {"batches": "full", "points": 40, "hidden_sizes": [3], "noise": 0.05}


def stepped(**knobs):
    """The weights before and after a step, and the gradient of the loss in between."""
    session = Session(Knobs(**(FULL | knobs)))
    before = weights_of(session.network)
    rows = session.train_rows
    loss = loss_of(session.knobs)(session.network(*rows.inputs), rows.target, None)
    gradient = torch.cat(
        [g.flatten() for g in torch.autograd.grad(loss, session.network.parameters())]
    )
    session.advance(1)
    return session, before, weights_of(session.network), gradient


def is_weight(session):
    parts = [torch.full((p.numel(),), p.ndim > 1) for p in session.network.parameters()]
    return torch.cat(parts)


def test_plain_descent_is_its_formula():
    _, before, after, gradient = stepped(lr=0.5)
    torch.testing.assert_close(after, before - 0.5 * gradient)


@pytest.mark.parametrize("name", ["momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"])
def test_optimizers_are_torchs(name):
    knobs = Knobs(**FULL, optimizer=name, lr=0.01, momentum=0.8)
    session, twin = Session(knobs), build_network(knobs)
    makers = {
        "momentum": lambda p: torch.optim.SGD(p, 0.01, momentum=0.8),
        "nesterov": lambda p: torch.optim.SGD(p, 0.01, momentum=0.8, nesterov=True),
        "adagrad": lambda p: torch.optim.Adagrad(p, 0.01),
        "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01),
        "adam": lambda p: torch.optim.Adam(p, 0.01),
        "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.0),
    }
    optimizer = makers[name](twin.parameters())
    rows = session.train_rows
    for _ in range(3):
        optimizer.zero_grad()
        outputs = twin(*rows.inputs)[:, 0]
        nn.functional.binary_cross_entropy_with_logits(outputs, rows.target.float()).backward()
        optimizer.step()
    session.advance(3)
    torch.testing.assert_close(weights_of(session.network), weights_of(twin))


def test_penalties_pull_as_they_say():
    session, before, after, gradient = stepped(lr=0.5, l2=0.1)
    matrix = is_weight(session)
    torch.testing.assert_close(after, before - 0.5 * (gradient + 0.2 * before * matrix))
    session, before, after, gradient = stepped(lr=0.5, weight_decay=0.1)
    torch.testing.assert_close(after, before * (1 - 0.05 * matrix) - 0.5 * gradient)
    session, before, after, gradient = stepped(lr=0.5, l1=0.3)
    plain = before - 0.5 * gradient
    soft = torch.where(matrix, nn.functional.softshrink(plain, 0.15), plain)
    torch.testing.assert_close(after, soft)
    assert int((after[matrix] == 0).sum()) > 0


def test_clipping_limits_the_step():
    _, before, after, gradient = stepped(lr=1.0, clip_norm=0.01)
    torch.testing.assert_close(
        before - after, 0.01 * gradient / gradient.norm(), rtol=1e-3, atol=1e-6
    )
    _, before, after, gradient = stepped(lr=1.0, clip_value=0.01)
    torch.testing.assert_close(before - after, gradient.clamp(-0.01, 0.01), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [0.1, 0.1, 0.1]),
        ("exponential", [0.1, 0.05, 0.025]),
        ("step", [0.1, 0.1, 0.05]),
        ("linear", [0.1, 0.075, 0.05]),
    ],
)
def test_schedules_are_their_formulas(schedule, rates):
    session = Session(
        Knobs(**FULL, schedule=schedule, schedule_gamma=0.5, schedule_every=2, epochs=4, lr=0.1)
    )
    found = []
    for _ in rates:
        session.advance(1)
        found.append(session.rate)
    assert found == pytest.approx(rates)


@pytest.mark.parametrize(
    ("batches", "steps"), [("full", 1), ("mini", 4), ("single", 20), ("online", 20)]
)
def test_rows_of_a_step(batches, steps):
    session = Session(Knobs(points=40, batches=batches, batch_size=5, hidden_sizes=[2]))
    session.advance(steps - 1)
    assert session.epoch == 0
    session.advance(1)
    assert session.epoch == 1


def test_starting_weights_have_their_scale():
    one, three = (build_network(Knobs(init_scale=s, hidden_sizes=[5])) for s in (1.0, 3.0))
    for small, large in zip(dense_layers(one), dense_layers(three), strict=True):
        torch.testing.assert_close(3 * small.weight, large.weight)
    zero = Session(Knobs(initialization="zero", **FULL))
    zero.advance(5)
    assert not any(layer.weight.any() for layer in dense_layers(zero.network)[:-1])


def test_sigmoid_layers_vanish_and_skips_help():
    deep = {"hidden_sizes": [8] * 6, "batches": "full", "points": 40}
    ratios = []
    for knobs in ({"activation": "sigmoid"}, {"activation": "tanh", "skip": True}):
        session = Session(Knobs(**deep, **knobs))
        session.advance(1)
        first, *_, last = session.gradients()
        ratios.append(first / last)
    assert ratios[0] < 1e-3
    assert ratios[1] > 0.05


def test_early_stopping_brings_the_best_back():
    session = Session(Knobs(**FULL, lr=50.0, patience=3, epochs=100))
    session.advance(100)
    assert session.finished
    assert session.note.startswith("Stopped early")
    best = min(entry.test_loss for entry in session.history.entries)
    assert session.measure(session.test_rows).loss == pytest.approx(best)


def test_overflow_ends_with_a_reason():
    session = Session(Knobs(**FULL | {"dataset": "plane"}, activation="relu", lr=100.0))
    session.advance(200)
    assert session.finished
    assert "no number" in session.note
    assert session.findings[0].severity == "error"


def test_same_seed_same_training_beside_others():
    knobs = Knobs(points=40, hidden_sizes=[4], dropout=0.3, input_noise=0.1, input_dropout=0.2)
    alone = Session(knobs)
    alone.advance(20)
    one, other = Session(knobs), Session(knobs.model_copy(update={"seed": 5}))
    for _ in range(10):
        one.advance(2)
        other.advance(1)
    assert torch.equal(weights_of(alone.network), weights_of(one.network))
    before = weights_of(other.network)
    state = torch.get_rng_state()
    other.advance(1)
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(weights_of(other.network), before)


@pytest.mark.parametrize(
    "turned",
    [
        {"lr": 0.5},
        {"optimizer": "adam"},
        {"activation": "relu"},
        {"dropout": 0.5},
        {"noise": 0.3},
        {"dataset": "xor"},
        {"batches": "mini"},
        {"class_loss": "focal"},
        {"l1": 0.1},
    ],
)
def test_live_knobs_keep_the_weights(turned):
    session = Session(Knobs(**FULL))
    session.advance(3)
    before = weights_of(session.network)
    assert session.change(Knobs(**(FULL | turned))) == GOES_ON
    assert torch.equal(weights_of(session.network), before)
    assert session.step == 3
    session.advance(2)
    assert not torch.equal(weights_of(session.network), before)


@pytest.mark.parametrize(
    "turned",
    [
        {"hidden_sizes": [3, 3]},
        {"norm": "batch"},
        {"features": ["x1"]},
        {"seed": 1},
        {"init_scale": 2.0},
        {"dataset": "three"},
        {"dataset": "plane"},
        {"activation": "prelu"},
    ],
)
def test_other_shapes_start_anew(turned):
    session = Session(Knobs(**FULL))
    session.advance(3)
    assert session.change(Knobs(**(FULL | turned))) == ANEW
    assert session.step == 0


def test_turning_nothing_changes_nothing():
    session, twin = Session(Knobs(**FULL)), Session(Knobs(**FULL))
    session.advance(2)
    assert session.change(Knobs(**FULL)) == ""
    session.advance(2)
    twin.advance(4)
    assert torch.equal(weights_of(session.network), weights_of(twin.network))


def test_a_live_rate_goes_on_with_the_optimizers_memory():
    knobs = Knobs(**FULL, optimizer="adam", lr=0.1)
    session = Session(knobs)
    session.advance(2)
    session.change(knobs.model_copy(update={"lr": 0.05}))
    twin = build_network(knobs)
    optimizer = torch.optim.Adam(twin.parameters(), 0.1)
    rows = session.train_rows
    for step in range(3):
        optimizer.param_groups[0]["lr"] = 0.1 if step < 2 else 0.05
        optimizer.zero_grad()
        outputs = twin(*rows.inputs)[:, 0]
        nn.functional.binary_cross_entropy_with_logits(outputs, rows.target.float()).backward()
        optimizer.step()
    session.advance(1)
    torch.testing.assert_close(weights_of(session.network), weights_of(twin))


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("dataset", ["circles", "three"])
def test_probabilities_sum_to_one(loss, dataset):
    knobs = Knobs(class_loss=loss, dataset=dataset)
    outputs = torch.randn(9, knobs.num_outputs) * 3
    found = probabilities(outputs, knobs)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(9))
    assert found.shape == (9, max(2, knobs.num_outputs))
    assert float(found.min()) >= 0


def after(steps, **knobs):
    session = Session(Knobs(**knobs))
    session.advance(steps)
    return session


def score(session):
    return session.measure(session.test_rows).score


@pytest.mark.parametrize(
    ("name", "steps", "least"),
    [("xor", 800, 0.85), ("rectified", 300, 0.6), ("too-high", 120, 0.85), ("features", 60, 0.9)],
)
def test_lessons_show_what_they_say(name, steps, least):
    lesson = next(one for one in LESSONS if one.name == name)
    settings = [lesson.knobs, {**lesson.knobs, **lesson.after}]
    bad, good = settings[::-1] if name == "features" else settings
    assert score(after(min(steps, 120), **bad)) < min(0.75, least)
    assert score(after(steps, **good)) > least


def test_lessons_on_units_and_overfitting():
    lessons = {one.name: one for one in LESSONS}
    dead = frame_of(after(60, **lessons["dead"].knobs))["layers"]
    assert sum(layer["silent"] for layer in dead[:-1]) > 8
    large = frame_of(after(1, **lessons["exploding"].knobs))["layers"]
    assert min(layer["saturated"] for layer in large[:-1]) > 0.5
    overfit = after(450, **lessons["overfit"].knobs)
    mended = after(450, **lessons["overfit"].knobs | lessons["overfit"].after)
    gaps = [s.measure(s.test_rows).loss - s.measure(s.train_rows).loss for s in (overfit, mended)]
    assert gaps[0] > 0.3
    assert gaps[1] < gaps[0] / 2


def test_remedies_are_turns_of_knobs():
    session = after(60, lr=30.0)
    (found,) = [f for f in session.findings if f.problem == "learning-rate-too-high"]
    assert found.remedy["set"].keys() == {"train.lr"}
    assert 0 < found.remedy["set"]["train.lr"] < 30
    session = after(60, output_activation="relu")
    assert session.findings[0].remedy == {"set": {"model.output_activation": "linear"}}
