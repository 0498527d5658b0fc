"""Language models from end to end: what they learn, where it ends, and how a run goes on."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glial
from glial.core.errors import InputError
from glial.functional import attend
from glial.models import gpt2
from glial.runs import TrainingInterrupted

TASK = "language-modelling"
SMALL = {
    "gpt2": {"model.size": 32, "model.layers": 1, "model.heads": 1, "model.context": 4},
    "lstm_lm": {"model.size": 24, "model.layers": 1, "model.context": 8},
}
QUICK = {
    "train.lr": 0.008,
    "train.weight_decay": 0.0,
    "train.batch_size": 16,
    "doctor.watch": False,
}


def copies(count: int = 400, seed: int = 0) -> str:
    """Words of four letters, each written twice."""
    words = np.random.default_rng(seed).choice(list("abcd"), (count, 4))
    return "".join("".join(word) * 2 + "." for word in words)


def chain(length: int, seed: int = 0) -> tuple[str, float]:
    """Letters that hang on the one two before, each with the same chances, and their entropy."""
    generator = np.random.default_rng(seed)
    row = np.array([0.85, 0.1, 0.05])
    letters = [0, 1]
    for drawn in generator.choice(3, length, p=row):
        letters.append((letters[-2] + int(drawn)) % 3)
    return "".join("xyz"[letter] for letter in letters), float(-(row * np.log(row)).sum())


def train(tmp_path, text, model, *, epochs, name="run", **more):
    path = tmp_path / "text.txt"
    path.write_text(text)
    changes = {**SMALL[model], **QUICK, **more}
    options = {"task": TASK, "model": model, "epochs": epochs, "set": changes}
    return glial.train(path, out=tmp_path / name, **options)


LENGTH = 6_000


@pytest.mark.parametrize("model", ["gpt2", "lstm_lm"])
def test_a_chain_is_learnt_to_its_entropy(tmp_path, model):
    text, entropy = chain(LENGTH)
    run = train(tmp_path, text, model, epochs=8)
    found = run.metrics["test"]
    assert entropy - 0.08 < found["log_loss"] < entropy + 0.08
    assert run.metrics["baseline"]["log_loss"] == pytest.approx(math.log(3), abs=0.02)
    assert found["perplexity"] == pytest.approx(math.exp(found["log_loss"]))
    assert found["bits_per_character"] == pytest.approx(found["log_loss"] / math.log(2))


def blind(query, key, value, *_, **__):
    """Attention of each place to itself alone."""
    return value


def seeing(query, key, value, mask=None, *, dropout=0.0, causal=False):
    """Attention that sees what comes later."""
    return attend(query, key, value)


def still(self, tokens, memories=None):
    """A transformer that does not know where its places are."""
    vectors = self.wte(tokens)
    for block in self.h:
        vectors = block(vectors)
    return self.ln_f(vectors)


def test_without_attention_or_positions_nothing_is_learnt(tmp_path, monkeypatch):
    text, entropy = chain(LENGTH)
    for whose, name, broken in ((gpt2, "attend", blind), (gpt2.Transformer, "forward", still)):
        with monkeypatch.context() as patch:
            patch.setattr(whose, name, broken)
            run = train(tmp_path, text, "gpt2", epochs=8, name=name)
        assert run.metrics["test"]["log_loss"] > entropy + 0.1


def test_a_network_that_sees_what_follows_is_too_good_to_be_true(tmp_path, monkeypatch):
    monkeypatch.setattr(gpt2, "attend", seeing)
    text, entropy = chain(LENGTH)
    run = train(tmp_path, text, "gpt2", epochs=8)
    assert run.metrics["test"]["log_loss"] < entropy - 0.1


def test_states_that_go_on_remember_beyond_the_window(tmp_path):
    losses = {}
    for carry in (True, False):
        more = {"model.context": 3, "model.carry": carry, "train.batch_size": 8}
        run = train(tmp_path, "aaaaab" * 300, "lstm_lm", epochs=6, name=f"run-{carry}", **more)
        losses[carry] = run.history[-1]["train_loss"]
    # After three letters a it can be known only from before the window whether b comes next.
    assert losses[True] < losses[False] / 3


@pytest.mark.parametrize("model", ["gpt2", "lstm_lm"])
@pytest.mark.parametrize("step", [5])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(
    tmp_path, model, step, stop_at, monkeypatch
):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    path = tmp_path / "text.txt"
    path.write_text(copies(100))
    changes = {
        **SMALL[model],
        "train.lr": 0.01,
        "train.batch_size": 8,
        "train.checkpoint_seconds": 0.0,
        "model.dropout": 0.1,
    }
    options = {"task": TASK, "model": model, "epochs": 3, "set": changes}
    calm = glial.train(path, out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted) as stopped:
        glial.train(path, out=tmp_path / "cut", callbacks=[stop_at(step)], **options)
    assert glial.generate(stopped.value.run, length=3)[0].text
    run = glial.train(path, out=tmp_path / "cut", resume=True, **options)
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right
    assert run.metrics == calm.metrics
    again = glial.load(tmp_path / "cut")
    assert glial.evaluate(again, path) == glial.evaluate(calm, path)


def test_training_never_sees_text_behind_the_cut(tmp_path):
    early, late = copies(100), "XYZ" * 300
    changes = {"data.split.train": 0.5, "data.split.val": 0.25, "data.split.test": 0.25}
    run = train(tmp_path, early + late, "gpt2", epochs=1, **changes)
    vocabulary = next(iter(run.encoding.encoders.values())).vocabulary
    assert vocabulary.encode(["Xa"])[0][0] == vocabulary.specials["unknown"]
    details = glial.evaluate(run, tmp_path / "text.txt")["details"]
    assert details == {"texts": 1, "tokens": 1799, "characters": 1799, "unknown_tokens": 900}


@pytest.mark.parametrize("tokens", ["word", "bpe", "wordpiece"])
def test_tokens_may_be_parts_of_the_text(tmp_path, tokens):
    more = {"data.tokens": tokens, "data.max_tokens": 300}
    text = "the cat sat on the mat .\nthe dog sat on the log .\n" * 60
    run = train(tmp_path, text, "gpt2", epochs=2, **more)
    assert run.plan.data.tokens == tokens
    assert run.metrics["test"]["bits_per_character"] < run.metrics["test"]["log_loss"]
    again = glial.load(tmp_path / "run")
    found = glial.generate(again, prompt="the cat", length=6, seed=1)
    assert found == glial.generate(run, prompt="the cat", length=6, seed=1)
    assert found[0].text.startswith("the cat")


def test_documents_of_a_table_end(tmp_path):
    names = ["anna", "bob", "carl", "dora", "emil"] * 30
    frame = pl.DataFrame({"id": range(150), "name": names})
    options = {**SMALL["gpt2"], "train.lr": 0.01, "train.batch_size": 8}
    run = glial.train(frame, task=TASK, epochs=30, out=False, set=options)
    # Five names, each as likely, of 4.8 letters with their end: ln 5 / 4.8 nats a token.
    assert run.metrics["test"]["log_loss"] < 0.55
    drawn = {sample.text for sample in glial.generate(run, num_samples=40, length=20)}
    assert drawn & set(names)
    best = glial.generate(run, prompt="d", beam=3, length=20)[0]
    assert best.text == "dora"
    assert -0.6 < best.log_likelihood < 0
    assert glial.generate(run, prompt="d", temperature=0, length=20)[0].text == "dora"
    told = glial.predict(run, pl.DataFrame({"name": ["dora", "rado", ""]}))
    assert told["prediction"].to_list()[0] == ""  # the end
    assert told["log_likelihood"][0] > told["log_likelihood"][1] + 1
    assert told["tokens"].to_list() == [4, 4, 0]
    assert told["perplexity"][0] == pytest.approx(math.exp(-told["log_likelihood"][0]))


def test_a_table_keeps_the_callers_kind_and_files_their_order(tmp_path):
    for number, text in enumerate(("abab" * 40, "abba" * 40), 1):
        (tmp_path / f"{number}.txt").write_text(text)
    options = {**SMALL["lstm_lm"], "train.batch_size": 4}
    run = glial.train(
        tmp_path, task=TASK, model="lstm_lm", epochs=1, out=tmp_path / "run", set=options
    )
    told = glial.predict(run, tmp_path)
    assert told.height == 2
    alone = glial.predict(run, tmp_path / "2.txt")
    assert told["log_likelihood"][1] == pytest.approx(alone["log_likelihood"][0])
    whole = glial.evaluate(run, tmp_path)
    assert whole["details"]["tokens"] == 322  # with an end behind each


def test_a_text_shorter_than_the_window_and_a_split_without_text(tmp_path):
    run = train(tmp_path, "ab", "gpt2", epochs=1, **{
        "data.split.train": 1.0, "data.split.val": 0.0, "data.split.test": 0.0,
    })  # fmt: skip
    assert run.sizes["block"] == 1
    assert run.metrics == {"val": {}, "test": {}, "baseline": {}}
    assert len(glial.generate(run, length=30)[0].text) == 30
    run = train(tmp_path, "aaaaaaaaaaaa", "lstm_lm", epochs=60, name="one")
    assert run.metrics["test"]["accuracy"] == 1.0


@pytest.mark.parametrize("text", ["a", "", "é"])
def test_too_little_text_is_refused_and_leaves_nothing(tmp_path, text):
    with pytest.raises(InputError, match=r"too little|empty"):
        train(tmp_path, text, "gpt2", epochs=1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.weight": "w"}, "data.weight does not fit"),
        ({"data.split.folds": 3}, "folds"),
        ({"data.sampling": "over"}, "data.sampling does not fit"),
        ({"data.split.group": "a"}, "by position"),
        ({"train.accumulate": 2}, "states cannot go on"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train(tmp_path, copies(50), "lstm_lm", epochs=1, **changes)


def test_other_models_and_tasks_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not learn the task"):
        glial.train({"text": ["ab", "cd"] * 9}, task=TASK, model="bag_of_words", out=False)
    run = glial.train("iris", model="linear", epochs=1, out=False)
    with pytest.raises(InputError, match="makes nothing up"):
        glial.generate(run)


class Pairs(nn.Module):
    """A network of one's own: scores of the next token by the last one alone."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scores = nn.Embedding(size, size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.scores(tokens)


