"""Scripts whose network is ``net``, and the evidence that watching them would have given."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from typing import Any

from glial.core.findings import Finding, Place
from glial.doctor.evidence import (
    AskedSeen,
    Evidence,
    LoaderSeen,
    LossSeen,
    ModelSeen,
    TensorSeen,
)
from glial.doctor.remedies import Case, Change, Sources, changes, texts_after

FILE = "/scripts/train.py"


def case_of(
    problem: str,
    text: str,
    *,
    inputs: TensorSeen | None = None,
    target: TensorSeen | None = None,
    loss: str = "cross_entropy",
    where: str | None = None,
    numbers: dict[str, float] | None = None,
    kind: str = "Sequential",
    at: str | None = None,
) -> Case:
    """What is known of a script: the lines marked ``# learns``, ``# asks`` and ``# loss``.

    The finding is at the first line that holds ``at``; at the loss without.
    """
    lines = text.splitlines()
    marked = {
        mark: [Place(FILE, n) for n, line in enumerate(lines, 1) if f"# {mark}" in line]
        for mark in ("learns", "asks", "loss", "loader", "made")
    }
    inputs = inputs or TensorSeen(shape=[32, 4], dtype="float32", count=128, mean=0.0, std=1.0)
    model = ModelSeen(
        "net",
        kind,
        asked=[AskedSeen(place, inputs) for place in marked["asks"]],
        inputs={"train": [inputs]},
        outputs={"train": TensorSeen(shape=[32, 1])},
        calls={"train": 1},
        train_at=(marked["learns"] or [None])[0],
    )
    seen = LossSeen(
        loss,
        at=(marked["loss"] or marked["learns"] or [None])[0],
        made_at=(marked["made"] or [None])[0],
        model="net",
        target=target,
    )
    loaders = [LoaderSeen("loader", at=at, training=True) for at in marked["loader"]]
    evidence = Evidence(models=[model], losses=[seen], loaders=loaders)
    found = [Place(FILE, n) for n, line in enumerate(lines, 1) if at and at in line]
    place = found[0] if found else seen.at
    finding = Finding(problem, "error", where, numbers or {}, "It.", "Do.", at=place)
    return Case(finding, evidence, Sources({FILE: text}))


def after(case: Case, name: str, number: int = 0) -> str:
    """The script after the remedy of a name."""
    found = [change for change in changes(case) if change.name == name]
    assert len(found) > number, [change.name for change in changes(case)]
    return text_after(case, found[number])


def text_after(case: Case, change: Change) -> str:
    (text,) = texts_after([change], case.sources).values()
    ast.parse(text)
    return text


def ran(folder: Path, text: str, **held: Any) -> dict[str, Any]:
    """What the variables of a script are, once it has run."""
    path = folder / "train.py"
    path.write_text(text)
    return runpy.run_path(str(path), held)


def names(case: Case) -> list[str]:
    return [change.name for change in changes(case)]


def gone(before: str, text: str) -> list[str]:
    """Lines that were taken out or changed, without their marks."""
    kept = text.splitlines()
    return [
        line.split("  # ")[0].strip() for line in before.splitlines() if line and line not in kept
    ]


def new(before: str, text: str) -> list[str]:
    return gone(text, before)


LOADER = """
import torch
from torch import nn

x_train, x_test, y_train, y_test = load()
{}
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
loss_fn = nn.CrossEntropyLoss()  # made
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=32)  # loader
for epoch in range(9):
    for xb, yb in loader:
        loss = loss_fn(net(xb), yb)  # learns  # loss
        loss.backward()
with torch.no_grad():
    print(accuracy(net(x_test), y_test))  # asks
"""

ROWS = """
import numpy as np
import torch
import torch.nn as nn


class Data:
    def __init__(self):
        self.first, self.second = load()


def main():
    X, Y = read()
    {}
    train_x, train_y, test_x = X[:700], Y[:700], X[700:]
    net = Network()
    for epoch in range(9):
        for i in range(0, 700, 35):
            out = net(train_x[i:i + 35])  # learns
            loss = nn.functional.cross_entropy(out, train_y[i:i + 35])  # loss
            loss.backward()
    out = net(test_x)  # asks
"""

CUSTOM = """
import torch


class Rows(torch.utils.data.Dataset):
    def __init__(self, inputs, labels):
        self.inputs = torch.tensor(inputs)
        self.labels = labels

    def __getitem__(self, i):
        return self.inputs[i].float(), self.labels[i]


def train(model, batches, loss_fn):
    for batch in batches:
        x, y = batch[0].to("cpu"), batch[1].to("cpu")
        out = model(x)  # learns
        loss = loss_fn(out, y)  # loss
        loss.backward()


def test(model, batches):
    with torch.no_grad():
        for i, (x, y) in enumerate(batches):
            out = model(x)  # asks


images, digits, images_val, digits_val = load()
{}
net = Net()
train_loader = torch.utils.data.DataLoader(Rows(images, digits), 32)  # loader
val_loader = torch.utils.data.DataLoader(Rows(images_val, digits_val), 32)
for epoch in range(9):
    train(net, train_loader, torch.nn.CrossEntropyLoss())
    test(net, val_loader)
"""
