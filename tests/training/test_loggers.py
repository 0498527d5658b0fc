"""Loggers in anyone's own loop, and beside a training: what is written is read back."""

from __future__ import annotations

import logging
import math
import struct
import sys
import threading
import zlib

import numpy as np
import pytest

from glial.core.errors import InputError
from glial.training import TrainSettings
from glial.training.loggers import (
    LOGGERS,
    Background,
    MetricLogger,
    Reporter,
    TensorBoardLogger,
    check_loggers,
    metric_names,
    open_loggers,
)
from glial.training.loggers.metric_logger import flat_params
from glial.training.loggers.mlflow import _runs_folder, local_store
from glial.training.loggers.wandb_files import _contents, run_id


class Kept:
    """A logger that keeps what it is told, and may have been told before."""

    def __init__(self, known=None, fails_at=None):
        self.known, self.fails_at = known or {}, fails_at
        self.rows, self.params, self.texts, self.final, self.status = [], {}, {}, {}, None

    def log(self, values, step=None):
        if step is not None and step == self.fails_at:
            raise OSError(28, "No space left on device")
        self.rows.append((step, dict(values)))

    def log_params(self, params):
        self.params = dict(params)

    def log_text(self, name, text):
        self.texts[name] = text

    def summarize(self, metrics):
        self.final = dict(metrics)

    def last_step(self, name):
        return self.known.get(name, -1)

    def finish(self, status="finished"):
        self.status = status


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder / "tensorboard"))
    accumulator.Reload()
    tags = accumulator.Tags()
    scalars = {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)]
        for tag in tags["scalars"]
    }
    return scalars, accumulator


@pytest.mark.slow
def test_tensorboard_reads_back_every_number_in_single_precision(tmp_path):
    values = [0.1, 1 / 3, -1e-30, 123456789.123, math.inf]
    logger = TensorBoardLogger(tmp_path)
    logger.log_params({"train": {"lr": 0.1, "deterministic": True}, "name": "mlp", "none": None})
    for step, value in enumerate(values):
        logger.log({"train/loss": value, "val/accuracy": value / 2}, step=7 * step)
    logger.log({"train/loss": math.nan})
    logger.log_text("findings", "*dead* units")
    logger.summarize({"final/test/accuracy": 0.75})
    logger.finish("interrupted")

    from tensorboard.plugins.hparams import metadata

    scalars, told = read(tmp_path)
    assert scalars["train/loss"][:-1] == [(7 * k, np.float32(v)) for k, v in enumerate(values)]
    assert scalars["train/loss"][-1][0] == 29
    assert math.isnan(scalars["train/loss"][-1][1])
    assert scalars["val/accuracy"][1] == (7, np.float32(1 / 6))
    assert scalars["final/test/accuracy"] == [(29, 0.75)]
    assert told.Tensors("findings")[0].tensor_proto.string_val == [b"*dead* units"]
    content = told.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = metadata.parse_session_start_info_plugin_data(content).hparams
    assert hparams["train.lr"].number_value == 0.1
    assert hparams["train.deterministic"].bool_value is True
    assert hparams["name"].string_value == "mlp"
    content = told.SummaryMetadata("_hparams_/session_end_info").plugin_data.content
    assert metadata.parse_session_end_info_plugin_data(content).status == 0  # unknown


@pytest.mark.slow
def test_event_files_that_a_kill_cut_short_are_gone_on_with(tmp_path):
    first = TensorBoardLogger(tmp_path)
    for step in range(3):
        first.log({"a": step, "b": step}, step=step)
    first.finish()
    (path,) = (tmp_path / "tensorboard").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"\x0a\x01b") - 30])  # within the last row
    again = TensorBoardLogger(tmp_path)
    assert again.last_step("a") == 1
    assert again.last_step("c") == -1
    again.log({"a": 5.0})  # the step after the last that is known
    again.finish()
    assert read(tmp_path)[0]["a"] == [(0, 0.0), (1, 1.0), (2, 5.0)]


def test_what_a_logger_has_already_is_not_told_again():
    kept = Kept({"train/loss": 4, "val/loss": 2})
    beside = Background("kept", lambda: kept)
    for step in (2, 4, 6):
        beside.log({"train/loss": step, "val/loss": -step}, step=step)
    beside.log({"train/loss": 8.0})
    beside.finish("interrupted")
    assert kept.rows == [
        (4, {"val/loss": -4}),
        (6, {"train/loss": 6, "val/loss": -6}),
        (None, {"train/loss": 8.0}),
    ]
    assert kept.status == "interrupted"


def test_a_logger_that_fails_is_told_of_once_and_stops_nothing(caplog):
    kept = Kept(fails_at=2)
    beside = Background("kept", lambda: kept)
    with caplog.at_level(logging.WARNING):
        for step in range(5):
            beside.log({"a": 1.0}, step=step)
        beside.finish()
    assert [row[0] for row in kept.rows] == [0, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "kept is told no more of this training: OSError: [Errno 28] No space left on device"
    ]


