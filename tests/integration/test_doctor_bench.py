"""The doctor's fault bench: its programs, the faults it plants, and how it counts."""

from __future__ import annotations

import ast
import importlib
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glial.doctor.problems import PROBLEMS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FAKE = """
import json, pathlib, sys
script, seed = sys.argv[2], sys.argv[4]
assert sys.argv[1] == "--json" and sys.argv[3] == "--"
print("score 0.25", file=sys.stderr)
number = 1 + pathlib.Path(script).read_text().splitlines().index("optimizer = None")
found = {"problem": "leakage", "severity": "error", "where": "0", "symptoms": [],
         "at": {"file": script, "line": number}, "evidence": {}, "since_step": 3}
print(json.dumps({"healthy": False, "findings": [found],
                  "watched": {"overhead_share": 0.5, "not_checked": []}}))
sys.exit(1)
"""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bench's modules."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = (
        "cases",
        "catalogue",
        "effects",
        "measures",
        "mutations",
        "records",
        "runner",
        "script",
    )
    yield SimpleNamespace(**{name: importlib.import_module(f"doctor.{name}") for name in names})
    for name in [n for n in sys.modules if n == "doctor" or n.startswith("doctor.")]:
        del sys.modules[name]


def planted(bench: Any, program: str, operator: str) -> Any:
    """The program with a fault, as a case."""
    chosen = next(p for p in bench.catalogue.PROGRAMS if p.name == program)
    return next(c for c in bench.cases.faults(chosen) if c.operator == operator)


def changed(bench: Any, program: str, operator: str) -> tuple[list[str], list[str], list[str]]:
    """The lines that a fault took out, the lines that it put in, and the lines to name."""
    case = planted(bench, program, operator)
    before = (bench.catalogue.FOLDER / f"{program}.py").read_text().splitlines()
    after = case.text.splitlines()
    return (
        [line.strip() for line in before if line not in after],
        [line.strip() for line in after if line not in before],
        [after[number - 1].strip() for number in case.lines],
    )


def test_there_are_enough_programs_of_enough_kinds(bench: Any) -> None:
    programs = bench.catalogue.PROGRAMS
    files = {path.stem for path in bench.catalogue.FOLDER.glob("*.py")}
    assert {program.name for program in programs} == files
    assert len(programs) == len(files) >= 88  # with seven seeds each over 600 healthy runs
    assert len({program.kinds[0] for program in programs}) >= 10
    assert {program.half for program in programs} == {"tune", "report"}
    assert len(bench.mutations.OPERATORS) >= 40
    families = {program.name: program.family for program in programs}
    assert {"convolutional", "recurrent", "transformer", "generative"} <= set(families.values())
    assert families["energy_langevin"] == families["deep_belief"] == "energy-based"
    assert families["glial_resnet_digits"] == "convolutional"
    assert families["table_onecycle"] == "dense"


def test_programs_are_scripts_of_their_own(bench: Any) -> None:
    for program in bench.catalogue.PROGRAMS:
        text = program.path.read_text()
        assert ("glial" in text) == program.name.startswith("glial_")  # as any other library
        assert "doctor" not in text.lower()
        assert text.count('"score') + text.count("score {") >= 1
        for name in filter(None, program.arrays):
            assert name in text


def test_every_kind_of_fault_fits_somewhere_and_names_known_problems(bench: Any) -> None:
    used = set()
    for program in bench.catalogue.PROGRAMS:
        for case in bench.cases.faults(program):
            ast.parse(case.text)
            assert case.text != program.path.read_text(), case.name
            assert case.accepted
            assert max(case.lines, default=1) <= len(case.text.splitlines())
            used.add(case.operator)
    assert used == {operator.name for operator in bench.mutations.OPERATORS}
    named = {problem for operator in bench.mutations.OPERATORS for problem in operator.accepted}
    assert named <= set(PROBLEMS)


def test_a_rate_is_changed_where_it_stands(bench: Any) -> None:
    out, put, named = changed(bench, "digits_mlp", "rate-times-100")
    assert out == ["optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)"]
    assert put == named == ["optimizer = torch.optim.Adam(model.parameters(), lr=0.2)"]


