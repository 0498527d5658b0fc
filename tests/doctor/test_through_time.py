"""Recurrent networks: what the doctor sees of their gradients through time, and what it says."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

import glial.nn
from glial.data.memory_tasks import adding_problem
from glial.doctor import Doctor

LENGTH, UNITS = 20, 6


class Reader(nn.Module):
    """Says what the last state of a recurrent layer means."""

    def __init__(self, layer: nn.Module, units: int, outputs: int = 1) -> None:
        super().__init__()
        self.rnn, self.head = layer, nn.Linear(units, outputs)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.rnn(rows)[0][:, -1])


class TimeFirst(Reader):
    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.rnn(rows.transpose(0, 1))[0][-1])


class Packed(Reader):
    def forward(self, rows: Tensor) -> Tensor:
        lengths = torch.full((len(rows),), LENGTH)
        lengths[1] = LENGTH + 4
        padded = F.pad(rows, (0, 0, 0, 4), value=1.0)
        packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.rnn(packed)[1][-1])


class ByHand(Reader):
    def forward(self, rows: Tensor) -> Tensor:
        state = rows.new_zeros(len(rows), UNITS)
        for now in rows.unbind(1):
            state = self.rnn(now, state)
        return self.head(state)


class EachStep(Reader):
    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.rnn(rows)[0]).mean(1)


def linear_rnn(scale: float, layer: nn.Module) -> nn.Module:
    """One whose states stay positive, so that each step multiplies the gradient by the scale."""
    with torch.no_grad():
        for name, value in layer.named_parameters():
            value.fill_(0.1)
            if "weight_hh" in name:
                value.copy_(scale * torch.eye(len(value)))
    return layer


def followed(model: nn.Module) -> dict[str, Any]:
    """What was measured of one step of a training that changes nothing."""
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    rows, target = torch.rand(8, LENGTH, 1), torch.rand(8, 1)
    with Doctor.watch(model, optimizer) as doctor:
        for _ in range(6):
            optimizer.zero_grad()
            F.mse_loss(model(rows), target).backward()
            optimizer.step()
    assert doctor.evidence is not None
    found = doctor.evidence.probe("through_time", "model")
    assert found is not None, doctor.evidence.not_checked
    assert found.layer == "rnn"
    return found.numbers


RELU: dict[str, Any] = {"nonlinearity": "relu"}
LAYOUTS: dict[str, Any] = {
    "batch-first": (Reader, lambda: nn.RNN(1, UNITS, batch_first=True, **RELU)),
    "time-first": (TimeFirst, lambda: nn.RNN(1, UNITS, **RELU)),
    "packed": (Packed, lambda: nn.RNN(1, UNITS, batch_first=True, **RELU)),
    "by-hand": (ByHand, lambda: nn.RNNCell(1, UNITS, **RELU)),
    "ours": (Reader, lambda: glial.nn.RNN(1, UNITS, activation="relu")),
}


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.5, 1.25])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gain_of_a_step_is_the_scale_of_the_recurrent_weights(layout, scale):
    reader, layer = LAYOUTS[layout]
    model = reader(linear_rnn(scale, layer()), UNITS)
    numbers = followed(model)
    assert numbers["steps"] == LENGTH
    assert numbers["gain"] == pytest.approx(scale, rel=0.01)
    assert numbers["gated"] == 0.0
    share = scale ** (LENGTH - 2) if scale < 1 else 1.0  # of the first tenth, against the last
    assert numbers["arrives"] == pytest.approx(share, rel=0.2)


@pytest.mark.slow
def test_stacked_and_in_both_directions():
    layer = nn.LSTM(1, UNITS, num_layers=2, dropout=0.3, bidirectional=True, batch_first=True)
    torch.manual_seed(0)
    numbers = followed(Reader(layer, 2 * UNITS))
    assert numbers["gated"] == 1.0
    assert 0 < numbers["arrives"] < 0.5
    assert numbers["gain"] < 1


@pytest.mark.slow
def test_where_each_step_is_asked_the_gradient_comes_to_all():
    model = EachStep(nn.RNN(1, UNITS, batch_first=True), UNITS)
    assert followed(model)["arrives"] > 0.1


def trained(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Any, steps: int, clip: float
) -> Doctor:
    with Doctor.watch(model, optimizer) as doctor:
        for _ in range(steps):
            rows, target = batch()
            optimizer.zero_grad()
            loss = F.cross_entropy if target.dim() == 1 else F.mse_loss
            loss(model(rows), target).backward()
            nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
    return doctor


def named(doctor: Doctor, problem: str) -> list[Any]:
    return [one for one in doctor.findings if one.problem == problem]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_plain_network_that_cannot_remember_is_named(seed):
    torch.manual_seed(seed)
    model, generator = Reader(nn.RNN(2, 16, batch_first=True), 16), torch.Generator()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    generator.manual_seed(seed)
    doctor = trained(model, optimizer, lambda: adding_problem(64, 50, generator), 100, 1.0)
    (found,) = named(doctor, "vanishing-gradient")
    assert (found.severity, found.where) == ("warning", "rnn"), str(doctor)
    assert found.evidence["arrives"] < 1e-3
    assert found.evidence["gain"] < 0.9
    assert "GRU" in found.do


def balances(length: int, generator: torch.Generator) -> Any:
    """Rows, and whether their numbers are more than nought on average."""

    def batch() -> tuple[Tensor, Tensor]:
        rows = torch.randn(32, length, 1, generator=generator)
        rows = rows + 0.5 * torch.randn(32, 1, 1, generator=generator).sign()
        return rows, (rows.mean((1, 2)) > 0).long()

    return batch


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "length"), [("GRU", 50), ("LSTM", 120), ("RNN", 50)])
def test_networks_that_learn_are_healthy(kind, length, seed):
    torch.manual_seed(seed)
    layer: nn.Module = getattr(nn, kind)(1, 12, batch_first=True)
    model, generator = Reader(layer, 12, 2), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    doctor = trained(model, optimizer, balances(length, generator), 80, 1.0)
    assert doctor.evidence.probe("through_time") is not None
    assert not named(doctor, "vanishing-gradient"), str(doctor)
    assert not named(doctor, "exploding-gradient"), str(doctor)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("clip", [math.inf, 1.0])
def test_states_that_grow_are_named_unless_they_are_clipped(clip, seed):
    torch.manual_seed(seed)
    layer, generator = nn.RNN(2, 32, batch_first=True, **RELU), torch.Generator()
    with torch.no_grad():
        layer.weight_hh_l0.copy_(1.1 * torch.eye(32))
    model = Reader(layer, 32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    generator.manual_seed(seed)
    doctor = trained(model, optimizer, lambda: adding_problem(64, 40, generator), 60, clip)
    found = named(doctor, "exploding-gradient")
    if clip == 1.0:
        assert not found, str(doctor)
        return
    assert [(one.severity, one.where) for one in found] == [("error", "rnn")], str(doctor)
    assert found[0].evidence["gain"] > 1.05
    assert "clip" in found[0].do


SCRIPT = """
import torch

torch.manual_seed(0)


class Adder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = torch.nn.RNN(2, 16, batch_first=True)
        self.head = torch.nn.Linear(16, 1)

    def forward(self, rows):
        return self.head(self.memory(rows)[0][:, -1])


model = Adder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(100):
    numbers, marks = torch.rand(32, 60), torch.zeros(32, 60)
    marks[torch.arange(32), torch.randint(0, 30, (32,))] = 1
    marks[torch.arange(32), torch.randint(30, 60, (32,))] = 1
    sums = (numbers * marks).sum(1, keepdim=True)
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(model(torch.stack([numbers, marks], 2)), sums).backward()
    optimizer.step()
"""


@pytest.mark.slow
def test_a_script_is_told_which_layer_forgets(tmp_path):
    script = tmp_path / "adding.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "glial", "doctor", "--json", str(script)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {one["problem"]: one for one in json.loads(ran.stdout)["findings"]}
    assert ran.returncode == 1, ran.stderr
    assert found["vanishing-gradient"]["where"] == "memory"
    assert found["vanishing-gradient"]["at"]["line"] == 10
