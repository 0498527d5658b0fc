"""Policies that make rarer what paid off, and those that do not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical
from torch.nn import functional as F

from glial.core.findings import is_healthy
from glial.doctor import Doctor


class Choosing(nn.Module):
    """Its answer is a distribution."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> Categorical:
        return Categorical(logits=self.body(x))


def negated(log_chosen, paid):
    return -(log_chosen * paid).mean()


def turned(log_chosen, paid):
    return (log_chosen * paid).mean()


def of_ratios(log_chosen, paid):
    ratio = (log_chosen - log_chosen.detach()).exp()
    return -torch.min(ratio * paid, ratio.clamp(0.8, 1.2) * paid).mean()


def of_ratios_turned(log_chosen, paid):
    return -of_ratios(log_chosen, paid)


def one_by_one(log_chosen, paid):
    return torch.stack([-one * value for one, value in zip(log_chosen, paid, strict=True)]).sum()


def train(surrogate, *, given: str = "distribution") -> None:
    """A bandit with four arms, of which the third pays."""
    torch.manual_seed(0)
    model = Choosing() if given == "distribution" else nn.Linear(3, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    x = torch.randn(16, 3)
    for _ in range(12):
        answer = model(x)
        policy = answer if given == "distribution" else Categorical(logits=answer)
        chosen = policy.sample()
        paid = (chosen == 2).float() - 0.4
        loss = surrogate(policy.log_prob(chosen), paid)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.slow
@pytest.mark.parametrize("given", ["distribution", "logits"])
@pytest.mark.parametrize("surrogate", [turned, of_ratios_turned])
def test_choices_that_paid_off_and_get_rarer_are_named(surrogate, given):
    with Doctor.watch(budget=math.inf) as doctor:
        train(surrogate, given=given)
    found = doctor.findings[0]
    assert (found.problem, found.severity) == ("gradient-ascent", "error")
    assert found.evidence["made_rarer"] == 1.0
    first = turned.__code__.co_firstlineno
    assert found.at is not None
    assert found.at.line in (first + 1, of_ratios.__code__.co_firstlineno + 2)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["distribution", "logits"])
@pytest.mark.parametrize("surrogate", [negated, of_ratios, one_by_one])
def test_choices_that_paid_off_and_get_likelier_are_not(surrogate, given):
    with Doctor.watch(budget=math.inf) as doctor:
        train(surrogate, given=given)
    assert doctor.evidence is not None
    probe = doctor.evidence.probe("policy")
    assert probe is not None
    assert probe.numbers["made_rarer"] == 0.0
    assert is_healthy(doctor.findings)


@pytest.mark.slow
def test_weights_of_rows_are_no_policy_that_is_reversed():
    torch.manual_seed(0)
    x, weight = torch.randn(64, 3), torch.rand(64)
    y, model = (x[:, 0] > 0).long(), nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(30):
            loss = (F.cross_entropy(model(x), y, reduction="none") * weight).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert is_healthy(doctor.findings)


def test_values_of_actions_are_no_chances():
    """A table of values has both signs of the slope, whatever it is multiplied by."""
    torch.manual_seed(0)
    x, going_on = torch.randn(64, 3), (torch.rand(64) > 0.1).float()
    paid, model = x[:, 0].relu(), nn.Sequential(nn.Linear(3, 4), nn.Softplus())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(30):
            values = model(x).gather(1, torch.zeros(64, 1, dtype=torch.long))[:, 0]
            loss = F.mse_loss(values * going_on, paid)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert doctor.evidence is not None
    assert doctor.evidence.probe("policy") is None
