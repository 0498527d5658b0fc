"""Scripts as patients: their metric, their length, what they are tried with, and their files."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from glial.cli import main
from glial.core.errors import GlialError, InputError
from glial.core.findings import Finding, Place
from glial.doctor import remedies
from glial.doctor.evidence import Evidence, LossSeen, OptimizerSeen, Series
from glial.doctor.launching import Verdict, script_of
from glial.doctor.launching.process import Ended
from glial.doctor.remedies import Change, Sources
from glial.doctor.remedies.program.change import texts_after
from glial.healing import PrintedMetric, ScriptPatient, Treatment, heal, scripts
from glial.healing.metrics import evaluation_loss
from glial.healing.scripts import Interrupted
from glial.healing.shortening import find_turns, shortened
from glial.healing.writing import write_texts

STEEP = Finding("learning-rate-too-high", "error", None, {}, "It is steep.", "Lower it.")
SUMMED = Finding("wrong-reduction", "error", None, {}, "It is a sum.", "Take the mean.")
SMALL = Finding("dead-units", "warning", "0", {}, "It is dead.", "Mend it.")

# ---------------------------------------------------------------------------- metrics


@pytest.mark.parametrize(
    ("pattern", "text", "value"),
    [
        (r"acc (\S+)", "acc 0.1\nacc 0.25\n", 0.25),
        (r"acc (\S+)", "acc 93.5%, loss 1", 93.5),
        (r"[\d.]+$", "epoch 1 0.5\nepoch 2 0.7\nbye", 0.7),
        (r"^score (\S+)", "a score 1\nscore -2.5e-3", -0.0025),
        (r"(?i)LOSS=(\S+)", "loss=nan", math.nan),
        (r"acc (\S+)", "nothing", None),
        (r"acc (\S+)", "", None),
    ],
)
def test_the_last_number_is_read(pattern, text, value):
    read = PrintedMetric(pattern, lower_is_better=False).read(text)
    assert read == value or (math.isnan(value) and math.isnan(read))


def test_errors_are_looked_into_where_output_says_nothing():
    metric = PrintedMetric(r"acc (\S+)", lower_is_better=False)
    assert metric.read("nothing", "acc 0.5") == 0.5
    assert metric.read("acc 0.25", "acc 0.5") == 0.25


def test_metrics_that_are_none():
    with pytest.raises(InputError, match="no regular expression"):
        PrintedMetric("acc (", lower_is_better=False)
    with pytest.raises(InputError, match="is no number"):
        PrintedMetric("acc", lower_is_better=False).read("acc 0.5")


def test_the_loss_of_the_last_evaluation_or_of_the_best():
    often = LossSeen("mse_loss", eval_value=Series([5, 5, 9, 9], [1.0, 3.0, 4.0, 8.0]))
    once = LossSeen("l1_loss", eval_value=Series([9], [7.0]))
    assert evaluation_loss(Evidence(losses=[once, often])) == 6.0
    assert evaluation_loss(Evidence(losses=[once, often], keeps_best=True)) == 2.0
    assert evaluation_loss(Evidence(losses=[LossSeen("mse_loss")])) is None


# ---------------------------------------------------------------------------- length

LOOPS = {
    "flat": ("o = SGD()\nfor t in range(200):\n    o.step()\n", 3, "range(200)"),
    "epochs": (
        "o = SGD()\nfor e in range(1, args.n + 1):\n    for b in loader:\n        o.step()\n",
        4,
        "range(1, args.n + 1)",
    ),
    "called": (
        "def train(o):\n    for b in loader:\n        o.step()\n"
        "def main():\n    o = SGD()\n    for e in tqdm(range(n)):\n        train(o)\n",
        3,
        "range(n)",
    ),
    "seeds": (
        "for seed in range(3):\n    o = SGD()\n    for e in range(n):\n        o.step()\n",
        4,
        "range(n)",
    ),
    "seeds called": (
        "def run():\n    o = SGD()\n    for e in range(9):\n        o.step()\n"
        "for seed in range(3):\n    run()\n",
        4,
        "range(9)",
    ),
    "trainer": ("t = Trainer(max_epochs=args.n)\nt.fit(o)\n# SGD()\n", 2, "max_epochs=args.n"),
    "while": ("o = SGD()\nwhile e < n:\n    for b in range(9):\n        o.step()\n", 4, None),
    "no range": ("o = SGD()\nfor e in epochs:\n    o.step()\n", 3, None),
}


def turns_of(text, line):
    made = next((n for n, one in enumerate(text.splitlines(), 1) if "SGD()" in one), 1)
    optimizer = OptimizerSeen(
        "o", "SGD", steps=9, at=Place("/a.py", line), made_at=Place("/a.py", made)
    )
    return find_turns(Evidence(optimizers=[optimizer]), Sources({"/a.py": text}))


@pytest.mark.parametrize("name", LOOPS)
def test_where_a_script_says_how_long_it_trains(name):
    text, line, code = LOOPS[name]
    turns = turns_of(text, line)
    assert (turns.code if turns else None) == code


def turned(text, share, **names):
    """How many turns a text's loop makes, by running it."""
    found = []
    exec(text, {**names, "SGD": type("O", (), {"step": lambda self: found.append(1)})})  # noqa: S102
    return len(found)


