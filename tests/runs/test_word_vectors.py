"""Word vectors on the spine: a normal run, resumable, judged, and refused input."""

from __future__ import annotations

import gzip
import json
import math

import polars as pl
import pytest
import torch

import glial
from glial.core.errors import InputError
from glial.data.word_vectors import WordVectors
from glial.runs import TrainingInterrupted
from glial.runs.word_vectors import with_unseen, word_vectors

WATCHED = True

LINES = ["the cat sat on the mat", "a dog lay on the rug", "the cat lay on a rug"] * 30
MODELS = ["word2vec", "glove", "fasttext"]
SMALL = {"task.embedding_size": 4, "train.batch_size": 64}


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(LINES))
    return path


def trained(source, model="word2vec", **options):
    options = {"task": "embedding", "epochs": 2, "out": False, **options}
    settings = {**SMALL, **({"model.buckets": 50} if model == "fasttext" else {})}
    return glial.train(
        source, model=model, **{**options, "set": {**settings, **options.get("set", {})}}
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_run_is_opened_as_it_was_saved(corpus, tmp_path, model):
    run = trained(corpus, model, out=tmp_path / "run")
    assert run.findings == []
    assert run.task == "embedding"
    assert set(run.metrics["test"]) == set(run.metrics["baseline"]) == {"log_loss", "roc_auc"}
    assert run.metrics["baseline"]["roc_auc"] == 0.5
    assert run.plan.train.batch_size == 64
    again = glial.load(tmp_path / "run")
    assert again.metrics == run.metrics
    before, after = word_vectors(run), word_vectors(tmp_path / "run")
    assert before.words == after.words
    assert torch.equal(before.matrix, after.matrix)
    assert before.size == 4
    texts = pl.DataFrame({"text": ["the cat", "unheard words"]})
    expected = before.matrix[before.rows(["the", "cat"])].mean(dim=0)
    found = torch.tensor(glial.predict(again, texts).rows())
    assert torch.allclose(found[0].float(), expected, atol=1e-6)
    assert found[1].tolist() == [0] * 4
    assert glial.embed(again, texts).equals(glial.predict(again, texts))
    assert glial.evaluate(again, corpus)["metrics"].keys() == run.metrics["test"].keys()
    assert glial.predict(again, corpus).height == len(LINES)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("step", [1, 3])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    corpus, tmp_path, model, step, stop_at, monkeypatch
):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    options = {"epochs": 4, "set": {"train.checkpoint_seconds": 0.0, "train.batch_size": 128}}
    calm = trained(corpus, model, out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted) as stopped:
        trained(corpus, model, out=tmp_path / "cut", callbacks=[stop_at(step)], **options)
    assert stopped.value.run.status == "interrupted"
    run = trained(corpus, model, out=tmp_path / "cut", resume=True, **options)
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right
    assert run.metrics == calm.metrics


def test_the_same_seed_gives_the_same_vectors_and_another_others(corpus):
    first, second, other = [trained(corpus, seed=seed) for seed in (3, 3, 4)]
    assert torch.equal(word_vectors(first).matrix, word_vectors(second).matrix)
    assert not torch.equal(word_vectors(first).matrix, word_vectors(other).matrix)


@pytest.mark.parametrize("method", ["skip-gram", "cbow"])
@pytest.mark.parametrize("output", ["negative_sampling", "hierarchical_softmax", "softmax"])
def test_every_way_of_foretelling_learns(corpus, method, output):
    options = {"model.method": method, "model.output": output, "model.subsample": 0.0}
    run = trained(corpus, epochs=30, set={**options, "task.embedding_size": 8})
    assert run.metrics["test"]["log_loss"] < run.metrics["baseline"]["log_loss"] - 0.05
    assert run.metrics["test"]["roc_auc"] > 0.6
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]


def test_the_baseline_is_the_entropy_of_words(tmp_path):
    # Two words by turns, one a line with each other: half of the foretold words are each.
    (tmp_path / "two.txt").write_text("yes no\n" * 50)
    run = trained(tmp_path / "two.txt", set={"model.subsample": 0.0})
    assert run.metrics["baseline"]["log_loss"] == pytest.approx(math.log(2))


def test_sources_of_every_kind_give_the_same_words(corpus, tmp_path):
    expected = word_vectors(trained(corpus))
    (tmp_path / "folder").mkdir()
    half = len(LINES) // 2
    (tmp_path / "folder" / "a.txt").write_text("\n".join(LINES[:half]) + "\n")
    (tmp_path / "folder" / "b.txt").write_text("\n".join(LINES[half:]))
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress(corpus.read_bytes()))
    for source in (tmp_path / "folder", tmp_path / "packed.txt.gz"):
        found = word_vectors(trained(source))
        assert found.words == expected.words
        assert torch.equal(found.matrix, expected.matrix)
    table = pl.DataFrame({"text": LINES})
    assert set(word_vectors(trained(table)).words) == set(expected.words)


def test_files_of_their_own_validate_and_test(corpus, tmp_path):
    (tmp_path / "other.txt").write_text("the mat lay on a dog\n" * 5)
    run = trained(corpus, val=tmp_path / "other.txt", test=tmp_path / "other.txt")
    assert run.metrics["val"] == run.metrics["test"]
    whole = trained(corpus, set={"data.split": {"train": 1.0, "val": 0.0, "test": 0.0}})
    assert whole.metrics == {"val": {}, "test": {}, "baseline": {}}
    assert torch.equal(word_vectors(whole).matrix, word_vectors(run).matrix)


