"""Runs in which steps go wrong: what they come to, and what is told of it."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import glial


def loader(bad):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(800, 4, generator=generator)
    y = (x[:, 0] + 0.3 * x[:, 1] > 0).long()
    for row in bad:
        x[row * 8, 2] = math.inf
    return DataLoader(TensorDataset(x, y), 8)


def trained(bad, **options):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    choices = {"train.lr": 0.01, **options.pop("set", {})}
    return glial.train(
        loader(bad),
        model=network,
        loss="cross_entropy",
        task="classification",
        set=choices,
        **options,
    )


@pytest.mark.parametrize("bad", [0, 40])
def test_a_batch_that_is_left_out_is_told_in_the_run(bad, tmp_path):
    run = trained([bad], epochs=1, out=tmp_path / "run")
    assert run.ended_by == "epochs"
    [finding] = [one for one in run.findings if one.problem == "loss-not-finite"]
    assert finding.severity == "note"
    assert finding.since_step == bad + 1
    assert finding.evidence["batch"] == bad + 1
    assert all(one.severity != "error" for one in run.findings)
    assert run.history[0]["faults"] == 1
    written = json.loads((tmp_path / "run" / "findings.json").read_text())
    assert "loss-not-finite" in {one["problem"] for one in written}


def test_a_run_that_is_judged_again_tells_what_was_met(tmp_path):
    run = trained([40], epochs=1, out=tmp_path / "run")
    for thing in (run, tmp_path / "run"):
        assert "loss-not-finite" in {one.problem for one in glial.diagnose(thing)}
        assert not glial.diagnose(thing, ignore=["loss-not-finite"])


def test_without_recovery_the_same_training_is_lost():
    run = trained([40], epochs=2, out=False, set={"train.recovery": False})
    assert run.ended_by == "not_finite"


def test_what_is_to_be_left_out_is_not_told():
    run = trained([40], epochs=1, out=False, set={"doctor.ignore": ["loss-not-finite"]})
    assert run.ended_by == "epochs"
    assert "loss-not-finite" not in {one.problem for one in run.findings}