@pytest.mark.parametrize(
    ("loop", "whole", "part"),
    [
        ("range(40)", 40, 10),
        ("range(1, 41)", 40, 10),
        ("range(n, n + 40)", 40, 10),
        ("range(2)", 2, 1),
        ("enumerate(range(40))", 40, 10),
    ],
)
def test_a_part_of_the_turns(loop, whole, part):
    text = f"o = SGD()\nfor t in {loop}:\n    o.step()\n"
    assert turned(text, 1.0, n=5) == whole
    after = shortened({"/a.py": text}, turns_of(text, 3), 0.25)
    assert turned(after["/a.py"], 0.25, n=5) == part


def test_a_treated_text_is_shortened_where_the_control_was():
    text = "a = range(9)\no = SGD()\nfor t in range(9):\n    o.step()\n"
    turns = turns_of(text, 4)
    assert turns.nth == 1
    treated = "import torch\n" + text
    after = shortened({"/a.py": treated}, turns, 0.5)["/a.py"]
    assert after == treated.replace("in range(9)", "in range(max(1, round((9) * 0.5)))")
    assert shortened({"/a.py": "pass"}, turns, 0.5) is None
    fractions = turns_of("t = Trainer(num_train_epochs=3)\nt.fit()\n", 2)
    told = shortened({"/a.py": "f(num_train_epochs=3)"}, fractions, 0.25)
    assert told == {"/a.py": "f(num_train_epochs=(3) * 0.25)"}


# ---------------------------------------------------------------------------- trials

SCRIPT = """\
rate = 9
total = 1
print("score", 10 - rate - total)
"""


class Watching:
    """Stands in for the doctor: runs a script plainly, and finds what its text calls for."""

    def __init__(self, findings=(STEEP, SUMMED, SMALL)):
        self.findings, self.calls, self.end = list(findings), [], Ended(1, 0)
        self.losses, self.error = {}, None

    def __call__(self, script, *, patches, seed_shift, output, most_seconds, **more):
        self.calls.append((dict(patches), seed_shift, output.hidden, most_seconds))
        if self.error is not None and len(self.calls) > 1:
            raise self.error
        path = Path(script.words[0])
        text = patches.get(str(path.absolute()), path.read_text())
        told = subprocess.run([sys.executable, "-c", text], capture_output=True, check=False)
        output._parts["out"].extend(told.stdout)
        causes = {STEEP.problem: "rate = 9", SUMMED.problem: "total = 1"}
        findings = [one for one in self.findings if causes.get(one.problem, "") in text]
        evidence = Evidence(seconds=0.5)
        if self.losses:
            value = self.losses[min(len(findings), max(self.losses))]
            evidence.losses = [LossSeen("mse_loss", eval_value=Series([1], [value]))]
        return Verdict(findings, evidence, self.end)


