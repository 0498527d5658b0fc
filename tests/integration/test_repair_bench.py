"""The repair bench: policies, what repairs are worth, and what they teach about causes."""

from __future__ import annotations

import ast
import importlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glial.doctor.problems import PROBLEMS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPT = """
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)
for epoch in range(10):
    for rows in torch.randperm(100).split(20):
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
"""
# Answers as `glial doctor --heal --json` does: the first remedy is kept.
FAKE = """
import difflib, json, pathlib, sys
words = sys.argv[1:]
assert words[0] == "--heal" and words[words.index("--metric") + 1] == r"^score (\\S+)"
assert "--maximize" in words and "--json" in words and words[-1] == "5"
assert words[words.index("--budget") + 1] == "8"
script = pathlib.Path(words[words.index("--") - 1])
before = script.read_text().splitlines(keepends=True)
after = [line.replace("10", "0.1") for line in before]
if "fits" not in before[0]:
    before = [line.replace("10", "7") for line in before]
names = f"a/{script.name}", f"b/{script.name}"
diff = "".join(difflib.unified_diff(before, after, *names))
found = {"problem": "learning-rate-too-high", "severity": "error", "where": None,
         "symptoms": ["loss-spike"]}
attempt = {"remedy": "lower-rate", "problem": "learning-rate-too-high", "where": None,
           "does": "Divide it.", "stage": "confirmed", "verdict": "kept", "gain": 0.5, "noise": 0.1,
           "scores": [[0, 0.25, 0.75]], "cost": 1.0, "gone": ["learning-rate-too-high"], "new": []}
healing = {"kept": ["lower-rate"], "trainings": 6.0, "search_cost": 1.5, "confirm_cost": 5.0,
           "stopped": "done", "noise": 0.1, "before": {"scores": [0.25]},
           "after": {"scores": [0.75]}, "attempts": [attempt], "diff": diff}
print(json.dumps({"healthy": False, "findings": [found], "watched": {}, "healing": healing}))
sys.exit(1)
"""
TOY = """# fits
import sys
lr = 10
print('score', 0.25 if lr > 1 else 0.75 + int(sys.argv[1]) / 50)
"""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bench's modules."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("cases", "effects", "graph", "knobs", "policies", "records", "regains", "repairs")
    yield SimpleNamespace(**{name: importlib.import_module(f"doctor.{name}") for name in names})
    for name in [n for n in sys.modules if n == "doctor" or n.startswith("doctor.")]:
        del sys.modules[name]


def changed(before: str, after: str | None) -> list[str]:
    """The lines that a knob put in."""
    assert after is not None
    ast.parse(after)
    return [line.strip() for line in after.splitlines() if line not in before.splitlines()]


def test_knobs_turn_one_thing(bench: Any) -> None:
    turn = bench.knobs
    sgd = "opt = torch.optim.SGD(net.parameters(), lr={}, momentum={})"
    assert changed(SCRIPT, turn.rate(0.1)(SCRIPT)) == [sgd.format("0.05", "0.9")]
    assert changed(SCRIPT, turn.momentum(0.5)(SCRIPT)) == [sgd.format("0.5", "0.5")]
    assert changed(SCRIPT, turn.epochs(0.25)(SCRIPT)) == ["for epoch in range(2):"]
    assert changed(SCRIPT, turn.batch(4)(SCRIPT)) == ["for rows in torch.randperm(100).split(80):"]
    adam = "opt = torch.optim.Adam(net.parameters(), lr=0.5)"
    assert changed(SCRIPT, turn.optimizer("Adam")(SCRIPT)) == [adam]
    chain = "net = nn.Sequential(nn.Linear(4, 8), {}, nn.Linear(8, 2))"
    relu = turn.activation("ReLU", "relu")(SCRIPT)
    assert changed(SCRIPT, relu) == [chain.format("torch.nn.ReLU()")]
    norm = turn.knob(turn.normalisation)(SCRIPT)
    normed = chain.format("torch.nn.BatchNorm1d(8), nn.Sigmoid()")
    assert changed(SCRIPT, norm) == [normed]
    clip = "torch.nn.utils.clip_grad_norm_(net.parameters(), 1)"
    assert changed(SCRIPT, turn.clipping(1.0)(SCRIPT)) == [clip]
    assert len(changed(SCRIPT, turn.knob(turn.decaying)(SCRIPT))) == 2
    drawn = changed(SCRIPT, turn.initialisation("orthogonal_")(SCRIPT))
    assert drawn[-1] == "torch.nn.init.orthogonal_(p)"


def test_a_knob_that_a_script_lacks_is_none(bench: Any) -> None:
    for make, values in bench.knobs.SPACE.values():
        assert make(values[0])("x = 1\n") is None


