"""Weights that a loop changes by itself, and optimisers that take gradients while they step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glial.doctor.diagnosis import diagnose
from glial.doctor.evidence import Evidence
from glial.doctor.watcher import Watcher


def watched(training) -> Evidence:
    watcher = Watcher(budget=math.inf)
    watcher.begin()
    try:
        training()
    finally:
        evidence = watcher.end()
    assert [note for note in evidence.not_checked if "failed" in note.why] == []
    return evidence


def one_weight() -> nn.Linear:
    """A line through 0 with slope 1."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    return model


def loss_of(model: nn.Module) -> torch.Tensor:
    """(w x - y)^2 with x = 2 and y = 0, whose gradient is 8 w."""
    return F.mse_loss(model(torch.full((4, 1), 2.0)), torch.zeros(4, 1))


def descend(model: nn.Module, rounds: int, most: float = math.inf) -> None:
    """Gradient descent by hand, clipped where asked for."""
    for _ in range(rounds):
        model.zero_grad()
        loss_of(model).backward()
        if most < math.inf:
            nn.utils.clip_grad_norm_(model.parameters(), most)
        for weight in model.parameters():
            weight.data.add_(weight.grad, alpha=-0.05)
    loss_of(model)  # what the last update did is seen where weights are next used


def test_updates_by_hand_are_measured_as_an_optimisers_are():
    """The gradient is 8 w, and each update multiplies w by 0.6."""
    model = one_weight()
    evidence = watched(lambda: descend(model, 3))
    update, weight = evidence.optimizers[0], evidence.models[0].parameters[0]
    assert evidence.steps == evidence.sampled == 3
    assert weight.gradient.values == pytest.approx([8.0, 4.8, 2.88])
    assert weight.update.values == pytest.approx([0.4, 0.24, 0.144])
    assert evidence.losses[0].value.values == pytest.approx([4.0, 1.44, 0.5184])
    assert (update.name, update.kind, update.model) == ("by hand", "by hand", "model")
    assert update.settings["lr"] == pytest.approx(0.05)
    assert (update.kept_gradients, update.cleared_gradients) == (0, 2)


def test_clipped_gradients_are_those_that_the_update_is_made_of():
    model = one_weight()
    evidence = watched(lambda: descend(model, 3, most=1.0))
    weight = evidence.models[0].parameters[0]
    assert weight.gradient.values == pytest.approx([1.0, 1.0, 1.0])
    assert weight.update.values == pytest.approx([0.05, 0.05, 0.05])
    assert evidence.optimizers[0].settings["lr"] == pytest.approx(0.05)


def test_every_update_counts_where_few_are_looked_at():
    model = one_weight()
    evidence = watched(lambda: descend(model, 150))
    assert evidence.steps == 149  # nothing is learnt after the last
    assert 24 <= evidence.sampled < 100
    assert {len(loss.functions) for loss in evidence.losses} == {1}


def test_weights_without_a_network():
    weight = torch.zeros(3, requires_grad=True)
    x = torch.randn(32, 3)
    y = x @ torch.tensor([1.0, -1.0, 0.5])

    def training():
        for _ in range(40):
            loss = (x @ weight - y).square().mean()
            loss.backward()
            with torch.no_grad():
                weight.sub_(0.1 * weight.grad)
            weight.grad.zero_()

    evidence = watched(training)
    assert evidence.steps == 39  # the last is followed by nothing
    assert evidence.optimizers[0].settings["lr"] == pytest.approx(0.1, rel=1e-4)
    assert evidence.optimizers[0].alignment.mean() == pytest.approx(1.0)
    assert diagnose(evidence) == []


def test_gradients_that_are_never_cleared_by_hand():
    model = one_weight()

    def training():
        for _ in range(8):
            loss_of(model).backward()
            model.weight.data -= 1e-3 * model.weight.grad

    assert [finding.problem for finding in diagnose(watched(training))] == ["missing-zero-grad"]


def test_an_update_that_is_missing_is_still_missed():
    model = one_weight()

    def training():
        for _ in range(8):
            model.zero_grad()
            loss_of(model).backward()

    evidence = watched(training)
    assert evidence.optimizers == []
    assert diagnose(evidence)[0].problem == "missing-step"