def test_a_network_of_ones_own_reads_and_writes(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abc" * 300)
    options = {"train.lr": 0.3, "train.batch_size": 2}
    run = glial.train(path, task=TASK, model=Pairs(8), epochs=10, out=False, set=options)
    assert run.metrics["test"]["accuracy"] == 1.0
    assert (
        glial.generate(run, prompt="ab", length=200, temperature=0)[0].text
        == "ab" + "cab" * 66 + "ca"
    )
    with pytest.raises(InputError, match="outputs do not fit"):
        glial.train(path, task=TASK, model=Pairs(9), epochs=1, out=False, set=options)


def test_texts_longer_than_the_context_go_on(tmp_path, caplog):
    run = train(tmp_path, "abc" * 400, "gpt2", epochs=6)
    long = glial.generate(run, prompt="ca", length=100, temperature=0)[0]
    assert long.text == "ca" + "bca" * 33 + "b"
    prompt = "abc" * 50
    assert glial.generate(run, prompt=prompt, length=4, temperature=0)[0].text == prompt + "abca"
    assert "none that training showed" not in caplog.text
    found = glial.generate(run, prompt="zab", length=3, temperature=0)
    assert found[0].text.startswith("zab")
    assert "1 of the prompt's tokens" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_samples": 0},
        {"length": 0},
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"top_k": 0},
        {"top_p": 0.0},
        {"repetition_penalty": 0.5},
        {"beam": 1, "num_samples": 2},
        {"seed": -1},
    ],
)
def test_numbers_out_of_range_are_refused(wrong):
    run = glial.train({"t": ["ab", "ba"] * 9}, task=TASK, epochs=1, out=False, set=SMALL["gpt2"])
    with pytest.raises(InputError, match="out of its range"):
        glial.generate(run, **wrong)
