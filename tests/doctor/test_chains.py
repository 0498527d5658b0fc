"""Linear layers in a row, however they are written; weights and biases that begin far off."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glial.core.findings import Finding
from glial.doctor import Doctor

pytestmark = pytest.mark.slow


def watched(train: Callable[[], Any]) -> Doctor:
    torch.manual_seed(0)
    with Doctor.watch(budget=math.inf) as doctor:
        train()
    return doctor


def named(doctor: Doctor, problem: str) -> list[Finding]:
    return [finding for finding in doctor.findings if finding.problem == problem]


def rings(rows: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """A disc in a ring: nothing linear tells them apart."""
    generator = torch.Generator().manual_seed(3)
    y = torch.arange(rows) % 2
    angles = 2 * math.pi * torch.rand(rows, generator=generator)
    radii = (0.4 + 1.2 * y) * (1 + 0.1 * torch.randn(rows, generator=generator))
    return torch.stack([radii * angles.cos(), radii * angles.sin()], 1), y


def fit(*parts: nn.Module, lr: float = 0.01, clip: float | None = None, epochs: int = 12) -> None:
    (x, y), weights = rings(), [p for part in parts for p in part.parameters()]
    optimizer = torch.optim.Adam(weights, lr=lr)
    for _ in range(epochs):
        for row in torch.randperm(len(x)).split(32):
            given = x[row]
            for part in parts:
                given = part(given)
            optimizer.zero_grad()
            F.cross_entropy(given, y[row]).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(weights, clip)
            optimizer.step()


class Shared(nn.Module):
    """One activation that is called twice."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(2, 24), nn.BatchNorm1d(24)
        self.second, self.last = nn.Linear(24, 24), nn.Linear(24, 2)
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.activation(self.norm(self.first(x)))
        return self.last(self.activation(self.second(x)))


@pytest.mark.parametrize("between", [nn.Identity(), nn.BatchNorm1d(24), nn.Dropout(0.1)])
def test_what_only_scales_makes_no_layer_less_linear(between):
    model = nn.Sequential(nn.Linear(2, 24), between, nn.Linear(24, 2))
    (found,) = named(watched(lambda: fit(model)), "missing-nonlinearity")
    assert (found.severity, found.where) == ("warning", "0")
    assert "between 0 and 2" in found.means


@pytest.mark.parametrize(("activation", "linear"), [(nn.Identity(), True), (nn.ReLU(), False)])
def test_an_activation_that_is_called_twice(activation, linear):
    doctor = watched(lambda: fit(Shared(activation)))
    assert bool(named(doctor, "missing-nonlinearity")) is linear


@pytest.mark.parametrize("missing", [True, False])
def test_modules_that_feed_each_other(missing):
    body = nn.Sequential(nn.Linear(2, 24), nn.Identity() if missing else nn.Tanh())
    head = nn.Linear(24, 2)
    found = named(watched(lambda: fit(body, head)), "missing-nonlinearity")
    assert [finding.where for finding in found] == (["part.0"] if missing else [])
    if missing:
        assert found[0].severity == "warning"


class Siamese(nn.Module):
    """A projector that two views are compared by, and what predicts one from the other."""

    def __init__(self, *, linear: bool) -> None:
        super().__init__()
        middle = nn.Identity() if linear else nn.ReLU()
        self.projector = nn.Sequential(
            nn.Linear(6, 12), middle, nn.Linear(12, 12), nn.BatchNorm1d(12)
        )
        self.predictor = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 12))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b = self.projector(a), self.projector(b)
        return self.predictor(a), self.predictor(b), a.detach(), b.detach()


@pytest.mark.parametrize("linear", [True, False])
def test_a_predictor_of_views_may_follow_a_linear_layer(linear):
    model = Siamese(linear=linear)

    def train() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for _ in range(20):
            rows = torch.randn(64, 6)
            first, second, a, b = model(*(rows + 0.1 * torch.randn(2, 64, 6)))
            optimizer.zero_grad()
            compared = F.cosine_similarity(first, b).mean() + F.cosine_similarity(second, a).mean()
            (-compared).backward()
            optimizer.step()

    found = named(watched(train), "missing-nonlinearity")
    assert [finding.where for finding in found] == (["projector.0"] if linear else [])


