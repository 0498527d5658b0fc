"""Plans that are healed: real trainings, kept short."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import glial
from glial.cli import main
from glial.cli.healing import healing_text
from glial.core.errors import InputError
from glial.core.files import read_json
from glial.core.findings import Finding
from glial.doctor.measures import Outcome
from glial.healing import (
    Attempt,
    Healing,
    Pair,
    PlanPatient,
    Step,
    Treatment,
    Trial,
    heal,
)
from glial.runs import TrainingInterrupted
from glial.runs.training import train as train_plain

pytestmark = pytest.mark.slow

SMALL = {"model.name": "mlp", "model.hidden_sizes": [16], "train.epochs": 12, "train.threads": 1}
STEPS = {"train__batch_size": 16, "train__epochs": 8}


def healed(source="iris", out=False, **changes):
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    return glial.train(source, out=out, heal=True, set={**SMALL, **keys})


@pytest.mark.parametrize(
    ("faults", "remedied"),
    [
        ({"train__lr": 100.0, "train__restore_best": False}, {"train.lr"}),
        ({"data__scaling": "none", "source": "wine"}, {"data.scaling"}),
    ],
    ids=["rate too high", "unscaled"],
)
def test_faulty_plans_are_healed(faults, remedied):
    run = healed(**STEPS, **faults)
    told = run.healing
    assert remedied <= set(told["set"] or {}), json.dumps(told, indent=1)
    before, after = told["before"]["scores"], told["after"]["scores"]
    assert all(b is None or a > b for b, a in zip(before, after, strict=True))
    assert run.metrics["val"]["f1_macro"] == after[0]
    assert told["after"]["mean"] > 0.8
    assert told["trainings"] <= told["budget"]


def test_a_healthy_plan_is_left_alone(tmp_path):
    run = healed(out=tmp_path / "run", train__epochs=30)
    assert run.healing["stopped"] == "healthy"
    assert (run.healing["kept"], run.healing["trainings"]) == ([], 1)
    assert not (tmp_path / "run/control").exists()
    plain = glial.train("iris", out=False, set={**SMALL, "train.epochs": 30})
    assert plain.metrics == run.metrics


def test_a_healed_folder_holds_both_runs_and_what_was_tried(tmp_path, capsys):
    words = ["train", "iris", "--heal", "--out", str(tmp_path / "run"), "--json", "--quiet"]
    words += [x for key, value in SMALL.items() for x in ("--set", f"{key}={value}")]
    words += ["--set", "train.lr=1e-7"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["healing"]["set"] == {"train.lr": "auto"}
    kept = read_json(tmp_path / "run/healing.json")
    assert kept == told["healing"]
    run, control = glial.load(tmp_path / "run"), glial.load(tmp_path / "run/control")
    assert (control.plan.train.lr, run.plan.train.lr > 1e-4) == (1e-7, True)
    assert run.metrics["val"]["f1_macro"] == kept["after"]["scores"][0]
    assert control.metrics["val"]["f1_macro"] == kept["before"]["scores"][0]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    rows = glial.predict(run, "iris")
    assert len(rows) == 150
    # The first finding names the change; what is read of the run later does too.
    assert control.findings[0].remedy == {"set": {"train.lr": "auto"}}
    assert main(["doctor", str(tmp_path / "run/control"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert found[0]["remedy"] == {"set": {"train.lr": "auto"}}
    # It is the same experiment, and it has finished.
    assert main([*words, "--resume"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["metrics"] == told["metrics"]


def test_rows_are_held_out_alike_whatever_the_seed():
    asked = {**SMALL, "train.epochs": 1}
    runs = [
        glial.train("iris", out=False, set={**asked, "train.seed": seed, "data.split.seed": 5})
        for seed in (5, 6)
    ]
    alike = glial.train("iris", out=False, seed=5, set=asked)
    assert runs[0].metrics == alike.metrics
    assert runs[1].metrics["baseline"] == alike.metrics["baseline"]
    weights = [run.model.blocks[0].linear.weight for run in runs]
    assert not torch.equal(*weights)


def test_seeds_move_the_training_and_a_share_its_epochs():
    control = glial.train("iris", out=False, set=SMALL)
    made = []

    def train(**options):
        made.append(options["set"])
        return control

    patient = PlanPatient(train, control.asked, control, SMALL)
    treatment = Treatment(set={"train.lr": 0.5})
    for seed, share in ((0, 1.0), (2, 1.0), (0, 0.25)):
        patient.train(treatment, seed=seed, share=share)
    assert made[0] == {**SMALL, "train.lr": 0.5}
    assert made[1] == {**made[0], "train.seed": 2, "data.split.seed": 0}
    assert made[2] == {**made[0], "train.epochs": 3}


def test_scores_of_other_rows_are_not_compared():
    control = glial.train("iris", out=False, set=SMALL)
    patient = PlanPatient(lambda **_: control, control.asked, control, SMALL)
    treatment = Treatment(set={"data.duplicates": "drop"})
    trial = patient.train(treatment, seed=0)
    assert (trial.score, trial.failed) == (None, None)


def test_a_training_far_behind_a_forest_is_looked_into(monkeypatch):
    control = glial.train("iris", out=False, set=SMALL)
    control.findings = []
    patient = PlanPatient(lambda **_: control, control.asked, control, SMALL)
    behind = Outcome(1.1, 0.9, 0.9, 1.1, skill=0.2, reference=0.9, finite=True, steps=50)
    for told, problems in ((behind, ("underfitting",)), (replace(behind, skill=0.8), ())):
        monkeypatch.setattr("glial.healing.plans.outcome", lambda _, told=told: told)
        trial = patient.trial_of(control, 1.0)
        assert trial.problems == problems
    monkeypatch.setattr("glial.healing.plans.outcome", lambda _: behind)
    first, *_ = patient.candidates(patient.trial_of(control, 1.0), Treatment())
    assert first.set == {"model.hidden_sizes": None}  # what was set by hand
    assert control.findings == []


def test_a_treatment_that_cannot_be_trained_is_a_failed_one():
    control = glial.train("iris", out=False, set={**SMALL, "train.lr": 1e-7})
    patient = PlanPatient(lambda **_: 1 / 0, control.asked, control, SMALL)

    def fail(**_):
        raise InputError("the model does not take this")

    patient = PlanPatient(fail, control.asked, control, SMALL)
    healing = heal(patient, control=patient.trial_of(control, 1.0))
    assert {one.verdict for one in healing.attempts} <= {"failed", "not-tried"}
    assert "does not take" in healing.attempts[0].why


def test_an_interrupt_leaves_the_run_as_it_was(tmp_path, monkeypatch):
    calls = []

    def train(*arguments, **options):
        if calls:
            raise TrainingInterrupted(calls[0], 2)
        calls.append(train_plain(*arguments, **options))
        return calls[0]

    monkeypatch.setattr("glial.healing.training.train_plain", train)
    with pytest.raises(TrainingInterrupted) as stopped:
        healed(out=tmp_path / "run", train__lr=1e-7)
    assert stopped.value.run.healing["stopped"] == "interrupted"
    assert read_json(tmp_path / "run/healing.json")["kept"] == []
    assert glial.load(tmp_path / "run").plan.train.lr == 1e-7
    monkeypatch.undo()
    again = glial.train(
        "iris", out=tmp_path / "run", resume=True, heal=True, set={**SMALL, "train.lr": 1e-7}
    )
    assert again.healing["set"] == {"train.lr": "auto"}


def test_networks_of_several_folds_are_healed_together(tmp_path):
    run = healed(out=tmp_path / "run", train__lr=1e-7, data__split__folds=2, train__epochs=8)
    assert run.healing["set"] == {"train.lr": "auto"}
    opened = glial.load(tmp_path / "run")
    assert len(opened.members) == 2
    assert opened.metrics == run.metrics


def test_a_network_of_ones_own_starts_afresh_each_time():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    changes = {"train.epochs": 12, "train.lr": 1e-7, "train.optimizer": "adam"}
    run = glial.train("iris", model=net, out=False, heal=True, set=changes)
    assert run.healing["set"]["train.lr"] == "auto"
    assert run.model is not net


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget", "8"], "--budget is for healing"),
        (["--heal", "--budget", "5"], "too small"),
        (["--heal", "--set", "doctor.watch=false"], "not watched"),
    ],
)
def test_what_cannot_be_healed_is_refused(words, message, capsys, tmp_path):
    start = ["train", "iris", "--model", "linear", "--epochs", "1", "--quiet"]
    assert main([*start, "--out", str(tmp_path / "run"), *words]) == 2
    assert message in capsys.readouterr().err


def test_healing_is_told_in_words():
    step = Step("measure-rate", "learning-rate-too-low", None, "Set train.lr to auto.")
    treatment = Treatment((step,), set={"train.lr": "auto"})
    sick = Trial(0.5, 1.0, 1.0, [Finding(step.problem, "error", None, {}, "It.", "Do.")])
    attempt = Attempt(treatment, "confirmed", "kept", [Pair(0, None, 0.75)], 0.25, 0.01)
    attempt.compare(sick, Trial(0.75, 1.0, 1.0))
    other = Attempt(Treatment((step,)), "screened", "failed", why="ValueError: no")
    healing = Healing("val f1_macro", False, 8, {0: sick}, treatment, {0: Trial(0.75, 1.0, 1.0)})
    healing.attempts = [other, attempt, Attempt(treatment)]
    healing.trainings, healing.search_cost, healing.stopped = 6, 1.0, "budget"
    assert list(healing_text(healing.to_dict())) == [
        "healing, by val f1_macro:",
        "  failed: Set train.lr to auto. (measure-rate)",
        "    ValueError: no",
        "  kept: Set train.lr to auto. (measure-rate)",
        "    none -> 0.75 (noise 0.01); gone: learning-rate-too-low",
        "  kept: measure-rate; val f1_macro 0.5 -> 0.75; 6 trainings, of which the search took 1; "
        "1 more were not tried within the budget",
    ]
    assert list(healing_text(None)) == []
