"""Doubt of runs: its parts, its sources, planted truth, and that networks are left as found."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import entropy
from torch import nn

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.nn.dropping import dropping, dropping_modules
from glial.runs import TrainingInterrupted
from glial.runs.uncertainty import doubts
from glial.tasks.uncertainty import class_doubt, number_doubt
from glial.training.snapshots import kept_epochs, load_snapshots

FAST = {"doctor.watch": False, "train.lr": 0.02, "train.batch_size": 32, "train.patience": None}
COLUMNS = ["uncertainty", "uncertainty_data", "uncertainty_model"]
GENERATOR = np.random.default_rng(0)


def noisy(rows=300):
    """Where b is above 0 the class is a coin, elsewhere it is the sign of a."""
    points = GENERATOR.uniform(-1, 1, size=(rows, 2))
    coin = GENERATOR.uniform(size=rows) < 0.5
    yes = np.where(points[:, 1] > 0, coin, points[:, 0] > 0)
    return pl.DataFrame(points, schema=["a", "b"]).with_columns(y=pl.Series(yes).cast(pl.String))


TABLE = noisy()
NUMBERS = TABLE.select("a", "b", s=pl.col("a") * 3 + pl.col("b"), t=-pl.col("b"))


def trained(table=TABLE, target="y", model="mlp", epochs=4, out=False, folds=None, **changes):
    settings = FAST | {key.replace("__", "."): value for key, value in changes.items()}
    return glial.train(
        table, target, model=model, epochs=epochs, out=out, folds=folds, set=settings
    )


# Parts


def test_entropies_are_scipys_and_add_up():
    shares = GENERATOR.dirichlet(np.ones(4), size=(6, 50))
    total, data, model = class_doubt(shares)
    np.testing.assert_allclose(total, entropy(shares.mean(axis=0), axis=1), atol=1e-12)
    np.testing.assert_allclose(data, entropy(shares, axis=2).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(data + model, total, atol=1e-12)
    assert model.min() > 0
    assert total.max() <= math.log(4)
    alike = class_doubt(np.repeat(shares[:1], 5, axis=0))
    np.testing.assert_allclose(alike[2], 0, atol=1e-12)


def test_squares_of_numbers_add_up():
    values = GENERATOR.normal(size=(5, 20, 2))
    total, data, model = number_doubt(values, np.array([0.5, 2.0]))
    np.testing.assert_allclose(total**2, data**2 + model**2)
    np.testing.assert_allclose(model, values.std(axis=0))
    # The variance of the mixture of normals that all have this noise.
    draws = values[:, 0, 0, None] + 0.5 * GENERATOR.normal(size=(5, 100_000))
    assert total[0, 0] == pytest.approx(draws.std(), rel=0.01)


# Members


def test_members_of_a_run_and_of_a_network(tmp_path):
    run = trained(folds=3, out=tmp_path / "r")
    told = glial.predict(run, TABLE, uncertainty="members")
    each = np.stack(
        [
            glial.predict(one, TABLE).select(pl.col("^probability.*$")).to_numpy()
            for one in run.members
        ]
    )
    for column, part in zip(COLUMNS, class_doubt(each), strict=True):
        np.testing.assert_allclose(told[column], part, atol=1e-7)
    assert told.drop(COLUMNS).equals(glial.predict(run, TABLE))
    assert glial.predict(glial.load(run.path), TABLE, uncertainty="members").equals(told)
    tabular = trained(model="tabular")
    assert doubts(tabular, TABLE, "members")["uncertainty_model"].max() > 0


def test_doubt_knows_a_coin_from_what_was_never_seen():
    run = trained(noisy(1000), model="tabular", epochs=25)
    grid = {"a": [0.8, -0.8, 0.8, -0.8], "b": [-0.5, -0.5, 0.5, 0.5]}
    told = doubts(run, pl.DataFrame(grid), "members")
    assert told["uncertainty_data"][:2].max() < 0.3 < 0.6 < told["uncertainty_data"][2:].min()
    far = doubts(run, pl.DataFrame({"a": [0.0, 0.0], "b": [-40.0, 40.0]}), "members")
    assert far["uncertainty_model"].max() > 3 * told["uncertainty_model"].max()


def test_numbers_and_questions():
    run = trained(NUMBERS, ["s", "t"], model="tabular")
    told = glial.predict(run, NUMBERS, uncertainty="members")
    for name, noise in zip("st", run.decoder.noise, strict=True):
        total, data, model = (told[f"{column}_{name}"] for column in COLUMNS)
        np.testing.assert_allclose(total**2, data**2 + model**2)
        assert set(data) == {noise}
        assert model.min() > 0
    single = glial.predict(trained(NUMBERS, "s", model="tabular"), NUMBERS, uncertainty="members")
    assert single.columns == ["prediction", *COLUMNS]
    questions = NUMBERS.select("a", "b", p=pl.col("s") > 0, q=pl.col("t") > 0)
    run = trained(questions, ["p", "q"], model="tabular")
    told = glial.predict(run, questions, uncertainty="members")
    np.testing.assert_allclose(
        told["uncertainty_p"], told["uncertainty_data_p"] + told["uncertainty_model_p"], atol=1e-9
    )


# Dropout


def test_dropout_is_drawn_seeded_and_changes_nothing():
    run = trained(model__dropout=0.3, model__norm="batch")
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.model.train()
    modes = [module.training for module in run.model.modules()]
    state = torch.get_rng_state()
    told = glial.predict(run, TABLE, uncertainty="dropout", draws=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in run.model.modules()] == modes
    assert all(torch.equal(before[name], v) for name, v in run.model.state_dict().items())
    assert told.equals(glial.predict(run, TABLE, uncertainty="dropout", draws=5))
    assert not told.equals(glial.predict(run, TABLE, uncertainty="dropout", draws=6))
    assert told.drop(COLUMNS).equals(glial.predict(run, TABLE))
    assert told["uncertainty_model"].min() > 0
    np.testing.assert_allclose(
        told["uncertainty"], told["uncertainty_data"] + told["uncertainty_model"], atol=1e-9
    )


def test_modes_are_given_back_after_an_exception():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5), nn.Dropout(0.1).eval())
    modes = []

    def fail():
        with dropping(model):
            modes.extend(part.training for part in model)
            model(torch.zeros(3, 7))

    with pytest.raises(RuntimeError):
        fail()
    assert modes == [False, True, True]
    assert [part.training for part in model] == [True, True, False]
    assert model.training


def test_the_mean_of_draws_of_a_linear_network_is_its_output():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 1)).double()
    inputs = torch.ones(40_000, 3, dtype=torch.float64)
    torch.manual_seed(0)
    with dropping(model), torch.no_grad():
        drawn = model(inputs)
        assert drawn.std() > 0
    model.eval()
    expected = model(inputs[:1]).item()
    assert float(drawn.mean()) == pytest.approx(expected, abs=5 * float(drawn.std()) / 200)


def test_a_run_in_memory_and_from_its_folder_draw_alike(tmp_path):
    run = trained(model="tabular", out=tmp_path / "r", model__dropout=0.3)
    memory = doubts(run, TABLE, "dropout", 3)
    loaded = doubts(glial.load(run.path), TABLE, "dropout", 3)
    for name, values in memory.items():
        np.testing.assert_allclose(loaded[name], values, atol=1e-6)
    assert dropping_modules(run.model)


# Snapshots


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_last_snapshots_cover_half_of_training_whenever_it_ends(count):
    before: list[int] = []
    for epoch in range(1, 200):
        kept = kept_epochs(epoch, count)
        assert min(epoch, count) <= len(kept) < 2 * count
        assert set(kept) <= {*before, epoch}
        assert len(set(np.diff([0, *kept]))) == 1
        wanted = kept[-count:]
        assert len(kept) < count or wanted[0] <= max(1, epoch / 2 + kept[0])
        before = kept


def test_snapshots_are_epochs_weights_and_members(tmp_path):
    run = trained(epochs=7, out=tmp_path / "r", train__snapshots=3, train__schedule="constant")
    folder = run.path / "checkpoints" / "snapshots"
    assert sorted(path.stem for path in folder.iterdir()) == ["2", "4", "6"]
    shorter = trained(epochs=4, train__restore_best=False, train__schedule="constant")
    held = load_file(folder / "4.safetensors")
    assert all(torch.equal(held[n], value) for n, value in shorter.model.state_dict().items())
    memory = trained(epochs=7, train__snapshots=3, train__schedule="constant")
    told = glial.predict(run, TABLE, uncertainty="snapshots")
    assert glial.predict(memory, TABLE, uncertainty="snapshots").equals(told)
    assert glial.predict(glial.load(run.path), TABLE, uncertainty="snapshots").equals(told)
    assert told.drop(COLUMNS).equals(glial.predict(run, TABLE))
    each = []
    for path in sorted(folder.iterdir()):
        run.model.load_state_dict(load_file(path))
        each.append(glial.predict(run, TABLE).select(pl.col("^probability.*$")).to_numpy())
    np.testing.assert_allclose(told["uncertainty_model"], class_doubt(np.stack(each))[2], atol=1e-7)


def test_snapshots_go_on_bit_for_bit_after_an_interruption(tmp_path, stop_at):
    settings = {"train__snapshots": 2, "train__checkpoint_seconds": 0.0}
    whole = trained(epochs=9, out=tmp_path / "whole", **settings)
    options = {"model": "mlp", "epochs": 9, "out": tmp_path / "cut"}
    options["set"] = FAST | {"train.snapshots": 2, "train.checkpoint_seconds": 0.0}
    steps = math.ceil(210 / 32)
    with pytest.raises(TrainingInterrupted):
        glial.train(TABLE, "y", callbacks=[stop_at(3 * steps + 1)], **options)
    with pytest.raises(TrainingInterrupted):
        glial.train(TABLE, "y", callbacks=[stop_at(6 * steps)], resume=True, **options)
    cut = glial.train(TABLE, "y", resume=True, **options)
    left, right = (load_snapshots(run.path / "checkpoints") for run in (whole, cut))
    assert len(left) == len(right) == 2
    for one, other in zip(left, right, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    names = [
        sorted(p.name for p in (r.path / "checkpoints/snapshots").iterdir()) for r in (whole, cut)
    ]
    assert names[0] == names[1] == ["4.safetensors", "8.safetensors"]


# Refused


@pytest.mark.parametrize(
    ("kind", "draws", "match"),
    [
        ("members", None, "no members"),
        ("dropout", None, "no dropout"),
        ("snapshots", None, "no snapshots"),
        ("dropout", 1, "at least 2"),
        ("members", 5, "with uncertainty members"),
        ("magic", None, "magic"),
        (None, 5, "unknown source of uncertainty"),
    ],
)
def test_what_a_run_cannot_tell_is_refused(kind, draws, match):
    run = trained(model="linear", epochs=1)
    with pytest.raises(InputError, match=match):
        glial.predict(run, TABLE, uncertainty=kind, draws=draws)


def test_other_tasks_and_damaged_snapshots_are_refused(tmp_path):
    run = glial.train(TABLE, "y", task="embedding", model="mlp", epochs=1, out=False, set=FAST)
    with pytest.raises(InputError, match="not known for this run of the task embedding"):
        glial.predict(run, TABLE, uncertainty="members")
    run = trained(epochs=4, out=tmp_path / "r", train__snapshots=2)
    folder = run.path / "checkpoints" / "snapshots"
    (folder / "4.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        glial.predict(run, TABLE, uncertainty="snapshots")
    other = trained(model="linear", epochs=2, out=tmp_path / "o", train__snapshots=2)
    shutil.copy(other.path / "checkpoints/snapshots/2.safetensors", folder / "4.safetensors")
    with pytest.raises(InputError, match="does not fit its model"):
        glial.predict(run, TABLE, uncertainty="snapshots")


def test_the_verb_writes_the_columns(tmp_path, capsys):
    run = trained(model="tabular", epochs=1, out=tmp_path / "r")
    TABLE.write_csv(tmp_path / "t.csv")
    words = ["predict", str(run.path), str(tmp_path / "t.csv"), "--out", str(tmp_path / "p.csv")]
    assert main([*words, "--uncertainty", "members", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 300
    assert pl.read_csv(tmp_path / "p.csv").columns[-3:] == COLUMNS
    assert main([*words, "--uncertainty", "snapshots"]) == 2
    assert "no snapshots" in capsys.readouterr().err
