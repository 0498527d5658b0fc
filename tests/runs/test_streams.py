"""Training on streamed tables: as good as in memory, the same in every format, resumed exactly."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import torch

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted, streams
from glial.runs.plan import Plan
from glial.runs.preparation import prepare
from glial.runs.streams import is_streamed

STREAM = {
    "doctor.watch": False,
    "data.stream": "always",
    "data.buffer_rows": 400,
    "train.lr": 0.01,
}


def table(rows=3000, seed=0):
    """Two classes that a line parts but for some noise; text cells, gaps and quoted newlines."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 3)).round(4)
    kind = draw.choice(["plain", 'with "quotes"', "with\nnewline"], rows)
    score = 2 * x[:, 0] - x[:, 1] + (kind == "plain") + draw.normal(size=rows)
    return pl.DataFrame(
        {
            "a": x[:, 0],
            "b": x[:, 1],
            "c": [None if i % 13 == 0 else value for i, value in enumerate(x[:, 2])],
            "kind": kind,
            "y": np.where(score > 0, "yes", "no"),
        }
    )


def written(folder, frame, ending):
    path = folder / f"t{ending}"
    if ending == ".parquet":
        frame.write_parquet(path, row_group_size=100)
    elif ending == ".arrow":
        frame.write_ipc(path, record_batch_size=100)
    elif ending == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path)
    return path


def trained(source, out=False, epochs=3, **changes):
    return glial.train(
        str(source) if not isinstance(source, pl.DataFrame) else source,
        "y",
        model="mlp",
        epochs=epochs,
        out=out,
        set={**STREAM, "model.hidden_sizes": [16], "train.batch_size": 32, **changes},
    )


def weights(run):
    return torch.cat([value.flatten().double() for value in run.model.state_dict().values()])


def test_every_format_gives_the_same_network(tmp_path):
    frame = table(1200)
    runs = [
        trained(written(tmp_path, frame, ending))
        for ending in (".parquet", ".arrow", ".jsonl", ".csv")
    ]
    for run in runs[1:]:
        assert torch.equal(weights(run), weights(runs[0]))
        assert run.metrics == runs[0].metrics
    assert torch.equal(weights(trained(frame)), weights(runs[0]))  # slices of a table in memory


def test_results_do_not_depend_on_workers(tmp_path):
    path = written(tmp_path, table(1200), ".parquet")
    runs = [trained(path, **{"data.workers": workers}) for workers in (0, 1, 5)]
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert torch.equal(weights(runs[0]), weights(runs[2]))


def test_a_streamed_table_is_learnt_as_well_as_one_in_memory(tmp_path):
    path = written(tmp_path, table(20_000), ".parquet")
    streamed = trained(path, epochs=4, **{"data.buffer_rows": 2000})
    held = trained(path, epochs=4, **{"data.stream": "never", "data.buffer_rows": "auto"})
    ours, theirs = (run.metrics["test"]["log_loss"] for run in (streamed, held))
    # The test rows differ: the standard error of a mean of 3,000 losses is about 0.01.
    assert abs(ours - theirs) < 0.04
    assert streamed.metrics["test"]["accuracy"] > 0.8
    assert streamed.metrics["baseline"]["accuracy"] < 0.6


def test_rows_sorted_by_class_are_mixed(tmp_path):
    frame = table(6000).sort("y")
    run = trained(written(tmp_path, frame, ".parquet"), epochs=4)
    assert run.metrics["test"]["accuracy"] > 0.8


def test_val_and_test_rows_have_no_part_in_what_is_fitted(tmp_path):
    frame = table(2000)
    values = {"target": "y", "stream": "always", "buffer_rows": 400}
    plan = Plan.from_values({"data": values})
    first = prepare(plan, frame)
    part = first.tables.rows["train"]._division.of(frame, 0)
    changed = frame.with_columns(a=frame["a"] * pl.Series(np.where(part == 0, 1.0, 1000.0)))
    second = prepare(plan, changed)
    for name in ("a", "b", "c"):
        ours, theirs = (p.encoding.encoders[name].scaling for p in (first, second))
        assert (ours.shift, ours.factor) == (theirs.shift, theirs.factor)