def replacing(name, old, new, **more):
    def remedy(case):
        source = case.sources.get(str(Path("train.py").absolute()))
        start = source.text.find(old)
        if start >= 0:
            edit = remedies.Edit(start, start + len(old), new)
            yield Change.of(name, f"writes {new}", source, [edit], **more)

    return remedy


@pytest.fixture
def watching(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT)
    table = {
        "learning-rate-too-high": (
            replacing("lower-rate", "rate = 9", "rate = 1"),
            replacing("raise-rate", "rate = 9", "rate = 10"),
        ),
        "wrong-reduction": (replacing("take-mean", "total = 1", "total = 0"),),
        "dead-units": (replacing("keep-alive", "score", "score "),),
    }
    monkeypatch.setattr(remedies, "REMEDIES", table)
    watching = Watching()
    monkeypatch.setattr(scripts, "watch", watching)
    # Every training takes a second.
    clock = SimpleNamespace(monotonic=itertools.count().__next__)
    monkeypatch.setattr(scripts, "time", clock)
    return watching


def patient(pattern=r"score +(\S+)", *, lower=False):
    metric = None if pattern is None else PrintedMetric(pattern, lower_is_better=lower)
    return ScriptPatient(script_of(Path("train.py")), metric)


def test_remedies_are_told_places_as_evidence_has_them(watching, monkeypatch):
    places = []

    def remedy(case):
        places.append(case.finding.at)
        return iter(())

    monkeypatch.setattr(remedies, "REMEDIES", {STEEP.problem: (remedy,)})
    one = patient()
    trial = one.train(Treatment(), seed=0)
    from_here = [replace(STEEP, at=Place("train.py", 1))]
    assert one.candidates(replace(trial, findings=from_here), Treatment()) == []
    assert places == [Place(str(Path("train.py").absolute()), 1)]


def test_a_script_is_healed_of_several_errors(watching):
    one = patient()
    healing = heal(one)
    assert [trial.score for trial in healing.before.values()] == [0, 0, 0]
    assert [trial.score for trial in healing.after.values()] == [9, 9, 9]
    assert [step.remedy for step in healing.kept.steps] == ["lower-rate", "take-mean"]
    assert [step.problem for step in healing.kept.steps] == [STEEP.problem, SUMMED.problem]
    assert Path("train.py").read_text() == SCRIPT
    # The first is shown, and is given the input; it is the only one that nothing bounds.
    assert [hidden for _, _, hidden, _ in watching.calls] == [False] + [True] * (
        len(watching.calls) - 1
    )
    assert watching.calls[0] == ({}, 0, False, None)
    assert {most for *_, most in watching.calls[1:]} == {120.0}
    diff = one.diff(healing.kept)
    Path("kept.diff").write_text(diff)
    for words in (["git", "apply", "kept.diff"], ["git", "apply", "-R", "kept.diff"]):
        subprocess.run(words, check=True)
        text = healing.kept.texts[str(Path("train.py").absolute())]
        assert Path("train.py").read_text() == (SCRIPT if "-R" in words else text)


def test_the_order_of_what_is_tried(watching):
    one = patient()
    trial = one.train(Treatment(), seed=0)
    names = [treatment.name for treatment in one.candidates(trial, Treatment())]
    assert names == [
        "lower-rate",
        "lower-rate + take-mean",
        "raise-rate",
        "take-mean",
        "keep-alive",
    ]
    first = one.candidates(trial, Treatment())[0]
    again = one.train(first, seed=0)
    assert (trial.score, again.score) == (0, 8)
    assert [each.name for each in one.candidates(again, first)] == [
        "lower-rate + take-mean",
        "lower-rate + keep-alive",
    ]


