"""What a translation learns: tokens told from those before them, and texts put together again."""

from __future__ import annotations

import json
import math

import polars as pl
import pytest
import torch
from torch.nn import functional

from glial.core.errors import InputError
from glial.data.encoders import PhraseEncoder
from glial.data.settings import DataSettings
from glial.tasks import TaskSettings, fit_task, load_task
from glial.tasks.translation import Translation

FRAME = pl.DataFrame({"fr": ["a b", "b", "a b a"]})


def made(frame=FRAME, **settings):
    asked = TaskSettings(name="translation", **settings)
    return fit_task(frame, ["fr"], asked, data=DataSettings(min_token_count=1))


def test_targets_end_and_begin():
    task = made()
    assert task.encoder.tokens == ["▁a", "▁b"]
    assert (task.start, task.end, task.num_outputs) == (4, 5, 6)
    target = task.encode(FRAME)
    assert target.tolist() == [[2, 3, 5, -1], [3, 5, -1, -1], [2, 3, 2, 5]]
    assert task.before(target).tolist() == [[4, 2, 3, 0], [4, 3, 0, 0], [4, 2, 3, 2]]
    assert task.counts == [0, 0, 3, 3, 0, 3]
    assert (
        task.texts(torch.tensor([[2, 3, 5, 3], [3, 5, 5, 5], [2, 3, 2, 5]]))
        == FRAME["fr"].to_list()
    )


def test_the_loss_is_the_mean_of_a_token_and_none_of_padding():
    task = made()
    outputs, target = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0)), None
    target = task.encode(FRAME)
    rows = [(r, p) for r in range(3) for p in range(4) if target[r, p] >= 0]
    told = [-outputs.log_softmax(2)[r, p, target[r, p]] for r, p in rows]
    assert task.loss(outputs, target) == pytest.approx(float(torch.stack(told).mean()))
    assert task.mass(target) == len(rows) == 9
    spoilt = outputs.clone()
    spoilt[0, 3] = 99.0
    assert task.loss(spoilt, target) == task.loss(outputs, target)
    found = task.monitor(outputs, target)
    assert found["loss"] == pytest.approx(float(task.loss(outputs, target)))
    right = sum(int(outputs[r, p].argmax()) == int(target[r, p]) for r, p in rows)
    assert found["token_accuracy"] == pytest.approx(right / 9)
    assert task.scores(outputs, FRAME)["perplexity"] == pytest.approx(math.exp(found["loss"]))


def test_smoothing_is_torchs():
    task, outputs = made(label_smoothing=0.2), torch.randn(3, 4, 6)
    target = task.encode(FRAME)
    peer = functional.cross_entropy(
        outputs.flatten(0, 1), target.flatten(), ignore_index=-1, label_smoothing=0.2
    )
    torch.testing.assert_close(task.loss(outputs, target), peer)


def test_a_row_twice_is_a_row_of_weight_two():
    task, outputs = made(), torch.randn(3, 4, 6)
    target, twice = task.encode(FRAME), [0, 1, 2, 2]
    weighted = task.loss(outputs, target, torch.tensor([1.0, 1.0, 2.0]))
    torch.testing.assert_close(weighted, task.loss(outputs[twice], target[twice]))
    parts = [task.loss(outputs[i : i + 1], target[i : i + 1]) for i in range(3)]
    masses = [task.mass(target[i : i + 1]) for i in range(3)]
    joined = sum(p * m for p, m in zip(parts, masses, strict=True)) / task.mass(target)
    torch.testing.assert_close(joined, task.loss(outputs, target))


def test_targets_longer_than_outputs_are_cut():
    task = made()
    target = task.encode(FRAME[1:2])
    assert task.loss(torch.zeros(1, 2, 6), functional.pad(target, (0, 5), value=-1)) == (
        pytest.approx(math.log(6))
    )


def test_the_baseline_copies_and_guesses_the_commonest():
    task = made()
    found = task.baseline(pl.Series(["a b", "x", "a b a"]), FRAME)
    assert found["exact_match"] == pytest.approx(2 / 3)
    assert found["token_accuracy"] == pytest.approx(3 / 9)
    assert found["log_loss"] == pytest.approx(-math.log(4 / 15))


@pytest.mark.parametrize("tokens", ["word", "character", "bpe"])
def test_what_is_saved_is_the_task(tokens):
    data = DataSettings(tokens=tokens, max_tokens=400)
    texts = pl.DataFrame({"fr": ["Supprimer %(name)s ?", "Le fichier, s'il vous plaît"] * 3})
    task = fit_task(texts, ["fr"], TaskSettings(name="translation"), data=data)
    again = load_task(json.loads(json.dumps(task.state())), TaskSettings())
    assert again.encode(texts).equal(task.encode(texts))
    assert again.texts(again.encode(texts)) == texts["fr"].to_list()
    assert again.state() == task.state()


def broken(**changes):
    return {**made().state(), **changes}


@pytest.mark.parametrize(
    "state",
    [
        broken(counts=[1, 2]),
        broken(counts=[-1, 0, 3, 3, 0, 3]),
        broken(encoder={"kind": "pickle"}),
        broken(encoder={"kind": "phrases", "by": "word", "tokens": ["a", "a"], "max_length": 3}),
        broken(targets=["a", "b"]),
    ],
)
def test_damaged_states_are_refused(state):
    with pytest.raises(InputError, match=r"decoding\.json is damaged"):
        load_task(state, TaskSettings())


def test_what_cannot_be_learnt_is_refused():
    with pytest.raises(InputError, match="one text"):
        fit_task(FRAME.with_columns(de=pl.lit("x")), ["fr", "de"], TaskSettings(name="translation"))
    with pytest.raises(InputError, match="does not fit the task"):
        made(loss="focal")
    with pytest.raises(InputError, match="cannot be put together"):
        Translation.fit(FRAME, ["fr"], TaskSettings(), None, data=DataSettings(tokens="wordpiece"))
    with pytest.raises(InputError, match=r"task\.threshold does not fit"):
        made(threshold=0.5)


def test_members_are_averaged_by_their_probabilities():
    task = made()
    shares = torch.tensor([[[0.2, 0.8]], [[0.6, 0.4]]])
    pooled = task.pool([(task, shares[:1].log()), (task, shares[1:].log() + 3)])
    torch.testing.assert_close(pooled.exp(), torch.tensor([[[0.4, 0.6]]]))


def test_unknown_tokens_say_nothing():
    encoder = PhraseEncoder("word", ["▁a"], 3)
    assert encoder.decode([[1, 2, 0], [1], []]) == ["a", "", ""]
