"""Whole scripts: the doctor's first change is made, the finding goes, and the score comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from glial.doctor.launching import Verdict, script_of, watch
from glial.doctor.launching.output import Output
from glial.doctor.remedies import Case, Sources, changes, texts_after

TRAINER = """
import torch, torch.nn as nn, torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

class Net(nn.Module):
    def __init__(self, n_in=8, hidden=32, n_out=3):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(n_in, hidden), nn.Linear(hidden, n_out)
        self.softmax = nn.Softmax(dim=1)
    def forward(self, x):
        return self.softmax(self.fc2(F.relu(self.fc1(x))))

class Trainer:
    def __init__(self, model, loader):
        self.model, self.loader, self.criterion = model, loader, nn.CrossEntropyLoss()
        self.optim = torch.optim.SGD(model.parameters(), lr=0.1)
    def fit(self, epochs):
        for epoch in range(epochs):
            for x, y in self.loader:
                self.optim.zero_grad(); loss = self.criterion(self.model(x), y)
                loss.backward(); self.optim.step()

torch.manual_seed(0)
x = torch.randn(700, 8)
y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
trainer = Trainer(Net(), DataLoader(TensorDataset(x[:500], y[:500]), 20, shuffle=True))
trainer.fit(12)
with torch.no_grad():
    print("score", (trainer.model(x[500:]).argmax(1) == y[500:]).float().mean().item())
"""
FUNCTIONS = """
import torch
from torch import nn, optim

def make_model(width):
    layers = [nn.Linear(6, width), nn.Tanh()]
    layers += [nn.Linear(width, 1)]
    return nn.Sequential(*layers)

def train(model, optimizer, loss_fn, x, y):
    for rows in torch.randperm(len(x)).split(25):
        loss = loss_fn(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()

def main():
    torch.manual_seed(1)
    x = torch.randn(600, 6)
    y = torch.sin(x[:, :1]) + x[:, 1:2]
    model = make_model(32)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(15):
        train(model, optimizer, nn.MSELoss(), x[:400], y[:400])
    with torch.no_grad():
        error = (model(x[400:]) - y[400:]).square().mean()
    print("score", (1 - error / y[400:].var()).item())

if __name__ == "__main__":
    main()
"""


def examined(path: Path) -> tuple[Verdict, float]:
    output = Output(hidden=True)
    verdict = watch(script_of(path), output=output)
    return verdict, float(output.text.split("score")[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "problem", "faulty", "mended"),
    [(TRAINER, "softmax-twice", 0.75, 0.85), (FUNCTIONS, "missing-zero-grad", 0.7, 0.9)],
)
def test_the_first_change_mends_the_script(
    tmp_path: Path, text: str, problem: str, faulty: float, mended: float
) -> None:
    path = tmp_path / "train.py"
    path.write_text(text)
    verdict, score = examined(path)
    finding = verdict.findings[0]
    assert (finding.problem, score < faulty) == (problem, True)
    assert verdict.evidence is not None
    sources = Sources()
    change = changes(Case(finding, verdict.evidence, sources))[0]
    path.write_text(texts_after([change], sources)[str(path)])
    verdict, score = examined(path)
    assert problem not in [finding.problem for finding in verdict.findings]
    assert score > mended
