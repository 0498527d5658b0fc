"""Each rule fires on a planted fault and is silent on the same training without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from glial.core.findings import Finding
from glial.doctor import Doctor, diagnose
from glial.doctor.evidence import Evidence, LossSeen, Series


@dataclass
class Training:
    """A digits classifier that is healthy as it stands; a fault changes one thing of it."""

    seed: int = 0
    classes: int = 10
    hidden: Callable[[], list[nn.Module]] = lambda: [nn.Linear(64, 48), nn.ReLU()]
    width: int = 48
    head: Callable[[int, int], nn.Module] = nn.Linear
    last: list[nn.Module] = field(default_factory=list)
    prepare: Callable[[Any], Any] = lambda x: x
    prepare_test: Callable[[Any], Any] | None = None
    label: Callable[[Any], Any] = lambda y: y
    loss: Callable[[Any, Any], Any] = F.cross_entropy
    optimizer: Callable[[Any], Any] = lambda p: torch.optim.Adam(p, lr=2e-3)
    change: Callable[[nn.Sequential], Any] = lambda model: None
    after: Callable[[nn.Sequential], Any] = lambda model: None
    schedule: Callable[[Any], Any] | None = None
    epochs: int = 12
    batch: int = 32
    zero: bool = True
    step: bool = True
    cleared: bool = False
    order: Callable[[Any], Any] = lambda y: torch.randperm(len(y))
    evaluates_in: bool = False
    trains_in: bool = True

    def run(self) -> Doctor:
        """Train and evaluate under the doctor's eyes."""
        torch.manual_seed(self.seed)
        images, digits = load_digits(return_X_y=True)
        places = torch.randperm(len(digits))
        x = torch.tensor(images / 16, dtype=torch.float32)[places]
        y = torch.tensor(digits)[places]
        x, y = x[y < self.classes], y[y < self.classes]
        half = 2 * len(y) // 3
        train, test = self.prepare(x[:half]), (self.prepare_test or self.prepare)(x[half:])
        target = self.label(y[:half])
        model = nn.Sequential(*self.hidden(), self.head(self.width, self.classes), *self.last)
        self.change(model)
        optimizer = self.optimizer(model.parameters())
        self.after(model)
        schedule = self.schedule(optimizer) if self.schedule else None
        with Doctor.watch(model, optimizer, budget=math.inf) as doctor:
            for _ in range(self.epochs):
                model.train(self.trains_in)
                for rows in self.order(target).split(self.batch):
                    if self.zero:
                        optimizer.zero_grad()
                    self.loss(model(train[rows]), target[rows]).backward()
                    if self.cleared:
                        optimizer.zero_grad()
                    if self.step:
                        optimizer.step()
                if schedule:
                    schedule.step()
                model.train(self.evaluates_in)
                with torch.no_grad():
                    (model(test).argmax(1) == y[half:]).float().mean()
        return doctor


def one_hot(y: Any) -> Any:
    return F.one_hot(y, 10).float()


def constant(model: nn.Sequential) -> None:
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.weight, 0.01)
            nn.init.zeros_(module.bias)


def huge(model: nn.Sequential) -> None:
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=3.0)


def deep_sigmoids() -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Linear(64, 48), nn.Sigmoid()]
    for _ in range(6):
        layers += [nn.Linear(48, 48), nn.Sigmoid()]
    return layers


def new_head(model: nn.Sequential) -> None:
    model[2] = nn.Linear(48, 10)


class Cut(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.detach()


def at_random(y: Any) -> Any:
    return y[torch.randperm(len(y), generator=torch.Generator().manual_seed(5))]


def without_log_softmax(outputs: Any, target: Any) -> Any:
    chosen = F.softmax(30 * outputs, 1)[torch.arange(len(target)), target]
    return -torch.log(chosen).mean()


def deep_relus() -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Linear(64, 48), nn.ReLU()]
    for _ in range(16):
        layers += [nn.Linear(48, 48), nn.ReLU()]
    return layers


def sgd(lr: float, **settings: Any) -> Callable[[Any], Any]:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, **settings)


def adam(lr: float, **settings: Any) -> Callable[[Any], Any]:
    return lambda parameters: torch.optim.Adam(parameters, lr=lr, **settings)


