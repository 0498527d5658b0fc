"""``glial doctor`` as its user reads it: text, JSON, SARIF, exit statuses, refusals."""

from __future__ import annotations

import json

import pytest

from glial.cli import main
from glial.cli.verdicts import print_verdict
from glial.core.findings import Finding, Place
from glial.doctor.evidence import (
    Evidence,
    LossSeen,
    ModelSeen,
    NotChecked,
    OptimizerSeen,
)
from glial.doctor.launching import Verdict
from glial.doctor.launching.process import Ended

SCRIPT = """\
import torch
torch.manual_seed(0)
net = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(6):
    scale = float("nan") if step == 3 else 1.0
    loss = torch.nn.MSELoss()(net(torch.randn(8, 2)) * scale, torch.zeros(8, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("trained")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


@pytest.mark.slow
def test_a_sick_training(capfd, folder):
    assert main(["doctor", "train.py", "--json", "--sarif", "found.sarif"]) == 1
    out, err = capfd.readouterr()
    assert "trained" in err
    told = json.loads(out)
    assert set(told) == {"healthy", "findings", "watched"}
    assert told["healthy"] is False
    assert set(told["watched"]) >= {
        "exit_status",
        "models",
        "optimizers",
        "losses",
        "loaders",
        "steps",
        "not_checked",
        "overhead_share",
    }
    assert (told["watched"]["exit_status"], told["watched"]["steps"]) == (0, 6)
    finding = next(x for x in told["findings"] if x["problem"] == "loss-not-finite")
    assert set(finding) == {
        "problem",
        "severity",
        "where",
        "at",
        "since_step",
        "evidence",
        "symptoms",
        "means",
        "do",
        "remedy",
        "source",
    }
    document = json.loads((folder / "found.sarif").read_text())
    rules = [result["ruleId"] for result in document["runs"][0]["results"]]
    assert rules == [finding["problem"] for finding in told["findings"]]


@pytest.mark.slow
def test_a_sick_training_in_words(capfd):
    assert main(["doctor", "train.py"]) == 1
    out = capfd.readouterr().out.splitlines()
    assert out[0] == "trained"
    first = next(index for index, line in enumerate(out) if "(loss-not-finite" in line)
    assert "error: " in out[first]
    assert out[first + 1].startswith("    seen: ")
    assert out[first + 2].startswith("    do: ")
    assert any(line.startswith("not healthy: ") for line in out)
    assert any(line.startswith("watched: ") and " 6 steps" in line for line in out)


FINDINGS = [
    Finding("wrong-mode", "note", None, {}, "it is harmless", "leave it"),
    Finding("dead-units", "warning", "body.0", {"dead_share": 0.5}, "Half is dead.", "Mend it."),
    Finding(
        "softmax-twice",
        "error",
        None,
        {"rows_sum_to_one": 1.0, "rows": 3200},
        "the loss is given probabilities",
        "leave the softmax out",
        at=Place("train.py", 12),
        since_step=1,
        symptoms=("loss-not-decreasing",),
    ),
]
SEEN = Evidence(
    steps=1200,
    seconds=4.0,
    watching=0.1,
    models=[ModelSeen("net", "MLP")],
    optimizers=[OptimizerSeen(f"o{number}", "SGD") for number in range(7)],
    losses=[LossSeen("cross_entropy"), LossSeen("cross_entropy")],
    not_checked=[NotChecked("leakage", "there were no evaluation rows.")],
)


def lines(capsys, verdict, **options):
    print_verdict(verdict, **options)
    return capsys.readouterr().out.splitlines()


def test_three_lines_a_finding_errors_first(capsys):
    assert lines(capsys, Verdict(FINDINGS, SEEN, Ended(1, 0), {1: 1200, 2: 3})) == [
        "train.py:12: error: the loss is given probabilities (softmax-twice)",
        "    seen: rows sum to one 1, rows 3,200; since step 1; it explains loss-not-decreasing",
        "    do: leave the softmax out",
        "warning: Half is dead (dead-units, body.0)",
        "    seen: dead share 0.5",
        "    do: Mend it",
        "not healthy: 1 error and 1 warning",
        "1 note, shown with --verbose",
        "watched: model net (MLP); optimiser o0 (SGD), o1 (SGD), o2 (SGD), o3 (SGD) and 3 more; "
        "loss cross_entropy; 1,200 steps in 4.0 s, 2.5% of it watching",
        "not checked: 1 problem, named with --verbose",
        "of 2 processes, the one with the most steps was judged",
    ]


def test_verbose_shows_notes_and_reasons(capsys):
    told = lines(capsys, Verdict(FINDINGS, SEEN, Ended(1, 0)), verbose=True)
    assert told[6] == "note: it is harmless (wrong-mode)"
    assert "not checked: leakage, as there were no evaluation rows" in told
    assert not any("--verbose" in line for line in told)


def test_quiet_shows_errors_and_warnings_alone(capsys):
    assert len(lines(capsys, Verdict(FINDINGS, SEEN, Ended(1, 0)), quiet=True)) == 6


@pytest.mark.parametrize(
    ("ended", "evidence", "last"),
    [
        (Ended(1, -9), SEEN, "the script was ended by SIGKILL"),
        (Ended(1, 3), SEEN, "the script ended with exit status 3"),
        (
            Ended(1, 1),
            Evidence(steps=2, ended="ValueError", error_at=Place("a.py", 3)),
            "the script ended with exit status 1, by ValueError at a.py:3",
        ),
        (Ended(1, -2, asked=2), SEEN, "interrupted: this is what was seen until then"),
        (
            Ended(1, 0),
            Evidence(steps=5, stopped=True),
            "the script was stopped after 5 steps, as asked",
        ),
    ],
)
def test_how_the_script_ended_is_said_last(capsys, ended, evidence, last):
    assert lines(capsys, Verdict([], evidence, ended))[-1] == last


def test_nothing_seen_is_not_called_healthy(capsys):
    told = lines(capsys, Verdict([], None, Ended(1, 0), note="torch was never imported"))
    assert told == ["torch was never imported"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "none"),
        (["train.py", "-m", "json"], "train.py and -m json"),
        (["tarin.py"], "did you mean train.py"),
        (["."], "a folder"),
        (["-m", "no_such_module"], "no_such_module"),
        (["train.py", "--steps", "0"], "at least 1 step"),
        (["train.py", "--steps", "few"], "whole number"),
        (["train.py", "--ignore", "dead-unit"], "'dead-units'"),
        (["train.py", "--sensitivity", "extreme"], "--sensitivity"),
        (["train.py", "--sarif", "none/found.sarif"], "no folder none"),
        (["train.py", "--sarif", "."], "a folder"),
        (["train.py", "--epochs", "3"], "--epochs"),
        (["run", "--steps", "3"], "--steps does not go with a run"),
        (["run", "--preflight"], "--preflight does not go with a run"),
        (["run", "--", "--epochs", "3"], "arguments after --"),
    ],
)
def test_refusals(capfd, folder, words, message):
    (folder / "run").mkdir()
    (folder / "run" / "plan.yaml").touch()
    assert main(["doctor", "--json", *words]) == 2
    out, err = capfd.readouterr()
    error = json.loads(out)["error"]
    assert message in " ".join(str(value) for value in error.values())
    assert "Traceback" not in err
    assert "trained\n" not in err


def test_a_run_that_keeps_no_evidence_says_so(capsys, folder):
    (folder / "plan.yaml").touch()
    (folder / "findings.json").write_text(json.dumps([FINDINGS[1].to_dict()]))
    assert main(["doctor", "."]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "warning: Half is dead (dead-units, body.0)"
    assert out[-1] == "the run keeps no evidence: these are the findings that it was saved with"


def test_words_after_two_dashes_are_the_scripts(capfd, folder):
    (folder / "train.py").write_text("import sys\nprint(sys.argv[1:])\n")
    assert main(["doctor", "train.py", "--quiet", "--", "--json", "--", "-m"]) == 0
    assert capfd.readouterr().out == "['--json', '--', '-m']\n"


def test_diffs_are_shown_where_all_is(capsys):
    diff = "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-a\n+b\n"
    finding = Finding("dead-units", "warning", "0", {}, "It is.", "Do.", remedy={"diff": diff})
    plan = Finding("loss-spike", "warning", None, {}, "It is.", "Do.", remedy={"set": {"a": 1}})
    for verbose in (False, True):
        print_verdict(Verdict([finding, plan], None), verbose=verbose)
        out = capsys.readouterr().out
        assert ("    do: Do\n    --- a/a.py\n    +++ b/a.py\n" in out) is verbose
        assert ("    +b\nwarning: It is (loss-spike)" in out) is verbose
