"""Whole scripts: the doctor names what is wrong, the first change mends it, and it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glial.doctor.launching import script_of, watch
from glial.doctor.launching.output import Output
from glial.doctor.remedies import Case, Sources, changes, texts_after

pytestmark = pytest.mark.slow

TABLE = """
import torch
from torch import nn

torch.manual_seed(0)
area = torch.rand(600, 1) * 2000
rooms = torch.randint(1, 9, (600, 1)).float()
year = torch.rand(600, 1) * 60 + 1960
X = torch.cat([area, rooms, year], 1)
price = 3 * area / 1000 + 0.4 * rooms + (year - 1990) / 20 + 0.1 * torch.randn(600, 1)
cheap = (price < price.median()).long().squeeze(1)
train_x, train_y, test_x, test_y = X[:400], {}[:400], X[400:], {}[400:]
{}

net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, {}))
criterion = nn.{}()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(12):
    for rows in torch.randperm(400).split(20):
        loss = criterion(net(train_x[rows]), train_y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
with torch.no_grad():
    answers = net(test_x)
"""
SCALED = """
mean, std = train_x.mean(0), train_x.std(0)
train_x, test_x = (train_x - mean) / std, (test_x - mean) / std
"""
ACCURACY = "print('score', (answers.argmax(1) == test_y).float().mean().item())\n"
EXPLAINED = "print('score', 1 - ((answers - test_y) ** 2).mean().item() / test_y.var().item())\n"


@pytest.mark.parametrize(
    ("script", "problem", "remedy", "good"),
    [
        (
            TABLE.format("cheap", "cheap", "", 2, "CrossEntropyLoss") + ACCURACY,
            "unscaled-input",
            "scale-columns",
            0.9,
        ),
        (
            TABLE.format("price", "price", SCALED, 1, "MSELoss").replace(
                "cheap = ", "price = 50000 + 20000 * price\ncheap = "
            )
            + EXPLAINED,
            "unscaled-target",
            "scale-targets",
            0.9,
        ),
    ],
)
def test_a_script_is_mended(
    script: str, problem: str, remedy: str, good: float, tmp_path: Path
) -> None:
    path = tmp_path / "train.py"
    path.write_text(script)
    seen = watch(script_of(path), output_to_error=True)
    assert seen.evidence is not None
    finding = next(one for one in seen.findings if one.problem == problem)
    assert finding.severity != "note"
    sources = Sources()
    first = changes(Case(finding, seen.evidence, sources))[0]
    assert first.name == remedy
    (text,) = texts_after([first], sources).values()
    path.write_text(text)
    output = Output(hidden=True)
    again = watch(script_of(path), output=output)
    assert problem not in [one.problem for one in again.findings if one.severity != "note"]
    assert float(re.findall(r"score (\S+)", output.text)[-1]) > good
