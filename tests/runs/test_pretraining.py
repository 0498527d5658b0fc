"""Pretraining on texts without labels, and the classifier that starts from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import glial
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted
from glial.tasks.pretraining import Pretraining
from glial.tasks.settings import TaskSettings

SMALL: dict[str, Any] = {
    "doctor.watch": False,
    "model.size": 32,
    "model.heads": 2,
    "model.dropout": 0.0,
    "data.min_token_count": 1,
}


def words() -> list[tuple[list[str], list[str]]]:
    """Two kinds of nouns and verbs, by which two languages differ."""
    generator = np.random.default_rng(0)
    made = ["".join(generator.choice(list(part)) for part in ("bdfgk", "aeiou", "lmnpr", "aeiou"))
            for _ in range(400)]  # fmt: skip
    made = list(dict.fromkeys(made))
    return [(made[:20], made[20:30]), (made[30:50], made[50:60])]


def sentences(rows: int, seed: int) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    kinds = generator.integers(0, 2, rows)
    texts = []
    for kind in kinds:
        nouns, verbs = words()[kind]
        texts.append(" ".join(str(generator.choice(part)) for part in (nouns, verbs, nouns, verbs)))
    return pl.DataFrame({"text": texts, "language": np.where(kinds == 1, "one", "other")})


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> glial.Run:
    folder = tmp_path_factory.mktemp("runs") / "pretrained"
    frame = sentences(800, 1).select("text")
    chosen = {**SMALL, "train.lr": 0.003}
    return glial.train(frame, task="pretrain", epochs=20, out=folder, set=chosen)


def test_hidden_words_are_found_better_than_by_how_common_they_are(pretrained: glial.Run) -> None:
    """Who sees of which kind a text is knows one of 20 nouns or of 10 verbs: ln 200 / 2 nats."""
    assert pretrained.task == "pretrain"
    assert pretrained.plan.model["name"] == "bert"
    test, baseline = pretrained.metrics["test"], pretrained.metrics["baseline"]
    assert baseline["log_loss"] == pytest.approx(np.log(60), abs=0.15)
    assert np.log(200) / 2 - 0.2 < test["log_loss"] < 3.0
    assert test["perplexity"] == pytest.approx(np.exp(test["log_loss"]))
    assert 0 <= test["masked_accuracy"] <= 1


def few_labels(weights: Path | None, tmp_path: Path) -> float:
    sentences(10, 2).write_csv(tmp_path / "few.csv")
    sentences(300, 3).write_csv(tmp_path / "test.csv")
    chosen: dict[str, Any] = {"data.types.text": "text", "data.split.test": 0.0}
    chosen |= {"data.split.train": 0.8, "data.split.val": 0.2}
    chosen |= SMALL if weights is None else {"model.weights": str(weights)}
    run = glial.train(
        tmp_path / "few.csv", "language", model="bert", test=tmp_path / "test.csv", out=False,
        set=chosen,
    )  # fmt: skip
    return run.metrics["test"]["accuracy"]


def test_with_few_labels_a_pretrained_network_is_better(
    pretrained: glial.Run, tmp_path: Path
) -> None:
    assert pretrained.path is not None
    with_it, without = few_labels(pretrained.path, tmp_path), few_labels(None, tmp_path)
    assert with_it > 0.95
    assert with_it > without + 0.05


def test_the_vocabulary_is_the_pretrained_ones(pretrained: glial.Run) -> None:
    frame = pl.DataFrame({"say": ["never seen", "words"] * 10, "kind": ["a", "b"] * 10})
    chosen = {"model.weights": str(pretrained.path), "data.types.say": "text", "train.lr": 1e-9}
    run = glial.train(frame, "kind", epochs=1, out=False, set=chosen)
    assert run.plan.model["name"] == "bert"
    (mine,) = run.encoding.encoders.values()
    (theirs,) = pretrained.encoding.encoders.values()
    assert mine.subwords == theirs.subwords  # type: ignore[union-attr]
    own, other = run.model.state_dict(), pretrained.model.state_dict()
    for name, value in other.items():
        if name.startswith("bert."):
            torch.testing.assert_close(own[name], value, atol=1e-6, rtol=0)


def test_a_pretrained_run_is_judged_and_embeds_but_predicts_nothing(pretrained: glial.Run) -> None:
    frame = sentences(60, 4)
    again = glial.load(str(pretrained.path))
    found = glial.evaluate(again, frame.select("text"))
    assert found["metrics"] == glial.evaluate(pretrained, frame.select("text"))["metrics"]
    assert found["metrics"]["log_loss"] < found["baseline"]["log_loss"]
    assert glial.embed(again, frame.select("text")).shape == (60, 32)
    with pytest.raises(InputError, match="predicts nothing"):
        glial.predict(again, frame)


def test_an_interrupted_run_goes_on_bit_for_bit(
    tmp_path: Path, stop_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    frame = sentences(200, 5).select("text")
    chosen = {**SMALL, "train.lr": 0.003, "train.checkpoint_seconds": 0.0, "train.batch_size": 32}
    chosen["model.dropout"] = 0.1
    options: dict[str, Any] = {"task": "pretrain", "epochs": 3, "set": chosen}
    calm = glial.train(frame, out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train(frame, out=tmp_path / "cut", callbacks=[stop_at(7)], **options)
    run = glial.train(frame, out=tmp_path / "cut", resume=True, **options)
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right
    assert run.metrics == calm.metrics


def test_running_text_is_cut_into_stretches(tmp_path: Path) -> None:
    text = "\n".join(sentences(120, 6)["text"])
    (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
    chosen = {**SMALL, "data.max_length": 12}
    run = glial.train(tmp_path / "corpus.txt", task="pretrain", epochs=1, out=False, set=chosen)
    assert run.metrics["test"]["log_loss"] > 0
    (encoder,) = run.encoding.encoders.values()
    assert encoder.max_length == 12  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("frame", "chosen", "message"),
    [
        ({"text": ["", None]}, {}, "empty"),
        ({"text": ["a b"] * 20}, {"data.tokens": "word"}, "cannot be hidden"),
        ({"text": ["a b"] * 20}, {"model.name": "mlp"}, "no column"),
        ({"text": ["a b"] * 20}, {"data.sampling": "over"}, "does not fit"),
        ({"text": ["a b"] * 20}, {"model.context": 8, "data.max_length": 9}, "longer than"),
        ({"number": [1, 2, 3]}, {}, "two columns"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    frame: dict[str, Any], chosen: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        glial.train(pl.DataFrame(frame), task="pretrain", epochs=1, out=False, set=chosen)


def test_hidden_tokens_alone_count() -> None:
    task = Pretraining("text", [5, 3, 1], TaskSettings())
    outputs = torch.tensor([[[0.0, 1.0, 2.0], [9.0, 9.0, 0.0]]])
    expected = -float(outputs[0, 0].log_softmax(0)[2])
    assert float(task.loss(outputs, torch.tensor([[2, -1]]))) == pytest.approx(expected)
    assert float(task.mass(torch.tensor([[2, -1]]))) == 1
    again = Pretraining.from_state(task.state(), TaskSettings())
    assert again.counts == [5, 3, 1]
    figures = task.monitor(outputs, torch.tensor([[2, -1]]))
    assert figures["masked_accuracy"] == 1.0
    assert figures["loss"] == pytest.approx(expected)
