"""Tagging from end to end: a grammar to be learnt, parts that must matter, files, bad input."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.nn import ChainScores

SMALL = {
    "model.size": 16,
    "model.num_units": 16,
    "model.channels": 16,
    "model.feature_size": 8,
    "model.dropout": 0.2,
    "train.lr": 0.01,
    "train.batch_size": 8,
}
SYLLABLES = ["ka", "zo", "mi", "tur", "bel", "sho", "ran", "ix"]


def grammar(rows: int, seed: int = 0) -> pl.DataFrame:
    """Sentences with names that hardly ever come twice; the word before one says its type."""
    generator = np.random.default_rng(seed)
    tokens, tags = [], []
    for _ in range(rows):
        words: list[str] = []
        marks: list[str] = []
        for _ in range(int(generator.integers(1, 4))):
            filler = list(generator.choice(["we", "saw", "it", "Then", "again", ","], 2))
            kind = str(generator.choice(["place", "person"]))
            name = [
                "".join(generator.choice(SYLLABLES, 3)).capitalize()
                for _ in range(int(generator.integers(1, 3)))
            ]
            words += [*filler, "near" if kind == "place" else "with", *name]
            marks += ["O"] * 3 + [f"B-{kind}"] + [f"I-{kind}"] * (len(name) - 1)
        tokens.append(words)
        tags.append(marks)
    return pl.DataFrame({"tokens": tokens, "tags": tags})


def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
    """The same words with their tags, in no order."""
    generator = np.random.default_rng(1)
    rows = []
    for words, tags in frame.rows():
        order = generator.permutation(len(words))
        rows.append(([words[i] for i in order], [tags[i] for i in order]))
    return pl.DataFrame(rows, schema=frame.schema, orient="row")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tagging") / "run"
    return glial.train(grammar(300), "tags", epochs=8, out=folder, set=SMALL)


def test_a_grammar_is_learnt(trained: Any) -> None:
    assert (trained.task, trained.plan.model["name"]) == ("tagging", "tagger")
    assert trained.metrics["baseline"]["f1"] == 0.0
    assert trained.metrics["test"]["f1"] > 0.95
    # What chose the epoch is what is told of its rows in the end.
    best = max(row["val_f1"] for row in trained.history)
    assert best == pytest.approx(trained.metrics["val"]["f1"])
    new = grammar(60, seed=5)
    again = glial.load(trained.path)
    found = glial.predict(again, new)
    assert found.equals(glial.predict(trained, new))
    assert found["prediction"].list.len().to_list() == new["tokens"].list.len().to_list()
    alone = glial.predict(again, new[7:8])
    assert alone["prediction"].to_list() == found["prediction"][7:8].to_list()
    text = new.select(tokens=pl.col("tokens").list.join(" "))
    assert glial.predict(again, text).equals(found)


def test_it_hangs_on_the_order_of_words_and_on_transitions(trained: Any) -> None:
    new = grammar(60, seed=6)
    assert glial.evaluate(trained, new)["metrics"]["f1"] > 0.95
    assert glial.evaluate(trained, shuffled(new))["metrics"]["f1"] < 0.7
    chain = trained.model.chain
    before = chain.transitions.detach().clone()
    with torch.no_grad():
        chain.transitions.copy_(-10 * torch.eye(len(before)))  # no tag behind itself
    broken = glial.evaluate(trained, new)["metrics"]["accuracy"]
    with torch.no_grad():
        chain.transitions.copy_(before)
    assert broken < 0.8


class WordByWord(nn.Module):
    """Tags from each word alone, with a chain or with none."""

    def __init__(self, chained: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 3)
        self.chain = ChainScores(3) if chained else None

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        scores = self.embedding(words[:, :, 0])
        real = words[:, :, 0] != 0
        if self.chain is not None:
            return self.chain(scores, real.sum(dim=1))
        return scores.log_softmax(dim=2) * real[:, :, None]


def test_a_chain_tells_what_words_do_not() -> None:
    # "x" is inside a name only behind its beginning, which a word by itself cannot tell.
    generator = np.random.default_rng(0)
    rows: list[tuple[list[str], list[str]]] = []
    for _ in range(300):
        tags, kinds = [], [("a", "O"), ("x", "O"), ("b", "B-n")]
        words = []
        for _ in range(8):
            word, tag = kinds[generator.integers(3)]
            if word == "x" and tags and tags[-1] != "O":
                tag = "I-n"
            words.append(word)
            tags.append(tag)
        rows.append((words, tags))
    frame = pl.DataFrame(rows, schema=["words", "tags"], orient="row")
    scores = []
    for chained in (True, False):
        torch.manual_seed(0)
        settings = {"train.lr": 0.1, "train.batch_size": 32}
        network = WordByWord(chained)
        run = glial.train(frame, "tags", model=network, epochs=6, out=False, set=settings)
        scores.append(run.metrics["test"]["f1"])
    assert scores[0] > 0.98
    assert scores[1] < 0.8


def conll(frame: pl.DataFrame) -> str:
    rows = ("\n".join(map("\t".join, zip(*row, strict=True))) for row in frame.rows())
    return "\n\n".join(rows) + "\n"


def test_files_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("names.zip", "w") as archive:
        for part, rows in (("train", 60), ("dev", 20), ("test", 10)):
            archive.writestr(f"names.{part}.conll", conll(grammar(rows, seed=rows)))
    sizes = [f"--set={key}={value}" for key, value in SMALL.items()]
    words = ["train", "names.zip", "--task", "tagging", "--epochs", "3", "--out", "run", "--json"]
    assert main([*words, *sizes]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["task"], told["model"], told["epochs"]) == ("tagging", "tagger", 3)
    assert set(told["metrics"]["test"]) == {"accuracy", "precision", "recall", "f1", "f1_macro"}
    Path("new.conll").write_text("Then O\nwith O\nKazomi B-person\n\nwe O\n")
    assert main(["predict", "run", "new.conll", "--out", "a.jsonl"]) == 0
    lists = [json.loads(line)["prediction"] for line in Path("a.jsonl").read_text().splitlines()]
    assert [len(tags) for tags in lists] == [3, 1]
    assert main(["predict", "run", "new.conll", "--out", "a.csv"]) == 0
    assert Path("a.csv").read_text().splitlines()[1] == " ".join(lists[0])
    assert main(["predict", "run", "new.conll", "--out", "a.parquet"]) == 0
    assert pl.read_parquet("a.parquet")["prediction"].to_list() == lists
    Path("new.txt").write_text("We saw Kazomi, again.\n\nwe\n")
    assert main(["predict", "run", "new.txt", "--out", "b.jsonl"]) == 0
    found = [json.loads(line) for line in Path("b.jsonl").read_text().splitlines()]
    assert found[0]["tokens"] == ["We", "saw", "Kazomi", ",", "again", "."]
    assert [len(row["prediction"]) for row in found] == [6, 0, 1]
    capsys.readouterr()
    assert main(["evaluate", "run", "new.conll", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["details"]["types"]["person"]["support"] == 1


@pytest.mark.parametrize(
    ("frame", "settings", "said"),
    [
        ({"tokens": [["a"], ["b"]], "tags": [["O"], ["O", "B-x"]]}, {}, "row 2"),
        ({"tags": [["O"], ["B-x"]]}, {}, "no words for the labels"),
        ({"tokens": ["a b", "c"], "tags": ["O O", "O"]}, {"task.name": "tagging"}, "one value"),
        ({"tokens": [["a"]] * 9, "tags": [["O"], ["B-x"], ["O"]] * 3}, {"model": "mlp"}, "learn"),
        ({"tokens": [1.5, 2.5] * 2, "tags": [["O"], ["B-x"]] * 2}, {}, "no words for the labels"),
        (
            {"tokens": [["a"]] * 9, "tags": [["O"], ["B-x"], ["O"]] * 3},
            {"task.name": "classification"},
            "cannot be learnt",
        ),
    ],
)
def test_bad_rows_are_refused(frame: Any, settings: dict[str, Any], said: str) -> None:
    settings = dict(settings)
    model = settings.pop("model", None)
    with pytest.raises(InputError, match=said):
        glial.train(pl.DataFrame(frame), "tags", model=model, epochs=1, out=False, set=settings)


def test_odd_rows_are_borne(tmp_path: Path) -> None:
    frame = grammar(40)
    odd = pl.DataFrame({"tokens": [[], ["x"], None], "tags": [[], ["B-new"], None]})
    frame.write_ndjson(tmp_path / "train.jsonl")
    pl.concat([grammar(5, seed=2), odd], how="vertical_relaxed").write_ndjson(
        tmp_path / "val.jsonl"
    )
    settings = {**SMALL, "data.val": str(tmp_path / "val.jsonl")}
    source = str(tmp_path / "train.jsonl")
    run = glial.train(source, "tags", epochs=1, out=False, set=settings)
    assert 0 <= run.metrics["val"]["accuracy"] < 1
    assert glial.predict(run, odd)["prediction"].list.len().to_list() == [0, 1, 0]
    with pytest.raises(InputError, match="row 1"):
        glial.evaluate(run, odd[1:2].with_columns(tags=pl.Series([["O", "O"]])))
    with pytest.raises(InputError, match="missing"):
        glial.predict(run, odd.select(x="tokens"))


def test_several_networks_are_pooled() -> None:
    settings = {**SMALL, "data.split.folds": 2}
    run = glial.train(grammar(40), "tags", epochs=1, out=False, set=settings)
    assert len(run.members) == 2
    new = grammar(3, seed=1)
    found = glial.predict(run, new)
    assert found.columns == ["prediction"]
    assert found["prediction"].list.len().to_list() == new["tags"].list.len().to_list()
