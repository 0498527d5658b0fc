"""The doctor in Glial's own loop."""

from __future__ import annotations

import itertools
import json
import logging
import math
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
import torch
from torch import nn

import glial
from glial.cli.main import main
from glial.core.errors import InputError
from glial.data import Batch
from glial.doctor.evidence import Evidence
from glial.doctor.evidence.table import evidence_table, load_evidence, save_evidence
from glial.doctor.replays import ReplayWatcher
from glial.doctor.settings import DoctorSettings
from glial.runs.watching import TrainingWatch
from glial.training import Descent, Moment, TrainSettings

WATCHED = True


class Noisy(nn.Module):
    """Everything that moves when a forward pass is made: buffers and random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


def own(network: Callable[[], nn.Module], **changes: Any) -> glial.Run:
    torch.manual_seed(0)
    values = {"train.lr": 0.01, "train.batch_size": 16, "doctor.budget": 1.0, **changes}
    return glial.train("iris", model=network(), epochs=8, out=False, set=values)


@pytest.mark.parametrize("step", ["eager", "captured"])
@pytest.mark.parametrize("model", ["tabular", "mlp", "noisy"])
def test_a_watched_training_is_the_same_bit_for_bit(step, model):
    def weights(watch: bool) -> dict[str, torch.Tensor]:
        changes = {"train.step": step, "doctor.watch": watch}
        if model == "noisy":
            return own(Noisy, **changes).model.state_dict()
        changes |= {"train.batch_size": 16, "train.lr": 0.01}
        return glial.train("iris", model=model, epochs=5, out=False, set=changes).model.state_dict()

    watched, alone = weights(True), weights(False)
    assert watched.keys() == alone.keys()
    assert all(torch.equal(value, alone[name]) for name, value in watched.items())


@pytest.mark.parametrize("step", ["eager", "captured"])
def test_numbers_are_those_of_the_steps_themselves(step):
    """Plain descent changes a weight by its rate times its gradient."""
    changes = {"train.optimizer": "sgd", "train.momentum": 0.0, "train.step": step}
    changes |= {"train.schedule": "constant", "train.weight_decay": 0.0, "train.lr": 0.25}
    run = own(Noisy, **changes)
    assert run.evidence is not None
    assert run.evidence.steps == run.history[-1]["step"]
    parameters = run.evidence.models[0].parameters
    assert [p.name for p in parameters] == [name for name, _ in run.model.named_parameters()]
    for parameter in parameters:
        # Looks before anything is learnt have no step.
        pairs = list(zip(parameter.gradient.values, parameter.update.values, strict=True))
        assert len(pairs) >= 6
        for gradient, update in pairs:
            # Before batch normalisation a bias has no gradient but rounding.
            assert update == pytest.approx(0.25 * gradient, rel=1e-3, abs=1e-6)


def test_a_healthy_training_has_nothing_to_say(caplog):
    run = glial.train("wine", out=False)
    assert [f for f in run.findings if f.severity != "note"] == []
    assert "warning:" not in caplog.text


class Certain(nn.Module):
    """Gives probabilities where the loss takes scores."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).softmax(-1)


