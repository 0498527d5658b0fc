"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

TESTS = """
import pytest, torch
from torch import nn

torch.set_num_threads(1)
net = nn.Linear(3, 2)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

def train(scale=1.0, steps=30):
    for _ in range(steps):
        x = torch.randn(16, 3)
        loss = nn.CrossEntropyLoss()(net(x), (x[:, 0] > 0).long()) * scale
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

def sicken():
    for parameter in net.parameters():
        parameter.data.fill_(float("nan"))
    train()

def heal():
    for parameter in net.parameters():
        parameter.data.zero_()

def test_sick(glial_doctor):
    with glial_doctor.watch(net, optimizer) as watch:
        sicken()

def test_sick_to_the_end(glial_doctor):
    glial_doctor.watch()
    sicken()

def test_no_training(glial_doctor):
    with glial_doctor.watch(net):
        pass

def test_part_left_out(glial_doctor):
    heal()
    with glial_doctor.watch(nn.Linear(5, 5), optimizer):
        train()

def test_wrong_part(glial_doctor):
    with pytest.raises(ValueError if False else Exception, match="networks"):
        glial_doctor.watch(3)

def test_wrong_problem(glial_doctor):
    with pytest.raises(Exception, match="dead-units"):
        glial_doctor.watch(ignore=["dead-unit"])

def test_error_within(glial_doctor):
    with glial_doctor.watch():
        sicken()
        raise KeyError("mine")

def test_fixture_alone(glial_doctor):
    pass
"""


@pytest.mark.slow
def test_unhealthy_trainings_fail_their_tests(tmp_path):
    (tmp_path / "test_training.py").write_text(TESTS)
    words = ["-p", "no:glial_doctor", "-p", "glial.testing.doctor", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", *words, "test_training.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    out = done.stdout
    assert done.returncode == 1, out
    for name in ("test_wrong_part", "test_wrong_problem", "test_fixture_alone"):
        assert f"PASSED test_training.py::{name}" in out
    for name in ("test_sick", "test_no_training", "test_part_left_out"):
        assert f"FAILED test_training.py::{name} " in out
    assert "ERROR test_training.py::test_sick_to_the_end" in out
    assert "loss-not-finite" in out
    assert "Linear took no part in the training" in out
    assert "no optimiser made a step" in out
    assert "KeyError: 'mine'\nglial doctor:\n" in out.replace("E   ", "").replace("  ", "")


def test_loading_the_plugin_loads_nothing_heavy():
    code = (
        "import glial.testing.doctor, sys\n"
        "raise SystemExit(bool({'torch', 'numpy', 'pydantic', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SOURCE)}, check=False
    )
    assert done.returncode == 0


def test_the_plugin_is_named_to_pytest():
    text = (SOURCE.parent / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\nglial_doctor = "glial.testing.doctor"' in text