def test_where_an_optimiser_steps_nothing_is_made_by_hand():
    model = one_weight()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def training():
        for _ in range(5):
            optimizer.zero_grad()
            for _ in range(2):
                loss_of(model).backward()
            optimizer.step()
            with torch.no_grad():
                model.weight.clamp_(-1.0, 1.0)

    evidence = watched(training)
    assert [seen.kind for seen in evidence.optimizers] == ["SGD"]
    assert evidence.steps == 5


@pytest.mark.slow
def test_evaluation_between_updates_by_hand():
    x, y = torch.randn(64, 3), torch.arange(64) % 2
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))

    def training():
        for _ in range(60):
            model.train()
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                for weight in model.parameters():
                    weight -= 0.01 * weight.grad
            model.eval()
            with torch.no_grad():
                F.cross_entropy(model(x), y)

    evidence = watched(training)
    assert evidence.steps == 60
    assert evidence.models[0].calls["eval"] >= 20
    assert len(evidence.losses[0].eval_value) >= 20


def closure_of(model: nn.Module, optimizer: torch.optim.Optimizer, *, clears: bool = True):
    def closure():
        if clears:
            optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        return loss

    return closure


def test_gradients_of_a_closure_are_those_of_its_first_pass():
    model = one_weight()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def training():
        for _ in range(3):
            optimizer.step(closure_of(model, optimizer))

    evidence = watched(training)
    weight, seen = evidence.models[0].parameters[0], evidence.optimizers[0]
    assert weight.gradient.values == pytest.approx([8.0, 4.8, 2.88])
    assert weight.update.values == pytest.approx([0.4, 0.24, 0.144])
    assert (seen.kept_gradients, seen.cleared_gradients) == (0, 2)
    assert weight.reached == 3


def test_steps_that_look_at_many_points():
    """LBFGS on a parabola: the gradient of a step is that at the weights it begins with."""
    model = one_weight()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
    began = []

    def training():
        for _ in range(5):
            began.append(model.weight.item())
            optimizer.step(closure_of(model, optimizer))

    evidence = watched(training)
    weight = evidence.models[0].parameters[0]
    assert weight.gradient.values == pytest.approx([8 * abs(value) for value in began])
    moved = [abs(b - a) for a, b in zip(began, [*began[1:], model.weight.item()], strict=True)]
    assert weight.update.values == pytest.approx(moved)
    assert set(evidence.optimizers[0].backwards) == {4}


def test_a_closure_that_clears_nothing_is_found():
    model = one_weight()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def training():
        for _ in range(8):
            optimizer.step(closure_of(model, optimizer, clears=False))

    assert "missing-zero-grad" in [found.problem for found in diagnose(watched(training))]


def test_of_a_step_with_a_closure_only_the_closure_is_heard():
    """LBFGS makes hundreds of calls by itself, which are no part of the loss."""
    model = nn.Linear(3, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
    heard: list[str] = []

    class Noting(Watcher):
        def function(self, call, args, kwargs):
            heard.append(getattr(call, "__name__", ""))
            return super().function(call, args, kwargs)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(torch.ones(4, 3)), torch.zeros(4, 1))
        loss.backward()
        return loss

    watcher = Noting(budget=math.inf)
    watcher.begin()
    try:
        for _ in range(3):
            optimizer.step(closure)
            model.weight.detach()  # heard again
    finally:
        evidence = watcher.end()
    assert heard.count("mse_loss") >= 3
    assert heard.count("detach") >= 3
    assert not {"dot", "mul_", "add_", "copy_", "lerp_"} & set(heard)
    assert evidence.losses[0].name == "mse_loss"
    assert evidence.steps == 3


def test_after_a_closure_that_fails_the_script_is_heard_again():
    model = nn.Linear(3, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2)
    fails = [False, True, False]
    heard: list[str] = []

    class Noting(Watcher):
        def function(self, call, args, kwargs):
            heard.append(getattr(call, "__name__", ""))
            return super().function(call, args, kwargs)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        if fails[0]:
            raise ValueError("no more rows")
        loss = F.mse_loss(model(torch.ones(4, 3)), torch.zeros(4, 1))
        loss.backward()
        return loss

    watcher = Noting(budget=math.inf)
    watcher.begin()
    try:
        while fails:
            heard.clear()
            if fails[0]:
                with pytest.raises(ValueError, match="no more rows"):
                    optimizer.step(closure)
            else:
                optimizer.step(closure)
            torch.cos(torch.ones(1))
            assert "cos" in heard
            fails.pop(0)
    finally:
        evidence = watcher.end()
    assert evidence.steps == 2