def test_what_follows_from_another_error_is_not_treated_with_it(watching, monkeypatch):
    unscaled = replace(STEEP, problem="unscaled-input")
    table = {**remedies.REMEDIES, "unscaled-input": remedies.REMEDIES[SUMMED.problem]}
    monkeypatch.setattr(remedies, "REMEDIES", table)
    watching.findings = [unscaled, STEEP]
    one = patient()
    names = [each.name for each in one.candidates(one.train(Treatment(), seed=0), Treatment())]
    assert names == ["take-mean", "lower-rate", "raise-rate"]


def test_notes_are_tried_last_and_only_of_the_script_as_it_is(watching):
    note = Finding("dead-units", "note", "0", {}, "It is.", "Do.")
    watching.findings = [note, STEEP]
    one = patient()
    trial = one.train(Treatment(), seed=0)
    tried = one.candidates(trial, Treatment())
    assert [one.name for one in tried] == ["lower-rate", "raise-rate", "keep-alive"]
    after = replace(trial, findings=[note])
    assert one.candidates(after, tried[0]) == []
    assert [one.name for one in one.candidates(after, Treatment())] == ["keep-alive"]


def test_seeds_are_moved(watching):
    one = patient()
    for seed in (0, 1, 2):
        one.train(Treatment(), seed=seed)
    assert [shift for _, shift, *_ in watching.calls] == [0, 1, 2]


def test_the_evaluation_loss_is_the_metric_where_none_is_named(watching):
    watching.losses = {3: 4.0, 2: 1.0, 1: 0.5}
    one = patient(None)
    assert (one.measured_by, one.lower_is_better) == ("evaluation loss", True)
    healing = heal(one)
    assert [trial.score for trial in healing.after.values()] == [0.5] * 3
    assert healing.kept.name == "lower-rate + take-mean"


@pytest.mark.parametrize("way", ["no loss", "another loss"])
def test_what_cannot_be_compared_is_unverified(watching, monkeypatch, way):
    if way == "another loss":
        watching.losses = {3: 4.0, 2: 1.0}
        altering = replacing("lower-rate", "rate = 9", "rate = 1", alters_loss=True)
        monkeypatch.setattr(remedies, "REMEDIES", {"learning-rate-too-high": (altering,)})
    healing = heal(patient(None))
    assert healing.kept is None
    assert {attempt.verdict for attempt in healing.attempts} <= {"unverified", "not-tried"}
    assert healing.attempts[0].verdict == "unverified"


def test_a_metric_that_never_matches_is_refused(watching):
    with pytest.raises(InputError, match="matches nothing that the script prints") as error:
        patient("accuracy").train(Treatment(), seed=0)
    assert "'score 0'" in str(error.value.got)


@pytest.mark.parametrize(
    ("end", "evidence", "why"),
    [
        (Ended(1, 3), Evidence(), "it exited with 3"),
        (Ended(1, -9), Evidence(), "it ended by SIGKILL"),
        (Ended(1, -15, forced=True, late=True), Evidence(), "its time was over"),
        (Ended(1, 1), Evidence(ended="ValueError", error="boom"), "ValueError: boom"),
    ],
)
def test_a_script_that_fails_has_no_score(watching, monkeypatch, end, evidence, why):
    monkeypatch.setattr(scripts, "watch", lambda *_, **__: Verdict([STEEP], evidence, end))
    trial = patient().train(Treatment(), seed=0)
    assert (trial.score, trial.failed) == (None, why)


def test_any_loss_is_a_gain_over_a_script_that_fails(watching):
    watching.losses = {3: 4.0, 2: 1.0, 1: 0.5}

    def once(*args, **kwargs):
        verdict = watching(*args, **kwargs)
        is_control = not kwargs["patches"]
        return replace(verdict, ended=Ended(1, 1)) if is_control else verdict

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts, "watch", once)
        healing = heal(patient(None))
    assert [trial.failed for trial in healing.before.values()] == ["it exited with 1"] * 3
    assert [trial.score for trial in healing.after.values()] == [0.5] * 3