def test_a_network_that_is_given_other_things_too_follows_none():
    """As a discriminator is: what it is given is data, made up or not."""
    generator, discriminator = nn.Linear(4, 6), nn.Linear(6, 1)

    def train() -> None:
        optimizer = torch.optim.SGD([*generator.parameters(), *discriminator.parameters()], lr=0.1)
        for _ in range(20):
            real, made = torch.randn(16, 6), generator(torch.randn(16, 4))
            optimizer.zero_grad()
            (discriminator(made).mean() - discriminator(real).mean()).backward()
            optimizer.step()

    doctor = watched(train)
    assert doctor.evidence is not None
    assert [model.follows for model in doctor.evidence.models] == [[], []]
    assert named(doctor, "missing-nonlinearity") == []


def test_a_narrow_code_between_two_modules_is_meant_so():
    encoder, decoder = nn.Linear(20, 2), nn.Linear(2, 20)

    def train() -> None:
        optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.1)
        for _ in range(20):
            x = torch.randn(16, 20)
            optimizer.zero_grad()
            F.mse_loss(decoder(encoder(x)), x).backward()
            optimizer.step()

    doctor = watched(train)
    assert doctor.evidence is not None
    assert doctor.evidence.models[1].follows == ["encoder", ""]
    assert named(doctor, "missing-nonlinearity") == []


def test_a_layer_that_two_others_take_is_no_pair():
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.left, self.right = nn.Linear(2, 8), nn.Linear(8, 2), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            return self.left(x) * torch.sigmoid(self.right(x))

    assert named(watched(lambda: fit(Forked())), "missing-nonlinearity") == []


def test_a_layer_that_also_goes_around_a_block_is_no_pair():
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.first, self.last = nn.Linear(2, 8), nn.Linear(8, 8), nn.Linear(8, 2)
            self.shortcut = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            return self.last(torch.relu(torch.tanh(self.first(x)) + self.shortcut(x)))

    assert named(watched(lambda: fit(Around())), "missing-nonlinearity") == []


@pytest.mark.parametrize("kind", ["separable", "bottleneck", "inverted"])
def test_convolutions_that_are_meant_to_be_linear_between(kind):
    images = torch.randn(64, 4, 6, 6)
    labels = torch.arange(64) % 2
    between = [nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4), nn.Conv2d(4, 8, 1)]
    if kind == "bottleneck":
        between = [nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 8, 1)]
    if kind == "inverted":
        between = [nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 8, 1)]
    model = nn.Sequential(
        *between,
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    )

    def train() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
        for _ in range(20):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()

    assert named(watched(train), "missing-nonlinearity") == []


@pytest.mark.parametrize("bias", [-20.0, 0.0])
def test_biases_that_begin_far_from_nought(bias):
    model = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2))
    nn.init.constant_(model[0].bias, bias)
    doctor = watched(lambda: fit(model))
    if bias:
        assert doctor.findings[0].problem == "bad-initial-scale"
        assert doctor.findings[0].where == "0"
    else:
        assert named(doctor, "bad-initial-scale") == []


def test_weights_that_begin_at_almost_nought_are_not_a_rate_too_high():
    model = nn.Sequential(
        nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 2)
    )
    for weight in model.parameters():
        if weight.dim() > 1:
            nn.init.normal_(weight, std=1e-5)
    doctor = watched(lambda: fit(model, lr=3e-3))
    assert named(doctor, "learning-rate-too-high") == []
    assert doctor.findings[0].problem == "bad-initial-scale"


@pytest.mark.parametrize("clip", [1e-7, 1.0])
def test_gradients_that_are_clipped_until_nothing_is_left(clip):
    model = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2))
    found = named(watched(lambda: fit(model, lr=1e-3, clip=clip)), "wrong-optimizer-setting")
    assert [finding.severity for finding in found] == (["warning"] if clip < 1 else [])
    if found:
        assert found[0].evidence["max_norm"] == pytest.approx(clip, rel=1e-3)


def test_a_layer_of_one_unit_says_nothing_of_how_weights_were_drawn():
    model = nn.Sequential(
        *(nn.Linear(2, 1), nn.Tanh()), *(nn.Linear(1, 1), nn.Tanh()), nn.Linear(1, 2)
    )
    doctor = watched(lambda: fit(model))
    assert named(doctor, "bad-initial-scale") == []
    assert named(doctor, "underfitting")


def test_a_step_of_many_steps_is_no_rate_that_is_too_high():
    """LBFGS's first step may be as large as the weights."""
    (x, y), model = rings(), nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    wrong = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(1))]
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.02, generator=torch.Generator().manual_seed(2))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=20)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), wrong)
        loss.backward()
        return loss

    doctor = watched(lambda: [optimizer.step(closure) for _ in range(20)])
    assert named(doctor, "learning-rate-too-high") == []