def test_a_logger_that_hangs_is_not_waited_for(caplog):
    released = threading.Event()

    def hang():
        released.wait(10)
        raise OSError("away")

    beside = Background("server", hang, patience=0.05)
    with caplog.at_level(logging.WARNING):
        beside.log({"a": 1.0}, step=0)
        beside.finish()
        released.set()
        beside._thread.join()
    (told,) = caplog.records
    assert told.getMessage().startswith("server is told no more of this training: nothing was writ")


def test_a_reporter_tells_all_loggers_once():
    loggers = [Kept(), Kept()]
    reporter = Reporter(loggers, {"lr": 0.1})
    reporter.catch_up([{"epoch": 1, "step": 4, "train_loss": 0.5, "lr": 0.1}])
    reporter.log_losses([(1, 0.9), (3, 0.7)])
    reporter.log_losses([(3, 0.7), (4, 0.6)])
    reporter.finish("finished", {"test": {"accuracy": 0.75}, "val": {}})
    reporter.finish("failed")
    for kept in loggers:
        assert isinstance(kept, MetricLogger)
        assert kept.params == {"lr": 0.1}
        assert kept.rows == [
            (4, {"epoch": 1, "train/loss": 0.5, "lr": 0.1}),
            (1, {"train/step_loss": 0.9}),
            (3, {"train/step_loss": 0.7}),
            (4, {"train/step_loss": 0.6}),
        ]
        assert kept.final == {"final/test/accuracy": 0.75}
        assert kept.status == "finished"


def test_names_are_sorted_by_split():
    row = {"train_loss": 1, "val_mean_absolute_error": 2, "values": 3, "train": 4, "skipped": 5}
    assert list(metric_names(row)) == [
        *("train/loss", "val/mean_absolute_error", "values", "train", "skipped"),
    ]


def test_parameters_are_flat():
    assert flat_params(TrainSettings().model_dump())["betas"] == [0.9, 0.999]


@pytest.mark.parametrize("name", sorted(LOGGERS))
def test_a_missing_package_is_named_with_its_extra(name, monkeypatch):
    package = {"mlflow": "mlflow", "wandb": "wandb", "tensorboard": "tensorboard"}[name]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError) as caught:
        check_loggers([name])
    assert caught.value.do == f"pip install 'glial[{name}]'"


def test_an_unknown_logger_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(InputError, match="tensorbord"):
        open_loggers(["tensorbord"], tmp_path)
    with pytest.raises(InputError) as caught:
        TrainSettings.read({"report_to": ["tensorbord"]}, where="train")
    assert "tensorboard" in str(caught.value.do)
    assert TrainSettings.read({"report_to": "wandb"}).report_to == ["wandb"]
    assert TrainSettings.read({"report_to": ["wandb", "wandb"]}).report_to == ["wandb"]
    with pytest.raises(InputError):
        TrainSettings.read({"report_to": 3})


def test_mlflow_writes_beside_the_runs(tmp_path, monkeypatch):
    run = tmp_path / "iris-1"
    assert _runs_folder(run) == _runs_folder(run / "members" / "2") == tmp_path
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert local_store(tmp_path) == str(tmp_path / "mlruns")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert local_store(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    (tmp_path / "mlruns").mkdir()
    assert local_store(tmp_path) == str(tmp_path / "mlruns")


def log_of(*records, block=32_768):
    """LevelDB's log format, written by the description: pieces that never cross a block."""
    data = b":W&B" + b"\x00" * 3
    for record in records:
        rest, first = record, True
        while rest or first:
            left = block - len(data) % block
            if left < 7:
                data += b"\x00" * left
                left = block
            piece, rest = rest[: left - 7], rest[left - 7 :]
            kind = (1 if first else 4) if not rest else 2 if first else 3
            checksum = zlib.crc32(bytes([kind]) + piece)
            data += struct.pack("<IHB", checksum, len(piece), kind) + piece
            first = False
    return data


def test_files_of_weights_and_biases_are_read_over_blocks_and_to_where_they_are_cut():
    records = [b"a", b"b" * 70_000, b"c" * 27_735, b"d"]
    data = log_of(*records)
    assert list(_contents(data)) == records
    assert list(_contents(data[:-1])) == records[:-1]
    broken = bytearray(data)
    broken[40_000] ^= 1
    assert list(_contents(bytes(broken))) == records[:1]
    assert list(_contents(b"")) == []


def test_the_last_run_of_weights_and_biases_is_gone_on_with(tmp_path):
    assert run_id(tmp_path) is None
    for name in ("run-20260102_030405-old", "offline-run-20260102_030406-new-er", "latest-run"):
        (tmp_path / name).mkdir()
    assert run_id(tmp_path) == "new-er"