def test_scores_that_are_none(watching):
    Path("train.py").write_text("print('score', 'nan')")
    trial = patient().train(Treatment(), seed=0)
    assert (trial.score, trial.failed) == (None, r"score +(\S+) is not finite")
    one = patient()
    Path("train.py").write_text("print('score', 1)")
    one.train(Treatment(), seed=0)
    silent = Treatment(texts={str(Path("train.py").absolute()): "pass"})
    assert "matches nothing" in one.train(silent, seed=0).failed
    wordy = Treatment(texts={str(Path("train.py").absolute()): "print('score', None)"})
    assert one.train(wordy, seed=0).failed == "what --metric finds is no number"
    Path("train.py").write_text("")
    assert "matches nothing" in one.train(Treatment(), seed=1).failed
    watching.error = GlialError("the doctor failed")
    assert one.train(silent, seed=0).failed == "the doctor failed"


def test_an_interrupt_leaves_what_is_known(watching):
    one = patient()
    one.train(Treatment(), seed=0)
    watching.end = Ended(1, -15, asked=signal.SIGTERM)
    with pytest.raises(Interrupted):
        one.train(Treatment(), seed=1)
    healing = heal(one)
    assert (healing.stopped, healing.signal) == ("interrupted", signal.SIGTERM)


# ---------------------------------------------------------------------------- writing


def test_files_are_written_beside_their_backups(tmp_path):
    path = tmp_path / "train.py"
    texts = ["lr = 1\r\n", "lr = 2\r\n", "# coding: latin-1\nx = 'é'\n"]
    path.write_bytes(texts[0].encode())
    path.chmod(0o750)
    for before, after in itertools.pairwise(texts):
        write_texts({str(path): after}, {str(path): before})
    assert path.read_bytes() == texts[2].encode("latin-1")
    assert (tmp_path / "train.py.orig").read_bytes() == texts[0].encode()
    assert (tmp_path / "train.py.orig.1").read_bytes() == texts[1].encode()
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o750}


def test_a_mark_of_the_encoding_stays(tmp_path):
    path = tmp_path / "train.py"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    source = Sources().get(str(path))
    write_texts({str(path): "a = 2\n"}, {str(path): source.text})
    assert path.read_bytes() == b"\xef\xbb\xbfa = 2\n"


def test_a_link_stays_one(tmp_path):
    (tmp_path / "real.py").write_text("a")
    (tmp_path / "train.py").symlink_to("real.py")
    write_texts({str(tmp_path / "train.py"): "b"}, {str(tmp_path / "train.py"): "a"})
    assert (tmp_path / "train.py").is_symlink()
    assert (tmp_path / "real.py").read_text() == "b"
    assert (tmp_path / "real.py.orig").read_text() == "a"


def test_what_was_changed_meanwhile_is_not_written(tmp_path):
    paths = [tmp_path / "a.py", tmp_path / "b.py"]
    for path in paths:
        path.write_text("old")
    before = {str(path): "old" for path in paths}
    paths[1].write_text("edited")
    with pytest.raises(InputError, match=r"b\.py was changed"):
        write_texts(dict.fromkeys(before, "new"), before)
    paths[1].unlink()
    with pytest.raises(InputError, match=r"b\.py was changed"):
        write_texts(dict.fromkeys(before, "new"), before)
    assert paths[0].read_text() == "old"


def test_patients_write_what_they_read_at_first(watching):
    one = patient()
    healing = heal(one)
    backups = one.write(healing.kept)
    path = Path("train.py").absolute()
    assert path.read_text() == healing.kept.texts[str(path)]
    assert backups[path].read_text() == SCRIPT
    with pytest.raises(InputError, match="was changed"):
        one.write(healing.kept)


def test_texts_after_a_change_are_whole(watching):
    one = patient()
    trial = one.train(Treatment(), seed=0)
    treatment = one.candidates(trial, Treatment())[0]
    (path,) = treatment.texts
    change = Change("n", "d", {path: (remedies.Edit(0, 8, "rate = 1"),)})
    assert texts_after([change], Sources()) == treatment.texts


