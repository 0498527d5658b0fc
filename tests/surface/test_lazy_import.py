"""What importing Glial and asking for help may cost."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

HEAVY = ("torch", "polars", "sklearn", "pydantic", "numpy", "pandas", "scipy")


def loaded_by(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after running some code."""
    script = f"{code}\nimport sys\nprint('LOADED', *[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_importing_glial_loads_nothing_heavy():
    assert loaded_by("import glial; dir(glial); glial.__version__") == set()


def test_errors_load_nothing_heavy():
    assert loaded_by("import glial; glial.InputError") == set()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["train", "--help"], ["doctor", "--help"]]
)
def test_help_loads_nothing_heavy(arguments):
    code = (
        "from glial.cli import main\n"
        "import sys\n"
        f"sys.argv = ['glial', *{arguments!r}]\n"
        "try:\n    status = main()\n"
        "except SystemExit as error:\n    status = error.code\n"
        "assert not status, status"
    )
    assert loaded_by(code) == set()


def test_module_runs_as_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "glial", "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
    assert "train" in done.stdout
    assert done.stderr == ""


def test_help_answers_in_time():
    def seconds_taken():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "glial", "--help"]
        subprocess.run(command, capture_output=True, timeout=120, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # The processor's time, and the best of some: other work on the machine does not count.
    assert min(seconds_taken() for _ in range(5)) < 0.3
