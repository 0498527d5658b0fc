"""Other people's tools on the doctor's bench: what they are told, and how their words count."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.doctor.problems import PROBLEMS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules about other people's tools."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("cases", "measures", "peers.listening", "peers.logs", "peers.report", "peers.table")
    found = {name: importlib.import_module(f"doctor.{name}") for name in names}
    yield SimpleNamespace(**{name.split(".")[-1]: module for name, module in found.items()})
    for name in [n for n in sys.modules if n == "doctor" or n.startswith("doctor.")]:
        del sys.modules[name]


class Diary:
    """A watcher that writes down when it was told what."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def begin(self, training: Any) -> None:
        self.told.append(("begin", training.steps))

    def before(self, training: Any) -> None:
        self.told.append(("before", (float(training.loss), training.held_out)))

    def after(self, training: Any) -> None:
        self.told.append(("after", training.steps))

    def end(self, trainings: Any) -> None:
        self.told.append(("end", len(trainings)))


class Clumsy(Diary):
    """One that draws random numbers and then fails."""

    def begin(self, training: Any) -> None:
        torch.rand(3)
        np.random.rand(3)  # noqa: NPY002
        msg = "no"
        raise ValueError(msg)


def trained(steps: int = 3) -> tuple[nn.Module, list[float], list[float]]:
    """A small training with an evaluation after each step: the net, its losses, the held-out."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x, y = torch.randn(8, 3), torch.randn(8)
    losses, held_out = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = functional.mse_loss(net(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        with torch.no_grad():
            held_out.append(functional.mse_loss(net(x).squeeze(1), y).item())
    return net, losses, held_out


def test_a_watcher_is_told_of_every_step_with_its_loss(peers: Any) -> None:
    diary = Diary()
    with peers.listening.Listener({"diary": diary}).listening():
        _, losses, held_out = trained()
    losses_told = [what for moment, what in diary.told if moment == "before"]
    assert losses_told == list(zip(losses, [None, *held_out[:2]], strict=True))
    assert [moment for moment, _ in diary.told] == (["begin", *(["before", "after"] * 3), "end"])
    assert [what for moment, what in diary.told if moment == "after"] == [1, 2, 3]


def test_listening_changes_nothing_and_a_tool_that_fails_ends_alone(peers: Any) -> None:
    alone, _, _ = trained()
    taken = functional.mse_loss, torch.Tensor.backward
    listener = peers.listening.Listener({"clumsy": Clumsy(), "diary": Diary()})
    with listener.listening():
        watched, _, _ = trained()
    for one, other in zip(alone.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other)
    assert listener.failed == {"clumsy": "begin: ValueError: no"}
    assert len(listener.watchers["diary"].told) == 8
    assert (functional.mse_loss, torch.Tensor.backward) == taken


def test_gradients_taken_in_a_closure_are_heard_after_the_first_update(peers: Any) -> None:
    diary = Diary()
    net, x = nn.Linear(2, 1), torch.ones(4, 2)
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (net(x) - 1).square().mean()
        loss.backward()
        return loss

    with peers.listening.Listener({"diary": diary}).listening():
        optimizer.step(closure)
        optimizer.step(closure)
    assert [moment for moment, _ in diary.told] == ["begin", "before", "before", "after", "end"]


def test_each_of_two_optimizers_has_the_network_that_it_trains(peers: Any) -> None:
    one, two = nn.Linear(2, 3), nn.Linear(3, 1)
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (one, two)]
    listener = peers.listening.Listener({})
    with listener.listening():
        two(one(torch.ones(4, 2))).sum().backward()
        for optimizer in optimizers:
            optimizer.step()
    assert [t.model for t in listener.trainings.values()] == [one, two]


def test_the_copy_is_of_the_network_before_its_first_update(peers: Any) -> None:
    listener = peers.listening.Listener({})
    with listener.listening():
        net, _, _ = trained(1)
    training = next(iter(listener.trainings.values()))
    model, optimizer = training.copies
    assert optimizer.param_groups[0]["params"][0] is model[0].weight
    torch.manual_seed(0)
    assert torch.equal(model[0].weight, nn.Linear(3, 4).weight)
    assert not torch.equal(model[0].weight, net[0].weight)


def test_the_loss_of_a_batch_takes_the_network_s_own_output(peers: Any) -> None:
    listener = peers.listening.Listener({})
    with listener.listening():
        trained(1)
    training = next(iter(listener.trainings.values()))
    loss = training.last_loss.of(training.batch.output)
    target = training.last_loss.target
    assert loss(target[:, None] + 2, target).item() == pytest.approx(4)
    assert training.last_loss.of(torch.zeros(8, 1)) is None


def test_a_log_has_empty_cells_where_nothing_was_measured(peers: Any, tmp_path: Path) -> None:
    rows = [{"step": 0, "train_loss": 2.0, "lr": 0.1}, {"step": 1, "train_loss": 1.0, "more": 3}]
    peers.logs.written(rows, tmp_path / "log.csv")
    read = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["train_loss"] for row in read] == ["2.0", "1.0"]
    assert read[1]["lr"] == read[0]["val_loss"] == ""
    assert "more" not in read[0]


def test_rules_stand_for_known_problems_and_one_that_is_unknown_for_none(peers: Any) -> None:
    table = peers.table
    named = {i for peer in table.PEERS.values() for ids in peer.rules.values() for i in ids}
    assert named <= set(PROBLEMS)
    assert table.meant("torch-audit", "TA301") == ("unscaled-input",)
    assert "shape-broadcast" in table.meant("warnings", "Using a target size (torch.Size([8])")
    assert table.meant("torch-audit", "TA999") == ()


def test_findings_come_worst_first_and_advice_on_speed_is_no_alarm(peers: Any) -> None:
    said = [
        {"rule": "TA200", "severity": "warning", "where": None},
        {"rule": "TA402", "severity": "warning", "where": None},
        {"rule": "TA100", "severity": "error", "where": "0"},
    ]
    found = peers.report.findings("torch-audit", said)
    assert [f["severity"] for f in found] == ["error", "warning", "note"]
    assert found[0]["problem"] == "loss-not-finite"
    assert found[2]["problem"] == "torch-audit: TA200"
    case = peers.cases.Case("p", "o", "", accepted=("missing-values",))
    result = peers.measures.Result({"findings": found}, case, True)
    assert peers.measures.detected(result)
    assert peers.report.first_named(result)
    quiet = peers.measures.Result({"findings": found[2:]}, case, True)
    assert not peers.measures.alarmed(quiet)


def test_what_a_tool_mends_is_counted_against_the_healthy_score(peers: Any) -> None:
    case = peers.cases.Case
    cases = [case("p", None, "good"), case("p", "bad", "bad", ("wrong-loss",))]
    scores = {"p": {0: 0.9, 1: 0.92}, "p:bad": {0: 0.4, 1: 0.5}}
    known = SimpleNamespace(of=lambda one: scores[one.name])

    def record(which: int, seed: int, group: str, score: float | None) -> dict[str, Any]:
        one = cases[which]
        return {
            "name": one.name,
            "version": one.version,
            "seed": seed,
            "group": group,
            "score": score,
        }

    records = [record(1, seed, "linted", None) for seed in (0, 1, 2)]
    records += [record(1, 0, "mended", 0.86), record(1, 1, "mended", None)]
    records += [record(0, 0, "linted", None), record(0, 0, "mended", 0.5)]
    counts = peers.report.regained(records, "mended", "linted", cases, known)
    assert counts["faulty given"] == 3
    assert counts["faulty changed"] == 2
    assert counts["faulty better"] == counts["faulty with nine tenths regained"] == 1
    assert counts["faulty with no score any more"] == 1
    assert counts["healthy worse"] == counts["healthy given"] == 1


def test_a_tool_that_heard_no_training_gave_no_answer(peers: Any) -> None:
    case = peers.cases.Case("p", "bad", "bad", ("loss-not-finite",))
    healthy = peers.cases.Case("p", None, "good")
    known = SimpleNamespace(matters=lambda *_: True)
    base = {"name": case.name, "version": case.version, "group": "watched", "failed": {}}
    said = {"gradsnitch": [{"rule": "GS001", "severity": "error", "where": None}]}
    found = peers.report.verdicts(
        [
            {**base, "seed": 0, "said": said, "trainings": 1},
            {**base, "seed": 1, "said": {}, "trainings": 0},
        ],
        [case, healthy],
        known,
    )
    heard, missed = found["gradsnitch"].values()
    assert heard.answered
    assert peers.measures.detected(heard.result)
    assert not missed.answered
    assert not peers.measures.detected(missed.result)
    assert all(v.answered for v in found["warnings"].values())
    assert peers.report.row("gradsnitch", [heard, missed]).endswith("| 2 + 0 | 1 |")