class Half(nn.Module):
    """Its first layer is cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 16), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x).relu().detach())


@pytest.mark.parametrize(
    ("network", "changes", "problem"),
    [
        (Certain, {}, "softmax-twice"),
        (Half, {}, "untrained-parameters"),
        (Noisy, {"train.lr": 1e4, "train.optimizer": "sgd"}, "learning-rate-too-high"),
        (Noisy, {"train.lr": 1e-6, "train.optimizer": "sgd"}, "learning-rate-too-low"),
        (Noisy, {"train.lr": 1e-9}, "learning-rate-too-low"),
    ],
)
def test_faults_are_found(network, changes, problem):
    run = own(network, **changes)
    assert problem in [finding.problem for finding in run.findings]
    assert not glial.core.findings.is_healthy(run.findings)


def test_what_is_wrong_before_the_first_step_is_said_before_it(caplog):
    class Stop:
        def on_fit_start(self, view):
            seen.append(caplog.text)

        def on_epoch_end(self, view):
            return True

    seen: list[str] = []
    with caplog.at_level(logging.WARNING, logger="glial"):
        glial.train("iris", model=Half(), out=False, callbacks=[Stop()])
    assert "untrained-parameters" in seen[0]


def test_settings_silence(caplog):
    ignoring = own(Certain, **{"doctor.ignore": ["softmax-twice"]})
    assert "softmax-twice" not in [finding.problem for finding in ignoring.findings]
    blind = own(Certain, **{"doctor.watch": False})
    assert (blind.findings, blind.evidence) == ([], None)
    with pytest.raises(InputError, match="dead-units"):
        own(Certain, **{"doctor.ignore": ["dead-unit"]})


def test_the_folder_keeps_the_evidence(tmp_path, capsys):
    torch.manual_seed(0)
    folder = tmp_path / "run"
    run = glial.train("iris", model=Certain(), epochs=5, out=folder)
    assert run.evidence is not None
    kept = load_evidence(folder / "evidence.parquet")
    assert repr(kept) == repr(run.evidence)  # NaN is not equal to itself
    table = pl.read_parquet(folder / "evidence.parquet")
    assert table.columns == ["part", "name", "quantity", "step", "value", "path"]
    rates = table.filter(part="optimizers", quantity="lr")
    assert rates["value"].to_list() == run.evidence.optimizers[0].lr.values
    written = json.loads((folder / "findings.json").read_text())
    assert [each["problem"] for each in written] == [f.problem for f in run.findings]
    assert glial.load(folder, model=Certain()).findings == run.findings
    assert glial.diagnose(folder) == glial.diagnose(run) == run.findings
    problem = run.findings[0].problem
    assert problem not in [f.problem for f in glial.diagnose(run, ignore=[problem])]
    assert main(["doctor", str(folder), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["findings"] == written
    assert told["watched"]["steps"] == run.evidence.steps


def test_evidence_of_several_networks(tmp_path):
    torch.manual_seed(0)
    values = {"data.split.folds": 2}
    run = glial.train("iris", model=Certain(), epochs=5, out=tmp_path / "run", set=values)
    problems = [finding.problem for finding in run.findings]
    assert problems.count("softmax-twice") == 1
    assert glial.diagnose(tmp_path / "run") == run.findings == glial.diagnose(run)


@pytest.mark.parametrize("content", [b"", b"PAR1", "none", "other"])
def test_damaged_evidence_is_an_error_of_the_input(tmp_path, capsys, content):
    folder = tmp_path / "run"
    glial.train("iris", model="linear", epochs=1, out=folder)
    if content == "none":
        pl.DataFrame({"a": [1]}).write_parquet(folder / "evidence.parquet")
    elif content == "other":
        metadata = {"glial.evidence": '{"steps": "many"}'}
        pl.DataFrame(
            {"path": ["no/such"], "step": [1], "value": [0.0]},
        ).write_parquet(folder / "evidence.parquet", metadata=metadata)
    else:
        (folder / "evidence.parquet").write_bytes(content)
    assert main(["doctor", str(folder)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_table_and_back(tmp_path):
    evidence = Evidence(steps=2)
    evidence.memory.add(1, math.nan)
    evidence.memory.add(2, 3.0)
    save_evidence(evidence, tmp_path / "evidence.parquet")
    assert repr(load_evidence(tmp_path / "evidence.parquet")) == repr(evidence)
    assert evidence_table(evidence)["value"].to_list()[1:] == [3.0]


def test_an_objective_without_gradients_is_left_alone():
    run = glial.train("breast-cancer", model="perceptron", epochs=2, out=False)
    assert (run.findings, run.evidence) == ([], None)


def test_a_pass_that_fails_beside_the_training_does_not_end_it():
    class Once(Descent):
        def make_passes(self, batch, moment):
            raise RuntimeError("not again")

    model, rows = nn.Linear(1, 1), Batch((torch.ones(4, 1),), torch.zeros(4, 1))
    objective = Once(model, lambda o, t, w: (o - t).square().mean(), TrainSettings(), lr=0.1)
    watch = TrainingWatch(model, objective, DoctorSettings())
    watch.preflight(rows)
    assert not watch.is_due(0) or watch.before_step(rows, Moment(0, 0, 0.0)) is None
    assert watch.findings(steps=0) == []
    assert watch.evidence is not None
    assert "not again" in watch.evidence.not_checked[0].why


def test_looks_grow_rare():
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))])
    watcher = ReplayWatcher(share=1.0)
    looked = []
    for step in range(1000):
        if watcher.is_due(step):
            looked.append(step)
            watcher.look(step, lambda: None, optimizer)
            watcher.stepped()
    assert looked[:6] == [0, 1, 2, 3, 4, 5]
    assert all(b - a <= max(1, a // 12 + 1) for a, b in itertools.pairwise(looked))
    assert len(looked) < 100


def test_some_looks_are_spread_over_the_whole():
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))])
    watcher = ReplayWatcher(share=0.0, floor=math.inf, steps=1000, ramp=math.inf)
    looked = []
    for step in range(1000):
        if watcher.is_due(step):
            looked.append(step)
            watcher.look(step, lambda: None, optimizer)
            watcher.stepped()
    assert looked[:6] == [0, 1, 2, 3, 4, 5]
    assert [b - a for a, b in itertools.pairwise(looked[5:])] == [100] * 9


class Clock:
    """A clock that goes where it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("glial.doctor.replays.time.perf_counter", lambda: self.now)

    def count_looks(self, watcher: ReplayWatcher, steps: int, seconds: float) -> int:
        """How many of the steps are looked at, ten seconds after the start, at a price."""
        self.now, looked = 10.0, 0
        optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))])

        def passes():
            self.now += seconds

        for step in range(steps):
            if watcher.is_due(step):
                watcher.look(step, passes, optimizer)
                watcher.stepped()
                looked += 1
        return looked