def trainer(bench: Any, score: Callable[[str], float | None], **problems: str) -> Any:
    """A training in no time: a score of the text, and problems of texts that hold a word."""
    trained: list[str] = []

    def train(text: str) -> Any:
        trained.append(text)
        found = {p.replace("_", "-") for p, word in problems.items() if word in text}
        return bench.policies.Outcome(score(text), 1.0, frozenset(found))

    return train, trained


def test_random_search_keeps_the_best_of_what_it_can_pay(bench: Any) -> None:
    train, trained = trainer(bench, lambda text: len(text) / 1000)
    found = bench.policies.by_chance(SCRIPT, train, 8, 0)
    assert len(trained) == 8 == found.trainings
    assert trained[0] == SCRIPT
    assert len(set(trained)) == 8
    assert found.text == max(trained, key=len)
    assert [a["verdict"] for a in found.attempts].count("kept") == 1
    again = bench.policies.by_chance(SCRIPT, trainer(bench, lambda text: 0.5)[0], 8, 0)
    assert again.text is None, "no candidate is better"
    assert len(again.attempts) == 7


def test_a_long_training_costs_what_it_takes(bench: Any) -> None:
    purse = bench.policies.Purse(8)
    for seconds in (2.0, 1.0, 6.0, 4.0):
        purse.pay(bench.policies.Outcome(0.5, seconds))
    assert purse.spent == 1 + 1 + 3 + 2
    assert not purse.is_empty
    purse.pay(bench.policies.Outcome(None, 0.1))
    assert purse.is_empty


def test_autotrainer_takes_a_symptom_for_all(bench: Any) -> None:
    # The symptom goes with the activation, which lowers the score all the same.
    train, trained = trainer(
        bench, lambda text: 0.9 if "Sigmoid" in text else 0.1, vanishing_gradient="Sigmoid"
    )
    found = bench.policies.by_symptom(SCRIPT, train, 8, 0)
    assert found.text is not None
    assert "torch.nn.SELU()" in found.text
    assert [(a["remedy"], a["verdict"]) for a in found.attempts] == [("selu", "kept")]
    assert math.isclose(found.attempts[0]["gain"], -0.8)
    assert len(trained) == 2


def test_autotrainer_goes_through_its_remedies_in_order_and_gives_up(bench: Any) -> None:
    train, _ = trainer(bench, lambda text: 0.5, dead_units="Linear")
    found = bench.policies.by_symptom(SCRIPT, train, 20, 0)
    assert found.text is None
    names = ["selu", "batch-norm", *["initialisation"] * 3, "leaky-relu"]
    assert [a["remedy"] for a in found.attempts] == names
    assert bench.policies.by_symptom(SCRIPT, train, 3, 0).trainings == 3
    healthy, _ = trainer(bench, lambda text: 0.5)
    assert bench.policies.by_symptom(SCRIPT, healthy, 8, 0).attempts == []


def test_symptoms_are_known_problems(bench: Any) -> None:
    named = {p for ids in bench.policies.SYMPTOMS.values() for p in ids}
    assert named <= set(PROBLEMS)
    assert set(bench.policies.STRATEGIES) == set(bench.policies.SYMPTOMS)


def test_a_script_is_healed_once_and_measured_with_every_seed(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.effects, "PRELOADED", ("torch",))
    fake = tmp_path / "fake.py"
    fake.write_text(FAKE)
    results, case = tmp_path / "results.jsonl", bench.cases.Case("toy", None, TOY)
    call = [sys.executable, str(fake)]
    for _ in range(2):
        bench.repairs.run_all([case], [5, 6], results, call, 1, "ours", 8.0)
    repair, *measured = bench.records.read(results)
    assert (repair["policy"], repair["kept"], repair["crash"]) == ("ours", ["lower-rate"], None)
    assert repair["text"] == TOY.replace("10\n", "0.1\n", 1)
    assert [(m["name"], m["seed"], m["score"]) for m in measured] == [
        ("toy@ours", 5, 0.85),
        ("toy@ours", 6, 0.87),
    ]


def test_a_diff_that_does_not_apply_is_a_crash(bench: Any, tmp_path: Path) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(FAKE)
    case = bench.cases.Case("toy", None, TOY.replace("fits", "differs"))
    record = bench.repairs.heal(case, 5, [sys.executable, str(fake)], 8.0)
    assert record["text"] is None
    assert "does not apply" in record["crash"]
    said = bench.repairs.heal(case, 5, [sys.executable, "-c", "print('{}')"], 8.0)
    assert said["crash"] == "{}"