def test_sizes_are_those_of_all_rows_and_the_plan_says_what_was_chosen(tmp_path):
    frame = table(3000)
    run = trained(written(tmp_path, frame, ".parquet"), out=tmp_path / "run", epochs=1)
    assert run.plan.data.stream == "always"
    prepared = prepare(Plan.from_file(tmp_path / "run" / "plan.yaml"))
    sizes = [prepared.tables.num_rows(name) for name in ("train", "val", "test")]
    assert sum(sizes) == 3000
    assert sizes[0] == pytest.approx(2100, abs=100)
    assert glial.evaluate(tmp_path / "run", frame)["metrics"]["accuracy"] > 0.6


def test_files_of_their_own_for_validation_and_test(tmp_path):
    path = written(tmp_path, table(1000), ".parquet")
    for name, seed in (("val", 1), ("test", 2)):
        table(300, seed).write_csv(tmp_path / f"{name}.csv")
    changes = {"data.val": str(tmp_path / "val.csv"), "data.test": str(tmp_path / "test.csv")}
    run = trained(path, epochs=1, **changes)
    frame = table(300, 2)
    again = glial.evaluate(run, frame)["metrics"]
    assert again["log_loss"] == pytest.approx(run.metrics["test"]["log_loss"], rel=1e-5)


def test_final_scores_are_of_all_rows_of_a_split(tmp_path):
    frame = table(1500)
    run = trained(written(tmp_path, frame, ".parquet"), epochs=1)
    prepared = prepare(run.plan)
    rows = pl.concat(list(prepared.tables.stretches("test")))
    assert rows.height == prepared.tables.num_rows("test")
    expected = glial.evaluate(run, rows)
    assert expected["metrics"]["log_loss"] == pytest.approx(run.metrics["test"]["log_loss"])
    assert expected["baseline"] == pytest.approx(run.metrics["baseline"])


def test_very_many_rows_are_judged_by_a_share_of_each_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "JUDGED_ROWS", 100)
    plan = {"source": str(written(tmp_path, table(3000), ".parquet")), "target": "y"}
    plan |= {"stream": "always", "buffer_rows": 400}
    tables = prepare(Plan.from_values({"data": plan})).tables
    rows = pl.concat(list(tables.stretches("test")))
    assert 80 <= rows.height <= 120
    assert rows.height < tables.num_rows("test")


def test_a_rare_class_outside_of_the_sample_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "FITTED_ROWS", 50)
    frame = table(4000)
    frame = frame.with_columns(
        y=pl.when(pl.int_range(pl.len()) % 400 == 7).then(pl.lit("rare")).otherwise(pl.col("y"))
    )
    plan = {"source": str(written(tmp_path, frame, ".parquet")), "target": "y", "stream": "always"}
    prepared = prepare(Plan.from_values({"data": plan}))
    assert prepared.task.state()["classes"] == ["no", "rare", "yes"]
    counts = {"no": 0, "rare": 0, "yes": 0}
    rows = prepared.tables.rows["train"]
    for number in range(len(rows.counts)):
        for label in rows.read(number)["y"]:
            counts[label] += 1
    shares = [count / sum(counts.values()) for count in counts.values()]
    assert prepared.task.state()["shares"] == pytest.approx(shares)