# The problem, and what makes it; the first finding must name the problem.
FAULTS: dict[str, dict[str, Any]] = {
    "missing-zero-grad": {"zero": False},
    "wrong-order": {"cleared": True},
    "gradient-ascent": {"loss": lambda o, t: -F.cross_entropy(o, t), "optimizer": sgd(0.05)},
    "untrained-parameters": {"after": new_head},
    "untrained-parameters:cut": {
        "hidden": lambda: [nn.Linear(64, 48), nn.ReLU(), Cut(), nn.Linear(48, 48), nn.ReLU()]
    },
    "wrong-mode": {
        "hidden": lambda: [nn.Linear(64, 48), nn.ReLU(), nn.Dropout(0.5)],
        "evaluates_in": True,
    },
    "wrong-mode:training": {
        "hidden": lambda: [nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU()],
        "trains_in": False,
    },
    "softmax-twice": {"last": [nn.Softmax(1)], "optimizer": sgd(0.1)},
    "wrong-loss": {
        "label": one_hot,
        "loss": lambda o, t: F.mse_loss(o, t),
        "optimizer": sgd(0.3),
        "epochs": 3,
    },
    "wrong-reduction": {
        "loss": lambda o, t: F.cross_entropy(o, t, reduction="sum"),
        "optimizer": sgd(0.1, momentum=0.9),
    },
    "wrong-axis": {"last": [nn.LogSoftmax(0)], "loss": F.nll_loss, "optimizer": sgd(0.1)},
    "unsafe-numerics": {
        "loss": without_log_softmax,
        "prepare": lambda x: 8 * x,
        "optimizer": sgd(0.05),
    },
    "missing-values": {"prepare": lambda x: torch.log(x)},
    "unscaled-input": {"prepare": lambda x: 16000 * x, "optimizer": sgd(0.01)},
    "constant-input": {"prepare": lambda x: x / 4000, "optimizer": sgd(0.05), "epochs": 4},
    "preprocessing-mismatch": {"prepare_test": lambda x: 255 * x},
    "misaligned-labels": {"label": at_random},
    "unshuffled-data": {"order": torch.argsort},
    "symmetric-units": {"change": constant, "optimizer": sgd(0.1)},
    "bad-initial-scale": {"change": huge, "optimizer": sgd(0.01)},
    "vanishing-gradient": {"hidden": deep_sigmoids, "optimizer": sgd(0.05)},
    "underfitting": {"hidden": lambda: [nn.Linear(64, 1), nn.Tanh()], "width": 1},
    "learning-rate-too-high": {"optimizer": sgd(8.0)},
    "learning-rate-too-low": {"optimizer": sgd(1e-5)},
    "schedule-collapse": {
        "optimizer": sgd(0.02),
        "schedule": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.01),
    },
    "schedule-collapse:rising": {
        "optimizer": sgd(0.02),
        "schedule": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda n: 1e-3 * (n + 1) ** 2),
    },
    "wrong-optimizer-setting": {"optimizer": adam(1e-3, eps=1.0), "epochs": 6},
    "over-regularised": {"optimizer": sgd(0.05, weight_decay=1.0)},
    "undertrained": {"optimizer": sgd(0.1), "epochs": 1},
    "over-regularised:smoothed": {
        "loss": lambda o, t: F.cross_entropy(o, t, label_smoothing=0.95),
        "optimizer": sgd(0.01),
    },
    "vanishing-gradient:rectified": {"hidden": deep_relus, "optimizer": adam(1e-3)},
    "vanishing-gradient:squashed": {
        "hidden": lambda: [nn.Linear(64, 48), nn.Sigmoid(), nn.Linear(48, 48), nn.Sigmoid()],
        "optimizer": adam(2e-3),
        "epochs": 4,
    },
    "learning-rate-too-high:replaced": {"optimizer": adam(3.0)},
}


def problems(findings: list[Finding]) -> list[str]:
    return [finding.problem for finding in findings if finding.severity != "note"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_finding_names_the_fault(fault):
    doctor = Training(**FAULTS[fault]).run()
    assert problems(doctor.findings)[:1] == [fault.partition(":")[0]], str(doctor)


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"seed": 1, "optimizer": sgd(0.1, momentum=0.9)},
        {"hidden": lambda: [nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(0.2)]},
        {"hidden": lambda: [nn.Linear(64, 48), nn.Tanh()], "optimizer": sgd(0.2)},
        {"loss": lambda o, t: F.nll_loss(F.log_softmax(o, 1), t)},
        {
            "optimizer": sgd(0.2),
            "schedule": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 12),
        },
        {"optimizer": adam(3e-3, weight_decay=1e-4), "batch": 64, "classes": 5, "width": 48},
    ],
    ids=["plain", "momentum", "normed", "tanh", "log-softmax", "cosine", "few-classes"],
)
def test_healthy_trainings_have_no_finding(variant):
    doctor = Training(**variant).run()
    assert problems(doctor.findings) == [], str(doctor)
    assert doctor.healthy


@pytest.mark.slow
def test_a_rate_that_was_last_looked_at_early_is_not_still_rising():
    doctor = Training(**FAULTS["schedule-collapse:rising"]).run()
    evidence = doctor.evidence
    assert evidence.optimizers[0].lr.steps[-1] > 0.9 * evidence.steps
    evidence.steps *= 2
    assert "schedule-collapse" not in problems(diagnose(evidence))


def test_a_loss_that_is_nan_is_told_with_its_step():
    loss = LossSeen("mse_loss", value=Series([1, 2, 3], [1.0, 2.0, math.nan]))
    found = diagnose(Evidence(steps=3, losses=[loss], loss_not_finite=3))
    assert [(f.problem, f.since_step) for f in found] == [("loss-not-finite", 3)]


def test_findings_are_silenced_by_problem_and_by_layer():
    loss = LossSeen("mse_loss", value=Series([1], [math.nan]))
    evidence = Evidence(steps=1, losses=[loss], loss_not_finite=1)
    assert diagnose(evidence, ignore=["loss-not-finite"]) == []
    assert len(diagnose(evidence, ignore=["loss-not-finite@0"])) == 1
