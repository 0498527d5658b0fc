"""Short texts turned round are learnt with attention, and not where attention is broken."""

from __future__ import annotations

import random

import polars as pl
import pytest
import torch

import glial
from glial.nn import attention


def sentences(rows, shortest, longest, *, turned, letters="abcdefgh"):
    """Letters, and the same in capitals, from the end or in their order."""
    draw = random.Random(0)
    lines = [draw.choices(letters, k=draw.randint(shortest, longest)) for _ in range(rows)]
    written = [line[::-1] if turned else line for line in lines]
    return pl.DataFrame(
        {"en": [" ".join(line) for line in lines], "fr": [" ".join(w).upper() for w in written]}
    )


def exact_match(frame, model, epochs, **settings):
    options = {"train.batch_size": 32, "task.label_smoothing": 0.0, "doctor.watch": False}
    options |= {"model.size": 32, "model.dropout": 0.0, "train.threads": 1}
    run = glial.train(
        frame,
        "fr",
        task="translation",
        model=model,
        epochs=epochs,
        out=False,
        set=options | settings,
    )
    assert run.metrics["baseline"]["exact_match"] == 0
    return run.metrics["test"]["exact_match"]


def alike(self, queries, keys):
    """Scores that say nothing: every place counts the same."""
    return torch.zeros(queries.shape[0], queries.shape[1], keys.shape[1])


def test_attention_turns_sentences_round_where_one_vector_cannot(monkeypatch):
    frame = sentences(500, 6, 9, turned=True)
    settings = {"train.lr": 0.02}
    assert exact_match(frame, "seq2seq", 10, **settings) > 0.5
    assert exact_match(frame, "seq2seq", 10, **settings, **{"model.attention": "none"}) < 0.3
    monkeypatch.setattr(attention.Attention, "scores", alike)
    assert exact_match(frame, "seq2seq", 10, **settings) < 0.3


@pytest.mark.parametrize("broken", [False, True])
def test_a_transformer_copies_unless_it_looks_everywhere_alike(monkeypatch, broken):
    frame = sentences(400, 3, 5, turned=False)
    if broken:
        attend = attention.attend

        def mean(queries, *others, **settings):
            return attend(torch.zeros_like(queries), *others, **settings)

        monkeypatch.setattr(attention, "attend", mean)
    settings = {"train.lr": 0.01, "model.layers": 1, "model.positions": "learned"}
    found = exact_match(frame, "transformer", 10, **settings, **{"model.context": 10})
    assert found < 0.3 if broken else found > 0.6