# ---------------------------------------------------------------------------- command line

HEAL = ["doctor", "train.py", "--heal", "--metric", r"score +(\S+)", "--maximize"]


def test_the_command_heals_and_tells(watching, capsys):
    assert main([*HEAL, "--json", "--patch", "kept.diff"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"healthy", "findings", "watched", "healing"}
    healing = told["healing"]
    assert healing["metric"] == r"score +(\S+)"
    assert healing["kept"] == ["lower-rate", "take-mean"]
    assert (healing["before"]["mean"], healing["after"]["mean"]) == (0, 9)
    assert healing["diff"] == Path("kept.diff").read_text()
    assert (healing["set"], healing["written"]) == (None, {})
    assert healing["trainings"] <= healing["budget"] == 8
    assert Path("train.py").read_text() == SCRIPT
    subprocess.run(["patch", "-p1", "-s", "-i", "kept.diff"], check=True)
    assert Path("train.py").read_text() == SCRIPT.replace("9", "1", 1).replace("= 1\np", "= 0\np")


def test_the_command_writes_where_it_is_asked_to(watching, capsys):
    assert main([*HEAL, "--write"]) == 1
    out = capsys.readouterr().out
    assert "kept: writes rate = 1; writes total = 0 (lower-rate + take-mean)" in out
    assert "\n-rate = 9\n" in out
    assert "+rate = 1\n" in out
    assert f"written: {Path('train.py').absolute()}; what it held:" in out
    assert Path("train.py.orig").read_text() == SCRIPT
    assert Path("train.py").read_text() != SCRIPT


def test_the_command_keeps_nothing_that_does_not_help(watching, capsys, monkeypatch):
    table = {STEEP.problem: (replacing("raise-rate", "rate = 9", "rate = 10"),)}
    monkeypatch.setattr(remedies, "REMEDIES", table)
    assert main([*HEAL, "--json", "--write", "--patch", "kept.diff"]) == 1
    healing = json.loads(capsys.readouterr().out)["healing"]
    assert (healing["kept"], healing["diff"], healing["after"]) == ([], None, None)
    assert [attempt["verdict"] for attempt in healing["attempts"]] == ["dropped"]
    assert main(HEAL) == 1
    assert "nothing is kept; 2 trainings" in capsys.readouterr().out
    assert Path("train.py").read_text() == SCRIPT
    assert {path.name for path in Path().iterdir()} == {"train.py"}


def test_a_healthy_script_is_left_alone(watching, capsys):
    watching.findings = []
    assert main(HEAL) == 0
    assert "nothing to mend" in capsys.readouterr().out
    assert len(watching.calls) == 1


def test_an_interrupted_command_tells_what_it_knows(watching, capsys):
    watching.end = Ended(1, -2, asked=2)
    assert main([*HEAL, "--json"]) == 130
    assert json.loads(capsys.readouterr().out)["healing"]["stopped"] == "interrupted"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metric", "x", "--maximize"], "--metric goes with --heal"),
        (["--maximize"], "--maximize goes with --heal"),
        (["--minimize"], "--minimize goes with --heal"),
        (["--budget", "9"], "--budget goes with --heal"),
        (["--patch", "a.diff"], "--patch goes with --heal"),
        (["--write"], "--write goes with --heal"),
        (["--heal", "--metric", "x"], "neither"),
        (["--heal", "--metric", "x", "--maximize", "--minimize"], "--maximize and --minimize"),
        (["--heal", "--minimize"], "--minimize goes with --metric"),
        (["--heal", "--metric", "a(", "--maximize"], "no regular expression"),
        (["--heal", "--metric", "never", "--maximize"], "matches nothing"),
        (["--heal", "--metric", "score", "--maximize"], "is no number"),
        (["--heal", "--budget", "5"], "budget is too small"),
        (["--heal", "--budget", "nan"], "budget is too small"),
        (["--heal", "--patch", "none/a.diff"], "cannot write"),
        (["--heal", "--patch", "."], "cannot write"),
        (["--heal", "--steps", "3"], "does not go with --steps"),
        (["--heal", "--preflight"], "does not go with --preflight"),
        (["--heal", "-m", "json.tool"], "is not clear"),
    ],
)
def test_what_does_not_go_together_is_refused(watching, capsys, words, message):
    assert main(["doctor", "train.py", *words, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert message in " ".join(map(str, error.values()))
    assert error["do"]
    assert {path.name for path in Path().iterdir()} == {"train.py"}


def test_runs_and_notebooks_are_refused(watching, capsys):
    Path("run").mkdir()
    Path("run/plan.yaml").touch()
    Path("a.ipynb").touch()
    for subject, way in [("run", "glial train run/plan.yaml --heal"), ("a.ipynb", "nbconvert")]:
        assert main(["doctor", subject, "--heal"]) == 2
        assert way in capsys.readouterr().err


@pytest.mark.slow
def test_control_c_ends_a_healing(tmp_path):
    (tmp_path / "train.py").write_text("import time\nprint('score 1')\ntime.sleep(60)\n")
    words = ["-m", "glial", *HEAL, "--json"]
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(heal.__code__.co_filename).parents[2])},
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert process.stderr.readline() == "score 1\n"
        os.kill(process.pid, signal.SIGINT)
        told = json.loads(process.stdout.read())
        assert process.wait(30) == 130
    assert told["healing"]["stopped"] == "interrupted"
    assert told["watched"]["signal"] == "SIGINT"