def repaired(bench: Any, tmp_path: Path, **more: Any) -> tuple[list[Any], Any, Any]:
    """A repair of a program's steep version with measured scores: 0.5, to be 0.9."""
    healthy = bench.cases.all_cases("healthy", "all", "^wine_functional$")[0]
    case = bench.cases.all_cases("faults", "all", "^wine_functional:rate-times-100$")[0]
    path = tmp_path / "effects.jsonl"
    for one, scores in ((healthy, (0.88, 0.92)), (case, (0.50, 0.50))):
        for seed, score in enumerate(scores):
            entry = {"name": one.name, "version": one.version, "seed": seed, "score": score}
            bench.records.append(path, entry)
    record = {
        **bench.repairs._begun(case, 0, "ours", 8),
        "text": "# healed\n",
        "kept": ["lower-rate"],
        "search_cost": 1.5,
        "trainings": 6.5,
        "attempts": [
            {"remedy": "lower-rate + clip", "verdict": "kept", "gain": 0.4},
            {"remedy": "clip", "verdict": "dropped", "gain": -0.2},
            {"remedy": "other", "verdict": "not-tried", "gain": None},
        ],
        **more,
    }
    after = bench.repairs.treated(case, "# healed\n", "ours")
    scores = [
        {"name": after.name, "version": after.version, "seed": seed, "score": score}
        for seed, score in enumerate((0.90, None))
    ]
    return [record, *scores], [healthy, case], bench.effects.Effects(path)


def test_a_regain_is_a_share_of_what_the_fixed_version_gains(bench: Any, tmp_path: Path) -> None:
    found, cases, known = repaired(bench, tmp_path)
    (one,) = bench.regains.gathered(found, cases, known)
    assert (one.faulty, one.fixed, one.healed) == (0.5, 0.9, 0.45)  # no score counts as 0
    assert one.regain == pytest.approx(-0.05 / 0.4)
    assert one.is_worse
    found[2]["score"] = 0.86
    (one,) = bench.regains.gathered(found, cases, known)
    assert one.regain == pytest.approx(0.38 / 0.4)
    assert not one.is_worse
    said = bench.regains.report(found, cases, known)
    assert "regain >= 90%        1.000 [1.000, 1.000] (1 of 1 programs)" in said
    assert "search cost          1.500" in said
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.strip()}
    # tries, gained, kept, regained enough, harm, median gain in units of 0.4
    assert rows["lower-rate"] == ["1", "1", "1", "1", "0", "1.00"]
    assert rows["clip"] == ["2", "1", "1", "1", "1", "0.25"]
    assert "other" not in rows


def test_what_was_not_kept_or_not_measured(bench: Any, tmp_path: Path) -> None:
    found, cases, known = repaired(bench, tmp_path, text=None, kept=[])
    (one,) = bench.regains.gathered(found[:1], cases, known)
    assert (one.regain, one.is_kept, one.is_worse) == (0.0, False, False)
    kept, cases, known = repaired(bench, tmp_path)
    assert bench.regains.gathered(kept[:2], cases, known) == []  # one seed is not enough
    assert "not measured yet     1" in bench.regains.report(kept[:2], cases, known)


def healed(program: str, gone: list[str], **more: Any) -> dict[str, Any]:
    """A repair of a rate in a script with a spike and dead units, which told of the spike."""
    high = {"problem": "learning-rate-too-high", "severity": "error", "symptoms": ["loss-spike"]}
    dead = {"problem": "dead-units", "severity": "warning", "symptoms": []}
    noted = {"problem": "redundant-layer", "severity": "note", "symptoms": []}
    attempt = {"remedy": "lower-rate", "problem": high["problem"], "verdict": "kept", "gone": gone}
    return {
        "kind": "repair",
        "name": f"{program}:rate",
        "findings": [high, dead, noted],
        "attempts": [{**attempt, "new": [], **more}],
    }


def test_edges_are_learned_where_findings_go_together(bench: Any) -> None:
    high = "learning-rate-too-high"
    found = [
        healed("a", [high, "dead-units"]),
        healed("b", [high, "dead-units"]),
        healed("c", [high], new=["loss-spike"]),
        healed("d", [high], verdict="dropped"),
        healed("e", [high], problem=f"{high} + leakage"),
    ]
    made = {(e.cause, e.effect): (e.went, e.seen) for e in bench.graph.edges(found)}
    assert made == {(high, "dead-units"): (2, 3), (high, "loss-spike"): (2, 3)}
    said = bench.graph.report(found, {high: ["dead-units", "undertrained"]})
    assert "learned from repair: 2 edges of 1 causes" in said
    missing = said.split("not in the doctor's graph: 1\n")[1].splitlines()[0]
    assert missing.split() == [high, "->", "loss-spike", "2", "of", "3"]
    assert "no repair has tested: 1 of 2" in said


def test_an_edge_of_the_graph_that_stays_is_told(bench: Any) -> None:
    found = [healed(program, ["learning-rate-too-high"]) for program in "abc"]
    said = bench.graph.report(found, {"learning-rate-too-high": ["dead-units"]})
    assert "stayed more often than it went: 1" in said
    assert "0 of 3" in said