def test_what_is_missing_is_looked_for_beside_its_place(bench: Any) -> None:
    out, put, named = changed(bench, "digits_mlp", "missing-zero-grad")
    assert (out, put) == (["optimizer.zero_grad()"], [])
    assert named == [
        "outputs = model(inputs)",
        "loss = criterion(outputs, labels)",
        "loss.backward()",
        "optimizer.step()",
    ]


def test_data_is_changed_once_it_is_ready_and_has_no_place(bench: Any) -> None:
    case = planted(bench, "wine_functional", "labels-shuffled")
    lines = [line.strip() for line in case.text.splitlines()]
    where = lines.index("y_tr = y_tr[torch.randperm(len(y_tr))]")
    assert lines[where - 1] == "y_te = torch.from_numpy(y_te)"
    assert case.lines == ()


def test_layers_are_named_as_torch_names_them(bench: Any) -> None:
    assert planted(bench, "wine_functional", "head-replaced").layers == ("fc3",)
    assert planted(bench, "digits_mlp", "softmax-output").layers == ("4", "5")


def test_a_block_that_would_be_empty_keeps_a_pass(bench: Any) -> None:
    script = bench.script.Script("if x:\n    opt.step()\n")
    step = script.methods("step")[0]
    assert script.plant(bench.script.Fault([script.remove(step)])).text == "if x:\n    pass\n"


def test_the_doctor_is_run_once_for_each_script_and_seed(bench: Any, tmp_path: Path) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(FAKE)
    results = tmp_path / "results.jsonl"
    call = [sys.executable, str(fake)]
    case = bench.cases.Case("toy", None, "import torch\noptimizer = None\n")
    for seeds in ([0], [0, 1]):
        bench.runner.run_all([case], seeds, results, call, jobs=2, harmless=False)
    found = bench.records.read(results)
    assert [record["seed"] for record in found] == [0, 1]
    assert found[0]["score"] == 0.25
    assert (found[0]["status"], found[0]["overhead"], found[0]["crash"]) == (1, 0.5, None)
    assert [(f["problem"], f["line"]) for f in found[0]["findings"]] == [("leakage", 2)]


def test_a_doctor_that_says_nothing_is_a_crash(bench: Any) -> None:
    case = bench.cases.Case("toy", None, "")
    record = bench.runner.run_doctor(case, 0, [sys.executable, "-c", "raise SystemExit('no')"])
    assert (record["status"], record["crash"], record["findings"]) == (1, "no", [])


@pytest.mark.parametrize(
    ("healthy", "faulty", "expected"),
    [
        ([0.90, 0.91, 0.92], [0.50, 0.60, 0.70], True),
        ([0.90, 0.91, 0.92], [0.50, 0.60, 0.93], False),  # one seed is no worse
        ([0.90, 0.91, 0.92], [0.89, 0.90, 0.91], False),  # nobody would care
        ([0.50, 0.70, 0.90], [0.40, 0.60, 0.80], False),  # less than the seeds' spread, 0.2
        ([0.90, 0.91, 0.92], [None, None, None], True),
        ([0.90], [0.10], None),
    ],
)
def test_a_fault_matters_where_the_score_clearly_drops(
    bench: Any,
    tmp_path: Path,
    healthy: list[float],
    faulty: list[float | None],
    expected: bool | None,
) -> None:
    good = bench.cases.Case("toy", None, "healthy")
    bad = bench.cases.Case("toy", "fault", "faulty")
    path = tmp_path / "effects.jsonl"
    for case, scores in ((good, healthy), (bad, faulty)):
        for seed, score in enumerate(scores):
            entry = {"name": case.name, "version": case.version, "seed": seed, "score": score}
            bench.records.append(path, entry)
    assert bench.effects.Effects(path).matters(bad, good) is expected


def finding(problem: str, severity: str = "error", **more: Any) -> dict[str, Any]:
    """A finding as the runner keeps it."""
    return {
        "problem": problem,
        "severity": severity,
        "where": None,
        "line": None,
        "symptoms": [],
        **more,
    }