def test_looks_end_where_time_does(monkeypatch):
    clock = Clock(monkeypatch)
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))])
    watcher = ReplayWatcher(share=0.0, floor=0.05, steps=100)
    looked = []

    def passes():
        clock.now += 0.03

    for step in range(100):
        if watcher.is_due(step):
            looked.append(step)
            watcher.look(step, passes, optimizer)
            watcher.stepped()
    assert looked == [0, 1]


@pytest.mark.parametrize(("each", "looks"), [(0.0, 8), (0.4, 5), (1.0, 3)])
def test_a_short_training_is_looked_at_a_few_times_and_no_more_than_its_length_allows(
    each, looks, monkeypatch
):
    """Ten seconds after the start, where half of a second may be spent, and two later."""
    clock = Clock(monkeypatch)
    watcher = ReplayWatcher(share=0.0, floor=2.0, steps=8, ramp=0.05)
    assert clock.count_looks(watcher, 8, each) == looks


def test_looks_have_time_of_their_own_whatever_was_tested_before(monkeypatch):
    clock = Clock(monkeypatch)
    before = Evidence(watching=3.0)
    watcher = ReplayWatcher(share=0.0, floor=2.0, steps=8, preflight=before)
    assert clock.count_looks(watcher, 8, 0.25) == 5  # a second, and the one that reaches it
    assert watcher.evidence().watching == pytest.approx(3.0 + 5 * 0.25)


def test_a_loss_that_ends_training_between_two_looks_is_named():
    values = {"train.lr": 50.0, "train.optimizer": "sgd"}
    run = glial.train("wine", out=False, set=values)
    assert run.ended_by == "not_finite"
    told = [name for found in run.findings for name in (found.problem, *found.symptoms)]
    assert "loss-not-finite" in told
    assert "schedule-collapse" not in told