def test_unseen_words_have_vectors_by_their_parts_alone(corpus):
    run = trained(corpus, "fasttext")
    vectors = with_unseen(word_vectors(run), run, ["cats", "cat", "cats"])
    assert vectors.words == [*word_vectors(run).words, "cats"]
    assert torch.equal(vectors.vector("cats"), run.model.vector("cats").detach())
    plain = trained(corpus)
    assert "cats" not in with_unseen(word_vectors(plain), plain, ["cats"])


BAD = {
    "": "is empty",
    "\n \n": "too short",
    "one two three": "too short",
    "same\n" * 9: "too short",
    "same other\n" * 1: "too short",
    "a\nb\n" * 9: "too short",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_texts_that_teach_nothing_are_refused(text, message, tmp_path):
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        trained(tmp_path / "bad.txt", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_files_are_refused(tmp_path):
    (tmp_path / "latin.txt").write_bytes("né é\n".encode("latin-1") * 9)
    with pytest.raises(InputError, match="UTF-8"):
        trained(tmp_path / "latin.txt")
    with pytest.raises(InputError, match="there is no"):
        trained(tmp_path / "missing.txt")
    with pytest.raises(InputError, match="not clear"):
        trained(pl.DataFrame({"a": [1, 2], "b": [3, 4]}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.weight", "w"),
        ("data.tokens", "bpe"),
        ("train.lr", "auto"),
        ("train.batch_size", "full"),
        ("train.optimizer", "adam"),
        ("train.freeze", "body"),
        ("data.split.folds", 3),
        ("task.loss", "triplet"),
        ("model.weights", "somewhere"),
    ],
)
def test_what_does_not_go_with_word_vectors_is_refused(corpus, key, value):
    with pytest.raises(InputError):
        trained(corpus, set={key: value})


def test_other_tasks_and_networks_are_refused(corpus):
    with pytest.raises(InputError, match="classification"):
        trained(corpus, task="classification")
    assert trained(corpus, task=None).task == "embedding"
    with pytest.raises(InputError, match="no vectors of words"):
        word_vectors(glial.train("iris", model="linear", epochs=1, out=False))


def test_damage_is_refused(corpus, tmp_path):
    run = trained(corpus, "fasttext", out=tmp_path / "run")
    decoding = json.loads((run.path / "decoding.json").read_text())
    for damage in ({"counts": []}, {"counts": [0]}, {"size": 0}, {"more": 1}):
        (run.path / "decoding.json").write_text(json.dumps({**decoding, **damage}))
        with pytest.raises(InputError, match=r"decoding\.json is damaged"):
            glial.load(run.path)
    (run.path / "decoding.json").write_text(json.dumps(decoding))
    sizes = json.loads((run.path / "model.json").read_text())
    (run.path / "model.json").write_text(json.dumps({**sizes, "vocabularies": [5]}))
    with pytest.raises(InputError, match="do not fit"):
        glial.load(run.path)


TEXTS = pl.DataFrame(
    {
        "text": ["good fine film", "bad poor film", "fine good thing", "poor bad thing"] * 10,
        "label": ["up", "down"] * 20,
    }
)


@pytest.fixture
def vectors(tmp_path):
    matrix = torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0, 0.9, 0.1]])
    WordVectors(["good", "Fine", "bad", "unheard"], matrix).save(tmp_path / "vectors.txt")
    return tmp_path / "vectors.txt"


def classified(vectors, model="bag_of_words", epochs=0, out=False, **changes):
    given = {"model.vectors": str(vectors), "data.types.text": "text", **changes}
    return glial.train(TEXTS, target="label", model=model, epochs=epochs, out=out, set=given)


@pytest.mark.parametrize("model", ["bag_of_words", "text_cnn", "text_gru"])
def test_texts_start_from_vectors(vectors, model, caplog):
    caplog.set_level("INFO")
    run = classified(vectors, model=model)
    assert "vectors of 3 of 6 words" in caplog.text
    encoder = run.encoding.encoders["text"]
    table = run.model.embedding.weight
    assert run.plan.model["size"] == table.shape[1] == 3
    found = {word: table[2 + encoder.tokens.index(word)].tolist() for word in encoder.tokens}
    assert found["good"] == [1.0, 0.0, 0.0]
    assert found["fine"] == pytest.approx([0.9, 0.1, 0.0])
    assert found["bad"] == [0.0, 1.0, 0.0]
    assert any(found["film"])


def test_frozen_vectors_stay_and_runs_need_the_file_no_more(vectors, tmp_path):
    run = classified(
        vectors, epochs=3, out=tmp_path / "run", **{"train.freeze": 1, "train.lr": 0.1}
    )
    word = 2 + run.encoding.encoders["text"].tokens.index("good")
    assert run.model.embedding.weight[word].tolist() == [1.0, 0.0, 0.0]
    vectors.unlink()
    assert torch.equal(glial.load(tmp_path / "run").model.head.weight, run.model.head.weight)
    assert glial.predict(tmp_path / "run", TEXTS).height == 40


def test_vectors_that_do_not_fit_are_refused(vectors, tmp_path):
    with pytest.raises(InputError, match="another size"):
        classified(vectors, **{"model.size": 5})
    with pytest.raises(InputError, match="there is no file"):
        classified(tmp_path / "missing.txt")
    with pytest.raises(InputError, match=r"data\.tokens"):
        classified(vectors, **{"data.tokens": "character"})
    WordVectors(["zzz"], torch.ones(1, 3)).save(tmp_path / "other.txt")
    with pytest.raises(InputError, match="for 0 of 6 words"):
        classified(tmp_path / "other.txt")
