"""What is watched trains to the same weights, bit for bit, and draws the same random numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import optimizer as optimizers
from torch.overrides import _get_current_function_mode_stack
from torch.utils.data import DataLoader

from glial.doctor.watcher import Watcher

PROGRAM = Path(__file__).with_name("trainings.py")
KINDS = {
    "perceptron": ["cross_entropy"],
    "normalized_images_from_a_loader": ["cross_entropy"],
    "closures": ["cross_entropy"],
    "accumulated_in_low_precision": ["cross_entropy"],
    "two_players": ["hand-written", "hand-written"],
    "noisy_by_numpy": ["cross_entropy"],
    "by_hand": ["cross_entropy"],
    "generators_of_ones_own": ["cross_entropy"],
}


@pytest.fixture(scope="module")
def results():
    """What each training left, with the doctor and without, by a process of their own."""
    ran = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_random_numbers_are_those_of_a_training_without_the_doctor(results, kind):
    found = results[kind]
    assert found["watched"] == found["alone"]
    assert found["steps"] >= 5
    assert found["sampled"] >= 4
    assert found["losses"] == KINDS[kind]
    assert found["faults"] == []


def train() -> None:
    """A few steps of a classifier."""
    x, y = torch.randn(64, 6), torch.randint(0, 2, (64,))
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for rows in torch.arange(64).repeat(4).split(16):
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()


def test_nothing_stays_behind():
    before = (
        torch.autograd.backward,
        nn.Module.__init__,
        nn.Module.train,
        torch.compile,
        DataLoader.__iter__,
        torch.no_grad.__enter__,
        torch.inference_mode.__enter__,
    )
    watcher = Watcher()
    watcher.begin()
    train()
    watcher.end()
    after = (
        torch.autograd.backward,
        nn.Module.__init__,
        nn.Module.train,
        torch.compile,
        DataLoader.__iter__,
        torch.no_grad.__enter__,
        torch.inference_mode.__enter__,
    )
    assert before == after
    assert _get_current_function_mode_stack() == []
    assert not nn.modules.module._global_forward_hooks
    assert not nn.modules.module._has_any_global_hook()
    assert not optimizers._global_optimizer_pre_hooks
    assert not optimizers._global_optimizer_post_hooks


def test_an_error_of_the_watchers_own_is_noted_and_kept_from_the_script(monkeypatch):
    def broken(*_args: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("glial.doctor.watching.layers.LayerWatch.measure", broken)
    watcher = Watcher()
    watcher.begin()
    train()
    evidence = watcher.end()
    assert any("a mistake of ours" in note.why for note in evidence.not_checked)


def test_an_error_of_the_script_is_its_own():
    watcher = Watcher()
    watcher.begin()
    try:
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            nn.Linear(2, 1)(torch.ones(1, 3))
        train()
    finally:
        evidence = watcher.end()
    assert evidence.steps == 16


def test_compiled_code_is_left_alone():
    x, y = torch.randn(16, 6), torch.randint(0, 2, (16,))
    model = nn.Linear(6, 2)
    watcher = Watcher()
    watcher.begin()
    try:
        compiled = torch.compile(model, backend="eager")
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(compiled(x), y).backward()
            optimizer.step()
    finally:
        evidence = watcher.end()
    assert evidence.steps == 4
    assert evidence.losses[0].name == "cross_entropy"
    assert [seen.compiled for seen in evidence.models] == [True]
    assert evidence.models[0].layers == []
    assert evidence.models[0].parameters[0].gradient.last > 0
