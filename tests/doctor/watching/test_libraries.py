"""Libraries that train in loops of their own, watched as a loop by hand is."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glial.doctor.diagnosis import diagnose
from glial.doctor.evidence import Evidence
from glial.doctor.watcher import Watcher

PEERS = "needs .venv/bin/pip install -c constraints.txt -r benchmarks/peers.txt"


def watched(training) -> Evidence:
    watcher = Watcher(budget=math.inf)
    watcher.begin()
    try:
        torch.manual_seed(0)
        training()
    finally:
        evidence = watcher.end()
    assert [note for note in evidence.not_checked if "watching failed" in note.why] == []
    return evidence


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] + x[:, 1] > 0).long()


def test_accelerate():
    accelerate = pytest.importorskip("accelerate", reason=PEERS)
    x, y = rows()
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))

    def training():
        accelerator = accelerate.Accelerator(cpu=True)
        data = torch.utils.data.DataLoader([*zip(x, y, strict=True)], batch_size=32, shuffle=True)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        net, optimizer, data = accelerator.prepare(model, optimizer, data)
        for _ in range(8):
            for inputs, labels in data:
                optimizer.zero_grad()
                accelerator.backward(F.cross_entropy(net(inputs), labels))
                optimizer.step()

    evidence = watched(training)
    assert evidence.steps == 64
    assert [loss.name for loss in evidence.losses] == ["cross_entropy"]
    assert [seen.kind for seen in evidence.optimizers] == ["Adam"]
    assert evidence.models[0].parameters[0].gradient.last > 0
    assert diagnose(evidence) == []


@pytest.mark.slow
def test_trainer_of_transformers(tmp_path: Path):
    transformers = pytest.importorskip("transformers", reason=PEERS)
    pytest.importorskip("accelerate", reason=PEERS)
    x, y = rows()
    tokens = (x > 0).long()
    settings = transformers.BertConfig(
        vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, num_labels=2,
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(settings)
    data = [{"input_ids": a, "labels": b} for a, b in zip(tokens, y, strict=True)]
    asked = transformers.TrainingArguments(
        str(tmp_path), max_steps=30, learning_rate=1e-2, report_to=[], use_cpu=True,
        save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    evidence = watched(transformers.Trainer(model, asked, train_dataset=data).train)
    assert evidence.steps == 30
    assert evidence.models[0].parameters[0].gradient.last > 0
    assert [loss.name for loss in evidence.losses] == ["cross_entropy"]
    assert [finding.problem for finding in diagnose(evidence) if finding.severity == "error"] == []


@pytest.mark.slow
def test_keras_on_torch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(os.environ, "KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason=PEERS)
    if keras.backend.backend() != "torch":
        pytest.skip("keras was imported on another backend")
    x, y = rows()

    def training():
        model = keras.Sequential([keras.layers.Dense(16, "relu"), keras.layers.Dense(2, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x.numpy(), y.numpy(), batch_size=32, epochs=4, verbose=0)

    evidence = watched(training)
    assert evidence.steps == 31  # nothing is learnt after the last
    assert [seen.kind for seen in evidence.optimizers] == ["by hand"]
    assert all(seen.gradient.last > 0 for seen in evidence.models[-1].parameters)
    assert [finding.problem for finding in diagnose(evidence) if finding.severity == "error"] == []
