"""Scripts that run with another text or other seeds than their files hold, and are heard."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from glial.doctor.launching import Output, launch, module_of, script_of, watch
from glial.doctor.patches import Patches
from glial.doctor.seeding import STRIDE, Seeding

# What a script can see of how it is run.
SEEN = """\
import inspect, os, sys, traceback
import beside

def code():
    return 1

class Kind:
    pass

print("NEW", __name__, __file__, __spec__, __package__, __doc__, type(__loader__).__name__)
print(sys.argv, sys.path[0], sorted(name for name in globals()))
print(code.__code__.co_filename, inspect.getsource(code), Kind.__module__, Kind.__qualname__)
print(beside.VALUE, beside.__file__, inspect.getsource(beside.give), sys.modules["__main__"].code())
try:
    raise ValueError
except ValueError as error:
    print(traceback.extract_tb(error.__traceback__)[-1].line)
"""
BESIDE = "VALUE = 'NEW'\ndef give():\n    return VALUE\n"
OLD = {"train.py": "print('OLD')\n", "beside.py": "VALUE = 'OLD'\n"}
NEW = {"train.py": SEEN, "beside.py": BESIDE}


def write(folder, texts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)


def run_plainly(words, folder):
    """What Python prints without the doctor."""
    told = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    return told.stdout


def run_patched(script, texts, folder, **more):
    output = Output(hidden=True)
    verdict = watch(
        script,
        patches={str(folder / name): text for name, text in texts.items()},
        output=output,
        **more,
    )
    return verdict, output.text


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder of old texts, which is where Python runs, and beside it one of new ones."""
    write(tmp_path / "old", OLD)
    write(tmp_path / "new", NEW)
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train.py", "../old/train.py", "ABSOLUTE"])
def test_a_patched_script_runs_as_if_it_stood_in_its_place(project, name):
    old, new = project / "old", project / "new"
    given = str(old / "train.py") if name == "ABSOLUTE" else name
    there = given.replace("old", "new")
    expected = run_plainly([there, "-a", "b c"], new)
    assert "NEW __main__" in expected
    verdict, told = run_patched(script_of(type(old)(given), ["-a", "b c"]), NEW, old)
    assert told == expected.replace(str(new), str(old)).replace("../new", "../old")
    assert (verdict.ended.status, verdict.note) == (0, launch.NO_TORCH)
    assert {path.name: path.read_text() for path in old.glob("*.py")} == OLD
    assert not list(old.glob("__pycache__/*"))


@pytest.mark.slow
def test_old_byte_code_is_not_taken_and_stays(project):
    old, new = project / "old", project / "new"
    write(old / "package", {"__init__.py": "", "train.py": "print('OLD')\n"})
    write(new / "package", {"__init__.py": "", "train.py": SEEN})
    run_plainly(["-m", "compileall", "-q", "beside.py", "package"], old)
    before = {path: path.read_bytes() for path in old.rglob("*.pyc")}
    assert len(before) == 3
    expected = run_plainly(["-m", "package.train", "-a"], new)
    texts = {"package/train.py": SEEN, "beside.py": BESIDE}
    _, told = run_patched(module_of("package.train", ["-a"]), texts, old)
    strip = [line.partition(" object at ")[0] for line in told.splitlines()]
    expected = expected.replace(str(new), str(old))
    assert strip == [line.partition(" object at ")[0] for line in expected.splitlines()]
    assert {path: path.read_bytes() for path in old.rglob("*.pyc")} == before


SPAWNING = """\
import multiprocessing, subprocess, sys

def work(n):
    return "NEW", n, __name__, __file__

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(work, [1, 2]))
    if len(sys.argv) == 1:
        subprocess.run([sys.executable, __file__, "inner"], check=True)
"""


@pytest.mark.slow
def test_processes_that_a_patched_script_spawns_or_starts_are_patched(project):
    write(project / "new", {"train.py": SPAWNING})
    expected = run_plainly(["train.py"], project / "new")
    assert expected.count("NEW") == 4
    _, told = run_patched(
        script_of(project / "old/train.py"), {"train.py": SPAWNING}, project / "old"
    )
    assert sorted(told.splitlines()) == sorted(
        expected.replace(str(project / "new"), str(project / "old")).splitlines()
    )