# ---------------------------------------------------------------------------- the real thing

UNCLEARED = """\
import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.randn(400, 4)
y = (x[:, 0] * x[:, 1] > 0).long()
net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
for epoch in range(20):
    for rows in torch.randperm(300).split(30):
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(net(x[300:]), y[300:])
        print(f"loss {loss.item()}")
"""


@pytest.mark.slow
def test_a_real_script_is_better_with_what_it_is_tried_with(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(UNCLEARED)
    one = ScriptPatient(script_of(Path("train.py")))
    control = one.train(Treatment(), seed=0)
    printed = [float(line.split()[1]) for line in capfd.readouterr().out.splitlines()]
    assert len(printed) == 20
    assert control.score == pytest.approx(printed[-1])
    assert control.problems[0] == "missing-zero-grad"
    assert set(control.findings[0].remedy) == {"diff"}
    assert one.can_shorten
    treatment = one.candidates(control, Treatment())[0]
    assert one.diff(treatment) == control.findings[0].remedy["diff"]
    assert "+        optimizer.zero_grad()\n" in one.diff(treatment)
    treated = one.train(treatment, seed=0, share=0.5)
    assert treated.score < control.score
    assert treated.evidence.steps == 100
    assert "missing-zero-grad" not in treated.problems
    assert capfd.readouterr().out == ""
    assert Path("train.py").read_text() == UNCLEARED


@pytest.mark.slow
@pytest.mark.shared_data
def test_a_known_fault_has_a_diff_that_applies(shared_data, tmp_path, monkeypatch):
    cases = shared_data.parent / "faults" / "open_cases.py"
    if not cases.exists():
        pytest.skip("the known faults are not there")
    monkeypatch.chdir(tmp_path)
    path = Path("open_cases.py")
    path.write_bytes(cases.read_bytes())
    metric = PrintedMetric(r"^score (\S+)", lower_is_better=False)
    one = ScriptPatient(script_of(path, ["9", "0", "faulty"]), metric)
    control = one.train(Treatment(), seed=0)
    assert control.problems[0] in ("wrong-output-activation", "wrong-loss")
    tried = one.candidates(control, Treatment())
    assert tried
    for treatment in tried:
        subprocess.run(
            ["git", "apply", "--check", "-"], input=one.diff(treatment), text=True, check=True
        )
    assert path.read_bytes() == cases.read_bytes()
