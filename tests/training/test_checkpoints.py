"""Checkpoints written while training goes on: what they hold, their order, and their errors."""

from __future__ import annotations

import threading

import pytest
import torch

from glial.training import checkpoints
from glial.training.checkpoints import CheckpointWriter, load_checkpoint


def test_what_is_written_is_what_stood_when_it_was_asked_for(tmp_path, monkeypatch):
    gate, saved = threading.Event(), checkpoints.write_atomic

    def slow(path, content):
        assert gate.wait(60)
        saved(path, content)

    monkeypatch.setattr(checkpoints, "write_atomic", slow)
    path, writer = tmp_path / "last" / "checkpoint.safetensors", CheckpointWriter()
    weights, numbers = torch.arange(3.0), {"steps": [1]}
    writer.write([(path, {"w": weights}, numbers)])
    assert writer.busy
    weights.fill_(-1)
    numbers["steps"].append(2)
    assert not path.exists()
    gate.set()
    writer.wait()
    assert not writer.busy
    tensors, found = load_checkpoint(path)
    assert tensors["w"].tolist() == [0.0, 1.0, 2.0]
    assert found == {"steps": [1]}


def test_writes_come_in_the_order_given(tmp_path):
    writer, path = CheckpointWriter(), tmp_path / "checkpoint.safetensors"
    for step in range(20):
        writer.write([(path, {"w": torch.full((1,), float(step))}, {"step": step})])
    writer.wait()
    tensors, numbers = load_checkpoint(path)
    assert (tensors["w"].item(), numbers["step"]) == (19.0, 19)


def test_an_error_of_a_write_is_raised_by_the_next_call(tmp_path):
    (tmp_path / "file").write_text("no folder")
    writer = CheckpointWriter()
    writer.write([(tmp_path / "file" / "checkpoint.safetensors", {}, {})])
    with pytest.raises(Exception, match="file"):
        writer.wait()
    writer.wait()