@pytest.mark.parametrize("step", [1, 17, 40, 70])
def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path, monkeypatch, step, stop_at):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    path = written(tmp_path, table(1200), ".parquet")
    options = {
        "model": "mlp",
        "epochs": 3,
        "set": {**STREAM, "train.batch_size": 32, "model.dropout": 0.2, "data.workers": 3},
    }
    calm = glial.train(str(path), "y", out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train(str(path), "y", out=tmp_path / "cut", callbacks=[stop_at(step)], **options)
    run = glial.train(str(path), "y", out=tmp_path / "cut", resume=True, **options)
    assert torch.equal(weights(run), weights(calm))
    assert run.metrics == calm.metrics


def test_going_on_with_other_rows_is_refused(tmp_path, monkeypatch, stop_at):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    path = written(tmp_path, table(600), ".parquet")
    options = {"model": "linear", "epochs": 3, "set": {**STREAM, "train.batch_size": 32}}
    with pytest.raises(TrainingInterrupted):
        glial.train(str(path), "y", out=tmp_path / "cut", callbacks=[stop_at(5)], **options)
    written(tmp_path, table(600, seed=5), ".parquet")
    with pytest.raises(InputError, match="data has changed"):
        glial.train(str(path), "y", out=tmp_path / "cut", resume=True, **options)


REFUSED = {
    "data.split.folds": 3,
    "data.imputations": 3,
    "data.duplicates": "drop",
    "data.sampling": "over",
    "data.stratified_batches": True,
    "data.categories": "target",
    "train.batch_size": "full",
    "data.split.method": "stratified",
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_needs_all_rows_at_once_is_refused(tmp_path, key):
    path = written(tmp_path, table(200), ".parquet")
    with pytest.raises(InputError, match="streamed"):
        trained(path, **{key: REFUSED[key]})


@pytest.mark.parametrize("missing", ["median", "iterative", "knn", "factorization", "mask"])
def test_imputers_are_fitted_on_the_sample(tmp_path, missing):
    run = trained(written(tmp_path, table(600), ".parquet"), epochs=1, **{"data.missing": missing})
    assert run.encoding.encoders["c"].filling in (missing, "value")
    assert np.isfinite(run.metrics["test"]["log_loss"])


def test_auto_streams_what_may_not_fit(tmp_path, monkeypatch, caplog):
    path = written(tmp_path, table(500), ".parquet")
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(b"\x1f\x8b" + bytes(10_000))
    plan = Plan.from_values({"data": {"source": str(path), "target": "y"}})
    assert not is_streamed(plan, None)
    monkeypatch.setattr(streams, "available_memory", lambda: 10_000)
    caplog.set_level("INFO", "glial")
    assert is_streamed(plan, None)
    assert "it is streamed" in caplog.text
    assert not is_streamed(plan, table(10))
    assert not is_streamed(Plan.from_values({"data": {"source": "iris"}}), None)
    assert not is_streamed(Plan.from_values({"data": {"source": str(packed)}}), None)
    assert "cannot be streamed" in caplog.text
    never = Plan.from_values({"data": {"source": str(path), "stream": "never"}})
    assert not is_streamed(never, None)


BAD = ["truncated", "columns", "empty", "no rows", "no target", "ragged"]


@pytest.mark.parametrize("what", BAD)
def test_bad_files_end_with_one_clear_error(tmp_path, capsys, what):
    path = written(tmp_path, table(500), ".parquet")
    source = str(path)
    if what == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif what == "columns":
        table(50).rename({"a": "z"}).write_parquet(tmp_path / "u.parquet")
        source = str(tmp_path / "*.parquet")
    elif what == "empty":
        path.write_bytes(b"")
    elif what == "no rows":
        table(500).clear().write_parquet(path)
    elif what == "no target":
        table(500).drop("y").write_parquet(path)
    else:
        source = str(written(tmp_path, table(500), ".csv"))
        with pathlib.Path(source).open("a") as file:
            file.write("1,2\n")
    out = tmp_path / "run"
    words = ["train", source, "--target", "y", "--json", f"--out={out}"]
    assert main([*words, "--set=data.stream=always", "--set=data.buffer_rows=100"]) == 2
    said, told = capsys.readouterr()
    assert set(json.loads(said)["error"]) == {"message", "expected", "got", "do"}
    assert "Traceback" not in told
    assert not out.exists()


def test_a_chunk_that_breaks_in_mid_training_is_an_error_of_its_file(tmp_path):
    path = written(tmp_path, table(2000), ".parquet")

    class Breaker:
        def on_epoch_end(self, view):
            path.write_bytes(path.read_bytes()[:3000])

    with pytest.raises(InputError, match=r"t\.parquet"):
        glial.train(
            str(path), "y", model="linear", epochs=3, out=False, callbacks=[Breaker()], set=STREAM
        )


MEASURED = """
import resource, sys
import glial.runs.training
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
glial.train(sys.argv[1], "y", model="linear", epochs=1, out=False, set={
    "data.stream": "always", "train.lr": 0.01, "train.batch_size": 4096, "data.workers": 2,
    "data.buffer_rows": 40000})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "t.parquet"
    draw = np.random.default_rng(0)
    x = draw.normal(size=(900_000, 30)).astype(np.float32)
    frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(30)}).with_columns(y=x[:, 0] + x[:, 1])
    frame.write_parquet(path, row_group_size=20_000, compression="uncompressed")
    assert path.stat().st_size > 100e6
    small = tmp_path / "s.parquet"
    frame.head(90_000).write_parquet(small, row_group_size=20_000)
    del frame, x
    taken = []
    for source in (small, path):
        said = subprocess.run(
            [sys.executable, "-c", MEASURED, str(source)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        taken.append(int(said.stdout.split()[-1]) / 1024)
    # Ten times the rows take 100 MB more as a table alone, and as much again as tensors.
    assert taken[1] < taken[0] + 60
    assert taken[1] < 450
