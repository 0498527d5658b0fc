"""A label for each step: states that hang on what came before, files, gaps, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from torch import Tensor, nn

import glial
from glial.cli import main
from glial.core.errors import InputError

QUICK = {"train.batch_size": 8, "train.lr": 0.01}


def walks(rows: int = 60, *, shuffled: bool = False) -> pl.DataFrame:
    """Steps, and on which side of the start each leaves the walk; or both in unlike orders."""
    generator = np.random.default_rng(0)
    steps = [generator.normal(size=int(generator.integers(3, 25))) for _ in range(rows)]
    sides = [np.where(row.cumsum() > 0, "up", "down").tolist() for row in steps]
    if shuffled:
        steps = [generator.permutation(row) for row in steps]
    return pl.DataFrame({"step": [row.tolist() for row in steps], "side": sides})


class OneStep(nn.Module):
    """Sees one step at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 2))

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        scores: Tensor = self.layers(steps)
        return scores


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("walks")
    return glial.train(walks(), "side", epochs=25, out=folder / "run", set=QUICK)


def test_steps_before_are_remembered(trained: Any) -> None:
    assert (trained.task, trained.plan.model["name"]) == ("tagging", "sequence_rnn")
    assert trained.plan.model["each_step"]
    scores = trained.metrics["test"]
    assert set(scores) == {"accuracy", "balanced_accuracy", "f1_macro"}
    assert scores["accuracy"] > 0.88
    assert trained.metrics["baseline"]["balanced_accuracy"] == 0.5


def test_one_step_alone_does_not_tell_it() -> None:
    run = glial.train(walks(), "side", model=OneStep(), epochs=25, out=False, set=QUICK)
    assert 0.55 < run.metrics["test"]["accuracy"] < 0.8


def test_nor_do_steps_in_no_order() -> None:
    run = glial.train(walks(shuffled=True), "side", epochs=25, out=False, set=QUICK)
    assert run.metrics["test"]["accuracy"] < 0.8


def test_predictions_are_as_long_as_rows(trained: Any) -> None:
    again = glial.load(trained.path)
    odd = pl.DataFrame({"step": [[1.0, 1.0, -9.0], None, [None, float("nan"), 2.0], [], [-3.0]]})
    found = glial.predict(again, odd)["prediction"]
    assert found.list.len().to_list() == [3, 0, 3, 0, 1]
    assert found[0].to_list() == ["up", "up", "down"]
    assert found.equals(glial.predict(trained, odd)["prediction"])
    assert glial.predict(again, odd[4:])["prediction"].to_list() == [found[4].to_list()]


def test_unknown_and_missing_labels_in_evaluation(trained: Any) -> None:
    def frame(sides: list[str | None]) -> pl.DataFrame:
        return pl.DataFrame({"step": [[5.0, 5.0, -20.0]], "side": [sides]})

    right = glial.evaluate(trained, frame(["up", None, "down"]))
    assert right["metrics"]["accuracy"] == right["metrics"]["balanced_accuracy"] == 1.0
    wrong = glial.evaluate(trained, frame(["up", "aside", "down"]))
    assert wrong["metrics"]["accuracy"] == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="steps and labels do not match in row 1"):
        glial.evaluate(trained, frame(["up"]))


@pytest.mark.parametrize("model", ["sequence_rnn", "sequence_cnn", "sequence_transformer"])
def test_integers_gaps_and_channels(model: str) -> None:
    frame = walks(30).with_columns(
        pl.col("step").list.eval(pl.when(pl.element() > 1.5).then(None).otherwise(pl.element())),
        pl.col("side").list.eval((pl.element() == "up").cast(pl.Int64)),
        other=pl.col("step"),
        age=pl.int_range(30) % 7,
    )
    run = glial.train(frame, "side", task="tagging", model=model, epochs=1, out=False)
    assert run.sizes["sequences"] == [[3]]
    found = glial.predict(run, frame.drop("side", "age"))["prediction"]
    assert found.dtype == pl.List(pl.Int64)
    assert found.list.len().equals(frame["step"].list.len(), check_names=False)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (
            pl.DataFrame({"x": [[1.0, 2.0]] * 9, "y": [["a", "b"]] * 8 + [["a"]]}),
            "steps and labels do not match in row 9",
        ),
        (pl.DataFrame({"x": [[1.0, 2.0]] * 9, "y": [["a", "a"]] * 9}), "one value only"),
        (pl.DataFrame({"x": [[1.0]] * 9, "y": [[0.5]] * 9}), "cannot be learnt"),
        (pl.DataFrame({"x": range(9), "y": [["a"], ["b", "a"], ["b"]] * 3}), "no words for"),
    ],
    ids=["lengths", "one class", "numbers", "no lists"],
)
def test_bad_rows_are_refused(frame: pl.DataFrame, said: str) -> None:
    with pytest.raises(InputError, match=said):
        glial.train(frame, "y", out=False)


def test_labels_spelt_as_lists_are_refused() -> None:
    frame = pl.DataFrame({"x": ["[1, 2]"] * 9, "y": ["[0, 1]"] * 9})
    with pytest.raises(InputError, match="text that spells lists"):
        glial.train(frame, "y", task="tagging", out=False)


def test_a_file_has_labels_with_blanks_between(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    frame = walks(30)
    texts = {
        "step": [str(row) for row in frame["step"].to_list()],
        "side": [" ".join(row) for row in frame["side"].to_list()],
    }
    pl.DataFrame(texts).write_csv("walks.csv")
    words = ["train", "walks.csv", "--target", "side", "--task", "tagging", "--epochs", "1"]
    assert main([*words, "--out", "run"]) == 0
    assert main(["evaluate", "run", "walks.csv"]) == 0
    assert main(["predict", "run", "walks.csv", "--out", "p.csv"]) == 0
    lengths = pl.read_csv("p.csv")["prediction"].str.count_matches(" ") + 1
    assert lengths.to_list() == frame["side"].list.len().to_list()