@pytest.mark.slow
def test_a_patched_script_that_fails_says_where(project):
    text = "import torch\n\nraise ValueError('boom')\n"
    output = Output(hidden=True)
    path = project / "old/train.py"
    verdict = watch(script_of(path), patches={str(path): text}, output=output)
    assert verdict.exit_status() == 3
    assert (verdict.evidence.ended, str(verdict.evidence.error_at)) == ("ValueError", "train.py:3")
    assert output.errors.rstrip().endswith("ValueError: boom")
    assert f'File "{path}", line 3' in output.errors


def test_texts_keep_the_encoding_that_they_declare():
    text = "# -*- coding: latin-1 -*-\nx = 'é'\n"
    assert Patches({"a.py": text}).bytes_of("a.py") == text.encode("latin-1")
    assert Patches({"a.py": "x = 'é'"}).bytes_of("a.py") == "x = 'é'".encode()
    assert Patches({"a.py": "# coding: none\n"}).bytes_of("a.py") == b"# coding: none\n"
    assert Patches({"a.py": ""}).bytes_of(3) is None


DRAWS = """\
import random
import numpy, torch
from numpy.random import default_rng
SEEDING
generator = torch.Generator().manual_seed(5)
print(random.random(), numpy.random.rand(), torch.rand(1).item())
print(torch.rand(1, generator=generator).item(), default_rng(3).random())
print(isinstance(torch.default_generator, torch.Generator), isinstance(generator, torch.Generator))
"""
SEEDS = "random.seed(1); numpy.random.seed(2); torch.manual_seed(seed=3)"


def draws(folder, shift, seeding=SEEDS):
    path = folder / "train.py"
    path.write_text(DRAWS.replace("SEEDING", seeding))
    output = Output(hidden=True)
    verdict = watch(script_of(path), seed_shift=shift, output=output)
    assert verdict.ended.status == 0, output.errors
    lines = output.text.splitlines()
    assert lines[2] == "True True"
    return [float(number) for line in lines[:2] for number in line.split()], verdict


def expected_draws(shift):
    moved = [shift * STRIDE + seed for seed in (1, 2, 3, 5)]
    return [
        random.Random(moved[0]).random(),
        np.random.RandomState(moved[1]).rand(),
        torch.rand(1, generator=torch.Generator().manual_seed(moved[2])).item(),
        torch.rand(1, generator=torch.Generator().manual_seed(moved[3])).item(),
        np.random.default_rng(3).random(),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0, 2])
def test_seeds_are_moved(tmp_path, shift):
    assert draws(tmp_path, shift)[0] == expected_draws(shift)


@pytest.mark.slow
def test_what_is_never_seeded_is_seeded_and_told_all_the_same(tmp_path):
    first, verdict = draws(tmp_path, 0, "")
    assert first == draws(tmp_path, 0, "")[0]
    other = draws(tmp_path, 1, "")[0]
    assert [a == b for a, b in zip(first, other, strict=True)] == [False] * 4 + [True]
    assert verdict.evidence.unseeded == ["torch", "numpy"]


def test_what_is_no_seed_is_left():
    seeding = Seeding(3)
    assert [seeding.moved(seed) for seed in (None, "a", True, 1.5)] == [None, "a", True, 1.5]
    assert seeding.moved(2**32 - 1) == 3 * STRIDE - 1


@pytest.mark.slow
def test_output_is_kept_and_shown(tmp_path, capfd):
    path = tmp_path / "train.py"
    path.write_text(r"import sys; sys.stdout.write('out 1\n'); sys.stderr.write('err\n')")
    output = Output()
    watch(script_of(path), output=output)
    assert (output.text, output.errors) == ("out 1\n", "err\n")
    told = capfd.readouterr()
    assert (told.out, told.err) == ("out 1\n", "err\n")
    watch(script_of(path), output=Output(), output_to_error=True)
    told = capfd.readouterr()
    assert (told.out, sorted(told.err.split("\n"))) == ("", ["", "err", "out 1"])
    output = Output(hidden=True)
    watch(script_of(path), output=output)
    told = capfd.readouterr()
    assert (output.text, output.errors, told.out, told.err) == ("out 1\n", "err\n", "", "")


@pytest.mark.slow
def test_a_script_whose_time_is_over_is_ended(tmp_path):
    path = tmp_path / "train.py"
    path.write_text("import time; print('on'); time.sleep(60)")
    began = time.monotonic()
    output = Output(hidden=True)
    verdict = watch(script_of(path), most_seconds=1.0, output=output)
    assert 1.0 <= time.monotonic() - began < 20
    assert (verdict.ended.late, verdict.failed, output.text) == (True, True, "on\n")
    assert verdict.exit_status() == 3
