"""Gradients that ``torch.autograd.grad`` returns, of weights that no module need hold."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glial.core.findings import is_healthy
from glial.doctor import Doctor
from glial.doctor.evidence import Evidence


def watched(training) -> Evidence:
    torch.manual_seed(0)
    with Doctor.watch(budget=math.inf) as doctor:
        training()
    assert doctor.evidence is not None
    assert [note.why for note in doctor.evidence.not_checked if "failed" in note.why] == []
    return doctor.evidence


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(256, 4, generator=generator)
    return x, (x[:, 0] + x[:, 1] > 0).long()


def train_bare(rate: float, scale: float = 0.3) -> None:
    """Two layers whose weights are tensors."""
    x, y = rows()
    first = (torch.randn(4, 24) * scale).requires_grad_()
    last = (torch.randn(24, 2) * 0.3).requires_grad_()
    weights = [first, last]
    for _ in range(15):
        for part in torch.randperm(len(x)).split(64):
            loss = F.cross_entropy((x[part] @ first).relu() @ last, y[part])
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight -= rate * gradient


def test_they_are_measured_as_those_that_are_left_in_weights():
    """The loss is (2 w)^2: the gradient is 8 w, and each update multiplies w by 0.6."""
    slope, offset = torch.ones(1, requires_grad=True), torch.zeros(1, requires_grad=True)

    def training():
        for _ in range(4):
            loss = F.mse_loss(2 * slope + 0 * offset, torch.zeros(1))
            by_slope, by_offset = torch.autograd.grad(loss, [slope, offset])
            with torch.no_grad():
                slope.sub_(0.05 * by_slope)
                offset.sub_(0.05 * by_offset)

    evidence = watched(training)
    weight = next(p for p in evidence.models[0].parameters if p.name == "slope")
    assert evidence.steps == 3  # nothing is learnt after the last
    assert weight.gradient.values == pytest.approx([8.0, 4.8, 2.88])
    assert weight.update.values == pytest.approx([0.4, 0.24, 0.144])
    assert evidence.losses[0].value.values == pytest.approx([4.0, 1.44, 0.5184, 0.186624])
    update = evidence.optimizers[0]
    assert (update.name, update.model) == ("by hand", "weights")
    assert update.settings["lr"] == pytest.approx(0.05)
    assert update.kept_gradients == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "scale", "problem"),
    [
        (50.0, 0.3, "learning-rate-too-high"),
        (1e-6, 0.3, "learning-rate-too-low"),
        (-0.1, 0.3, "gradient-ascent"),
        (0.01, 30.0, "bad-initial-scale"),
        (0.3, 0.3, None),
    ],
)
def test_faults_of_bare_weights_are_named(rate, scale, problem):
    with Doctor.watch(budget=math.inf) as doctor:
        torch.manual_seed(0)
        train_bare(rate, scale)
    if problem is None:
        assert is_healthy(doctor.findings)
    else:
        assert doctor.findings[0].problem == problem


def test_gradients_of_rows_are_no_update():
    """An attack moves the rows, and a penalty is part of the loss."""
    x, y = rows()
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def training():
        for part in torch.arange(len(x)).split(32):
            attacked = x[part].clone().requires_grad_()
            slope = torch.autograd.grad(F.cross_entropy(model(attacked), y[part]), attacked)[0]
            loss = F.cross_entropy(model(x[part] + 0.1 * slope.sign()), y[part])
            (steep,) = torch.autograd.grad(loss, model.weight, create_graph=True)
            optimizer.zero_grad()
            (loss + 0.01 * steep.square().sum()).backward()
            optimizer.step()

    evidence = watched(training)
    assert [update.name for update in evidence.optimizers] == ["optimizer"]
    assert evidence.steps == len(evidence.losses[0].value) == 8


def test_whoever_asks_gets_what_torch_gives():
    """A list, an iterator, and one tensor."""
    weight, loss = nn.Parameter(torch.ones(2)), None

    def training():
        nonlocal loss
        for inputs in ([weight], iter([weight]), weight):
            loss = weight.square().sum()
            (gradient,) = torch.autograd.grad(loss, inputs)
            assert torch.equal(gradient, 2 * weight.detach())

    watched(training)
    assert weight.grad is None


def test_weights_that_begin_at_nought_and_go_uphill_are_one_fault():
    """What is nought at first has no size to hold its steps against."""
    x, y = rows()
    weight = torch.zeros(4, 2, requires_grad=True)
    offset = torch.zeros(2, requires_grad=True)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(30):
            loss = F.cross_entropy(x @ weight + offset, y)
            gradients = torch.autograd.grad(loss, [weight, offset])
            with torch.no_grad():
                weight += 0.5 * gradients[0]
                offset += 0.5 * gradients[1]
    assert [found.problem for found in doctor.findings] == ["gradient-ascent"]
