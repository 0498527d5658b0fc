"""Trainings of many kinds, and what is left of each with the doctor and without.

Run as a program, so that no type checks of the tests draw random numbers beside them.
"""

from __future__ import annotations

import json
import random
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from glial.doctor.watcher import Watcher


def data(rows: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows, 6, generator=generator)
    return x, (x[:, 0] + x[:, 1] > 0).long()


def perceptron() -> list[nn.Module]:
    x, y = data()
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(6):
        for rows in torch.randperm(len(x)).split(16):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            (model(x).argmax(1) == y).float().mean().item()
        model.train()
    return [model]


def normalized_images_from_a_loader() -> list[nn.Module]:
    x = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    y = (x.mean((1, 2, 3)) > 0).long()
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    for _ in range(5):
        for images, labels in DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True):
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        scheduler.step()
    return [model]


def closures() -> list[nn.Module]:
    x, y = data()
    model = nn.Linear(6, 2)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    return [model]


def accumulated_in_low_precision() -> list[nn.Module]:
    x, y = data()
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for number, rows in enumerate(torch.arange(96).repeat(6).split(16)):
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(x[rows]), y[rows]) / 2
        loss.backward()
        if number % 2:
            optimizer.step()
            optimizer.zero_grad()
    return [model]


def two_players() -> list[nn.Module]:
    maker, judge = nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    makers = torch.optim.Adam(maker.parameters(), 1e-3)
    judges = torch.optim.Adam(judge.parameters(), 1e-3)
    for _ in range(30):
        made = maker(torch.randn(16, 3))
        real = torch.randn(16, 2) + 2
        loss = F.softplus(-judge(real)).mean() + F.softplus(judge(made.detach())).mean()
        judges.zero_grad()
        loss.backward()
        judges.step()
        makers.zero_grad()
        F.softplus(-judge(made)).mean().backward()
        makers.step()
    return [maker, judge]


def noisy_by_numpy() -> list[nn.Module]:
    x, y = data()
    model = nn.Linear(6, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(40):
        rows = np.random.permutation(96)[: random.randint(8, 16)]  # noqa: NPY002
        noise = torch.as_tensor(np.random.normal(size=(len(rows), 6)), dtype=torch.float32)  # noqa: NPY002
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows] + noise), y[rows]).backward()
        optimizer.step()
    return [model]


def by_hand() -> list[nn.Module]:
    x, y = data()
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
    for _ in range(8):
        for rows in torch.randperm(len(x)).split(16):
            model.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for weight in model.parameters():
                weight.data.add_(weight.grad, alpha=-0.1)
    return [model]


def generators_of_ones_own() -> list[nn.Module]:
    x, y = data()
    rows = TensorDataset(x, y)
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.3), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    noise = torch.Generator().manual_seed(3)
    sampler = RandomSampler(rows, replacement=True, num_samples=16 * 30)
    for inputs, labels in DataLoader(rows, batch_size=16, sampler=sampler):
        shifted = inputs + 0.1 * torch.randn(inputs.shape, generator=noise)
        optimizer.zero_grad()
        F.cross_entropy(model(shifted), labels).backward()
        optimizer.step()
    return [model]


TRAININGS = [
    perceptron,
    normalized_images_from_a_loader,
    closures,
    accumulated_in_low_precision,
    two_players,
    noisy_by_numpy,
    by_hand,
    generators_of_ones_own,
]


def result_of(training) -> dict[str, object]:
    """The weights of a training, and what its generators give next."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    models = training()
    state = [value for model in models for value in model.state_dict().values()]
    return {
        "weights": [value.tolist() for value in state],
        "drawn": [torch.rand(1).item(), np.random.rand(), random.random()],  # noqa: NPY002
    }


if __name__ == "__main__":
    found = {}
    for training in TRAININGS:
        alone = result_of(training)
        watcher = Watcher()
        watcher.begin()
        watched = result_of(training)
        evidence = watcher.end()
        found[training.__name__] = {
            "alone": alone,
            "watched": watched,
            "steps": evidence.steps,
            "sampled": evidence.sampled,
            "losses": [loss.name for loss in evidence.losses],
            "faults": [note.why for note in evidence.not_checked if "failed" in note.why],
        }
    sys.stdout.write(json.dumps(found))