def result(bench: Any, *findings: dict[str, Any], program: str = "toy") -> Any:
    """A run of a script whose rate is too high, at line 7 or in layer ``fc``."""
    accepted = ("learning-rate-too-high", "exploding-gradient")
    case = bench.cases.Case(program, "rate", "", accepted, (7,), ("fc",))
    return bench.measures.Result({"findings": list(findings)}, case, True)


def test_detection_wants_a_cause_or_its_symptom_and_more_than_a_note(bench: Any) -> None:
    detected = bench.measures.detected
    assert detected(result(bench, finding("leakage"), finding("exploding-gradient", "warning")))
    assert detected(result(bench, finding("loss-not-finite")))
    assert detected(result(bench, finding("leakage", symptoms=["loss-not-finite"])))
    assert not detected(result(bench, finding("leakage")))
    assert not detected(result(bench, finding("learning-rate-too-high", "note")))


def test_the_first_and_the_first_three_count(bench: Any) -> None:
    right, wrong = finding("learning-rate-too-high"), finding("leakage")
    first, three = bench.measures.first, bench.measures.first_three
    assert first(result(bench, right, wrong))
    assert not first(result(bench, wrong, right))
    assert three(result(bench, wrong, wrong, right))
    assert not three(result(bench, wrong, wrong, wrong, right))


def test_a_place_is_a_layer_or_a_line(bench: Any) -> None:
    located, name = bench.measures.located, "learning-rate-too-high"
    assert located(result(bench, finding(name, line=7)))
    assert located(result(bench, finding(name, where="body.fc")))
    assert not located(result(bench, finding(name, line=8, where="body.fc2")))
    assert not located(result(bench, finding("leakage", line=7)))
    unplaced = result(bench, finding(name))._replace(
        case=bench.cases.Case("toy", "rate", "", (name,))
    )
    assert located(unplaced) is None


def test_intervals_are_over_programs(bench: Any) -> None:
    right, wrong = finding("learning-rate-too-high"), finding("leakage")
    # Two programs, one always right and one never: drawing two of two gives 0, 1/2 or 1.
    results = [result(bench, right, program="a") for _ in range(50)]
    results += [result(bench, wrong, program="b") for _ in range(50)]
    said = bench.measures.interval(results, bench.measures.first)
    assert said == " 50.0 % [0.0, 100.0] (50/100 runs of 2 programs)"
    # Within programs alike, there is nothing to draw.
    mixed = [result(bench, x, program=p) for p in "abc" for x in (right, wrong)]
    said = bench.measures.interval(mixed, bench.measures.first)
    assert said == " 50.0 % [50.0, 50.0] (3/6 runs of 3 programs)"


def test_families_are_counted_apart(bench: Any) -> None:
    right = finding("learning-rate-too-high")
    ill = [result(bench, right, program="gru_signals"), result(bench, program="small_resnet")]
    well = [result(bench, program="gru_lengths"), result(bench, right, program="gru_signals")]
    said = bench.measures.by_family(ill, well).splitlines()
    # programs, healthy runs, alarms among them, faulty runs, found, named first
    assert [row.split() for row in said[1:]] == [
        ["convolutional", "1", "0", "0", "1", "0", "0"],
        ["recurrent", "2", "2", "1", "1", "1", "1"],
    ]


def test_a_choice_of_some_programs_is_the_same_every_time(bench: Any) -> None:
    some = bench.cases.all_cases("faults", "all", ":rate-times-100$", most=3)
    assert len({case.program for case in some}) == 3
    assert [c.name for c in bench.cases.all_cases("faults", "all", ":rate-times-100$", most=3)] == [
        case.name for case in some
    ]


def test_what_is_running_when_somebody_stops_it_is_kept(bench: Any, tmp_path: Path) -> None:
    path, begun = tmp_path / "results.jsonl", []

    def work(number: int) -> dict[str, int]:
        begun.append(number)
        time.sleep(0.02 * number)
        return {"number": number}

    made = bench.runner.each(work, range(100), path, 2)
    assert next(made) == {"number": 0}
    made.close()  # as Ctrl-C does to a loop over it
    kept = [record["number"] for record in bench.records.read(path)]
    assert sorted(kept) == sorted(begun)
    assert len(kept) < 10
