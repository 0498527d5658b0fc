"""Whole scripts: the doctor names what is wrong, the first change mends it, and the score rises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glial.doctor.launching import script_of, watch
from glial.doctor.launching.output import Output
from glial.doctor.remedies import Case, Sources, changes, texts_after

pytestmark = pytest.mark.slow

RINGS = """
import argparse
import torch
from torch import nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default={rate})
args = parser.parse_args()
torch.manual_seed(0)
x = 2 * torch.rand(900, 2) - 1
y = (x.norm(dim=1) < 0.8).long()
train_x, train_y, test_x, test_y = x[:600], y[:600], x[600:], y[600:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(2, 32)
        self.two = nn.Linear(32, 2)

    def forward(self, x):
        h = self.one(x)
        {activation}
        return self.two(h)


make = lambda parameters: torch.optim.SGD(parameters, lr=args.lr, momentum=0.9)
net = Net()
{start}
optimizer = make(net.parameters())
for epoch in range(12):
    for rows in torch.randperm(600).split(20):
        loss = F.cross_entropy(net(train_x[rows]), train_y[rows])
        optimizer.zero_grad(); loss.backward(); optimizer.step()
with torch.no_grad():
    print("score", (net(test_x).argmax(1) == test_y).float().mean().item())
"""
GOOD = {"rate": "0.1", "activation": "h = torch.relu(h)", "start": ""}


@pytest.mark.parametrize(
    ("fault", "problem", "remedy", "line"),
    [
        (
            {"rate": "30.0"},
            "learning-rate-too-high",
            "measured-rate",
            'parser.add_argument("--lr", type=float, default=',
        ),
        (
            {"activation": ""},
            "missing-nonlinearity",
            "nonlinearity",
            "h = F.relu(self.one(x))",
        ),
        (
            {"start": "for p in net.parameters(): nn.init.zeros_(p)"},
            "symmetric-units",
            "usual-weights",
            "net = Net()\noptimizer",
        ),
    ],
)
def test_a_script_is_mended(
    fault: dict[str, str], problem: str, remedy: str, line: str, tmp_path: Path
) -> None:
    path = tmp_path / "train.py"
    path.write_text(RINGS.format(**{**GOOD, **fault}))
    before = Output(hidden=True)
    seen = watch(script_of(path), output=before)
    assert seen.evidence is not None
    finding = next(one for one in seen.findings if one.problem == problem)
    sources = Sources()
    first = changes(Case(finding, seen.evidence, sources))[0]
    assert first.name == remedy
    (text,) = texts_after([first], sources).values()
    assert line in text
    path.write_text(text)
    after = Output(hidden=True)
    again = watch(script_of(path), output=after)
    assert problem not in [one.problem for one in again.findings if one.severity != "note"]
    assert score(after) > max(0.9, score(before) + 0.1)


def score(output: Output) -> float:
    return float(re.findall(r"score (\S+)", output.text)[-1])
