"""From a script, a module, a notebook or a run to a verdict."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from glial.core.errors import GlialError, InputError
from glial.core.findings import Finding, Place
from glial.doctor.evidence import Evidence, NotChecked
from glial.doctor.evidence.table import save_evidence
from glial.doctor.launching import (
    Verdict,
    examine_run,
    launch,
    module_of,
    process,
    script_of,
    watch,
)
from glial.doctor.launching.gathering import gather
from glial.doctor.launching.process import Ended
from glial.doctor.launching.script import Script
from glial.doctor.traces import Traces

WARNING = Finding("dead-units", "warning", "0", {"share": 0.5}, "half is dead", "mend it")
NOTE = Finding("redundant-layer", "note", "1", {}, "it is there twice", "leave one out")
CODE = Script("code", ("-c", "pass"))


def ended(status=0, asked=None, forced=False):
    return Ended(1, status, asked, forced)


@pytest.mark.parametrize(
    ("findings", "end", "evidence", "status", "strict"),
    [
        ([], ended(), Evidence(steps=1), 0, 0),
        ([NOTE], ended(), Evidence(steps=1), 0, 0),
        ([WARNING], ended(), Evidence(steps=1), 1, 1),
        ([WARNING], ended(1), Evidence(steps=1), 3, 3),
        ([WARNING], ended(-9), Evidence(steps=1), 3, 3),
        ([], ended(7), None, 3, 3),
        ([], ended(), None, 0, 1),
        ([], ended(), Evidence(), 0, 1),
        ([WARNING], ended(-2, asked=2), Evidence(steps=1), 130, 130),
        ([], ended(0, asked=15), None, 143, 143),
        ([], ended(-15, forced=True), Evidence(steps=1), 0, 0),
        ([], ended(-15, forced=True), Evidence(steps=1, ended="ValueError"), 3, 3),
        ([], ended(1), Evidence(steps=5, stopped=True), 0, 0),
        ([WARNING], None, None, 1, 1),
        ([], None, None, 0, 0),
    ],
)
def test_exit_status(findings, end, evidence, status, strict):
    verdict = Verdict(findings, evidence, end)
    assert verdict.exit_status() == status
    assert verdict.exit_status(strict=True) == strict


def test_verdict_as_json():
    seen = Evidence(steps=3, seconds=2.0, watching=0.5, not_checked=[NotChecked("leakage", "no")])
    told = Verdict([WARNING], seen, ended(-9), {7: 3, 8: 0}).to_dict()
    assert set(told) == {"healthy", "findings", "watched"}
    assert told["healthy"] is False
    assert told["findings"] == [WARNING.to_dict()]
    watched = told["watched"]
    assert (watched["exit_status"], watched["signal"], watched["steps"]) == (137, "SIGKILL", 3)
    assert watched["overhead_share"] == 0.25
    assert watched["not_checked"] == [{"problem": "leakage", "why": "no"}]
    assert watched["processes"] == [{"pid": 7, "steps": 3}, {"pid": 8, "steps": 0}]
    assert [watched[key] for key in ("models", "optimizers", "losses", "loaders")] == [[]] * 4


def leave(folder, process, evidence, error=None):
    traces = Traces.of(folder, process)
    traces.folder.mkdir()
    traces.evidence.write_text(json.dumps(evidence.to_dict()))
    if error is not None:
        traces.error.write_text(json.dumps(error))


def test_the_process_that_trained_most_comes_first(tmp_path):
    error = {"ended": "ValueError", "error": "boom", "error_at": {"file": "a.py", "line": 3}}
    for number, steps in [(11, 0), (12, 5), (13, 9), (14, 9)]:
        leave(tmp_path, number, Evidence(steps=steps), error if number == 14 else None)
    Traces.of(tmp_path, 15).folder.mkdir()  # was watched, and left nothing
    assert list(gather(tmp_path, 11)) == [13, 14, 12, 11]
    found = gather(tmp_path, 14)
    assert list(found) == [14, 13, 12, 11]
    assert (found[14].ended, found[14].error) == ("ValueError", "boom")
    assert found[14].error_at == Place("a.py", 3)
    assert found[13].ended is None


def test_evidence_keeps_numbers_that_are_not_finite(tmp_path):
    evidence = Evidence(steps=1)
    evidence.memory.add(1, float("inf"))
    leave(tmp_path, 3, evidence)
    assert gather(tmp_path, 3)[3].memory.values == [float("inf")]


def test_a_script_without_torch_leaves_nothing_to_judge():
    verdict = watch(CODE)
    assert (verdict.findings, verdict.evidence, verdict.note) == ([], None, launch.NO_TORCH)
    assert verdict.exit_status() == 0


@pytest.mark.slow
def test_torch_alone_is_no_training():
    verdict = watch(Script("code", ("-c", "import torch")))
    assert (verdict.note, verdict.to_dict()["watched"]["steps"]) == (launch.NO_STEP, 0)


def test_a_script_that_is_no_python_ends_with_its_own_traceback(tmp_path, capfd):
    path = tmp_path / "a.py"
    path.write_text("x = (1\n")
    assert watch(script_of(path)).exit_status() == 3
    assert "SyntaxError: '(' was never closed" in capfd.readouterr().err


def test_an_unknown_problem_is_refused_before_anything_is_run(tmp_path):
    mark = tmp_path / "ran"
    with pytest.raises(InputError, match="did you mean 'dead-units'"):
        watch(Script("code", ("-c", f"open({str(mark)!r}, 'w')")), ignore=["dead-unit@0"])
    assert not mark.exists()


@pytest.mark.slow
def test_an_error_of_the_doctors_own_leaves_the_script_alone(capfd):
    # The folder for evidence is gone when torch is imported: the watching cannot begin.
    lose_it = "import os, shutil\nshutil.rmtree(os.environ['GLIAL_DOCTOR_FOLDER'])\n"
    code = f"{lose_it}import torch\nprint('went on')"
    with pytest.raises(GlialError, match="No such file") as error:
        watch(Script("code", ("-c", code)))
    assert error.value.exit_status == 4
    assert capfd.readouterr().out == "went on\n"
    verdict = watch(Script("code", ("-c", f"{code}\nraise SystemExit(6)")))
    assert verdict.exit_status() == 3


@pytest.mark.slow
def test_a_script_that_clears_its_variables_is_watched():
    verdict = watch(Script("code", ("-c", "import os; os.environ.clear(); import torch")))
    assert verdict.note == launch.NO_STEP


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.py", None, "there is no file"),
        ("data.csv", b"a,b\n1,2\n", "is not Python"),
        ("binary", b"\x7fELF\0\0", "is not Python"),
        ("compiled.py", b"\xa7\r\0\0", "is not Python"),
        ("shell", b"#!/bin/bash\npython train.py\n", "is not Python"),
    ],
)
def test_files_that_are_no_scripts(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        script_of(tmp_path / name)


def test_a_missing_file_is_looked_for_nearby(tmp_path):
    (tmp_path / "train.py").touch()
    with pytest.raises(InputError, match=r"did you mean .*train\.py"):
        script_of(tmp_path / "trian.py")
    with pytest.raises(InputError, match="is a folder"):
        script_of(tmp_path)


@pytest.mark.parametrize("name", ["no_such_package.train", "", ".relative", "a-b"])
def test_modules_that_are_not_there(name):
    with pytest.raises(InputError, match="there is no module"):
        module_of(name)


def test_modules_of_the_folder_and_of_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.py").write_text("import sys; sys.exit(len(sys.argv))")
    assert watch(module_of("mine.train", ["a", "b"])).ended.status == 3
    assert module_of("json.tool").words == ("-m", "json.tool")


def test_places_are_told_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = Script("a.py", ("a.py",))
    assert script.place(Place(str(tmp_path / "sub" / "a.py"), 3)) == Place("sub/a.py", 3)
    assert script.place(Place("/elsewhere/a.py", 3)) == Place("/elsewhere/a.py", 3)
    assert script.place(None) is None


def test_a_run_is_judged_by_its_evidence_or_by_what_it_was_saved_with(tmp_path):
    findings = [WARNING.to_dict(), {**NOTE.to_dict(), "at": {"file": "a.py", "line": 3}}]
    (tmp_path / "findings.json").write_text(json.dumps(findings))
    verdict = examine_run(tmp_path)
    assert verdict.findings[0] == WARNING
    assert verdict.findings[1].at == Place("a.py", 3)
    assert "keeps no evidence" in str(verdict.note)
    assert verdict.exit_status() == 1
    assert examine_run(tmp_path, ignore=["dead-units@0"]).exit_status(strict=True) == 0
    save_evidence(Evidence(steps=3), tmp_path / "evidence.parquet")
    verdict = examine_run(tmp_path)
    assert verdict.evidence is not None
    assert (verdict.evidence.steps, verdict.note) == (3, None)


@pytest.mark.parametrize("content", ["", "{}", '[{"problem": 3}]', '{"steps": "many"}'])
def test_a_damaged_run_is_refused(tmp_path, content):
    for name in ("findings.json", "evidence.parquet"):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match="cannot be read"):
            examine_run(tmp_path)
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match="is missing"):
        examine_run(tmp_path)


@pytest.mark.slow
def test_the_parent_does_not_import_torch():
    code = "import glial.doctor.launching, sys; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_a_notebook_is_run_in_its_folder(doctor):
    folder = doctor.folder / "sub"
    folder.mkdir()
    (folder / "own_module.py").write_text("steps = 3\n")
    training = doctor.write("").read_text()
    cells = [
        ["# words"],
        ["%matplotlib inline\n", training],
        ["import own_module\n", "train(own_module.steps)\n", "display(os.getcwd())"],
        ["!ls\n", "raise ValueError('boom')"],
    ]
    kinds = ["markdown", "code", "code", "code"]
    notebook = {
        "cells": [{"cell_type": k, "source": c} for k, c in zip(kinds, cells, strict=True)],
        "metadata": {"kernelspec": {"language": "python"}},
    }
    (folder / "a.ipynb").write_text(json.dumps(notebook))
    told = doctor.call("sub/a.ipynb", "--json")
    assert (told.status, told.watched["steps"]) == (3, 3), told.err
    assert str(folder) in told.err
    assert "%matplotlib inline (sub/a.ipynb:cell 2:1)" in told.err
    assert "!ls (sub/a.ipynb:cell 4:1)" in told.err
    assert told.watched["error"]["at"] == {"file": "sub/a.ipynb:cell 4", "line": 2}
    assert (
        sorted(path.name for path in folder.iterdir()) == ["a.ipynb", "own_module.py"]
        or (folder / "__pycache__").exists()
    )


@pytest.mark.slow
def test_a_thread_that_never_ends_does_not_keep_the_verdict(monkeypatch, capfd):
    monkeypatch.setattr(process, "IDLE_SECONDS", 1.0)
    code = (
        "import threading, torch\n"
        "threading.Thread(target=threading.Event().wait).start()\nraise ValueError('boom')"
    )
    verdict = watch(Script("code", ("-c", code)))
    assert (verdict.note, verdict.exit_status()) == (launch.HUNG, 3)
    assert verdict.evidence is not None
    assert verdict.evidence.ended == "ValueError"
    assert "ValueError: boom" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.dist
def test_ranks_that_torchrun_starts(doctor):
    doctor.write("train(6 + int(os.environ['RANK']))")
    words = ["-m", "torch.distributed.run", "--json", "--", "--standalone", "--nproc-per-node=2"]
    told = doctor.call(*words, "train.py")
    assert told.is_status_of_findings, told.err
    assert [each["steps"] for each in told.watched["processes"]] == [7, 6, 0]


RANKS = """\
import sys
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
torch.manual_seed(dist.get_rank())
wrapped = DistributedDataParallel(nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 2)))
optimizer = torch.optim.Adam(wrapped.parameters(), lr=0.01)
for _ in range(30):
    x = torch.randn(8, 3)
    optimizer.zero_grad()
    loss_of(wrapped(x), (x[:, 0] > 0).long()).backward()
    optimizer.step()
state = {"weights": wrapped.module.state_dict(), "next": torch.rand(1)}
torch.save(state, f"{sys.argv[1]}-{dist.get_rank()}.pt")
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.dist
def test_ranks_train_to_the_weights_of_ranks_without_the_doctor(doctor):
    doctor.write(RANKS)
    words = ["--standalone", "--nproc-per-node=2", "train.py"]
    told = doctor.call("-m", "torch.distributed.run", "--json", "--", *words, "watched")
    assert told.is_status_of_findings, told.err
    assert [each["steps"] for each in told.watched["processes"]] == [30, 30, 0]
    assert told.watched["models"] == ["wrapped"]
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words, "alone"],
        cwd=doctor.folder,
        env=doctor.variables,
        check=True,
        capture_output=True,
    )
    for rank in (0, 1):
        watched, alone = (
            torch.load(doctor.folder / f"{name}-{rank}.pt", weights_only=True)
            for name in ("watched", "alone")
        )
        assert torch.equal(watched["next"], alone["next"])
        for name, value in alone["weights"].items():
            assert torch.equal(watched["weights"][name], value)
