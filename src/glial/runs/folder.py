"""Run folders: which one is next, which one may be used, and whether it is the same experiment."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Any

import torch

from glial.core.errors import InputError
from glial.core.files import read_json, to_json, write_atomic
from glial.core.version import __version__
from glial.runs.reporting import same_but_for_loggers, without_loggers
from glial.tasks import Task

ROOT = Path("runs")


def next_folder(name: str, asked: dict[str, Any], resume: bool, root: Path = ROOT) -> Path:
    """The folder of a run that names none: ``runs/<name>-<n>``.

    Args:
        name: Short name of the source.
        asked: The plan's keys that were set.
        resume: Whether the latest run of the same experiment is wanted, if there is one.
        root: Where runs lie.

    Returns:
        A folder that is not there yet, or the one to go on with.

    Example:
        >>> next_folder("iris", {}, False, root=Path("no-such-folder")).name
        'iris-1'
    """
    pattern = re.compile(rf"{re.escape(name)}-(\d+)")
    found = [pattern.fullmatch(path.name) for path in root.glob(f"{name}-*")]
    numbers = sorted(int(match.group(1)) for match in found if match)
    if resume:
        for number in reversed(numbers):
            folder = root / f"{name}-{number}"
            if same_but_for_loggers(asked, asked_before(folder)):
                return folder
    return root / f"{name}-{numbers[-1] + 1 if numbers else 1}"


def asked_before(folder: Path) -> dict[str, Any] | None:
    """The plan's keys that a run was started with; None where no run has begun.

    Example:
        >>> asked_before(Path("no-such-folder")) is None
        True
    """
    path = folder / "environment.json"
    if not path.exists():
        return None
    content = read_json(path)
    asked = content.get("asked") if isinstance(content, dict) else None
    return asked if isinstance(asked, dict) else None


def start_folder(folder: Path, resume: bool) -> bool:
    """Whether a run has begun in a folder.

    Args:
        folder: The run's folder.
        resume: Whether going on is wanted.

    Returns:
        True for a run that has begun, False for a folder that is missing or empty.

    Raises:
        InputError: If the path is a file, or the folder is not empty and going on is not
            wanted or not possible.

    Example:
        >>> start_folder(Path("no-such-folder"), resume=False)
        False
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(
            f"{folder} is a file",
            expected="a folder for the run",
            got="a file of that name",
            do="choose another folder with --out",
        )
    if not folder.exists():
        return False
    # Files that begin with a dot are writes that a kill cut off.
    content = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    begun = (folder / "environment.json").exists()
    unstarted = {"encoding.json", "encoding.safetensors", "decoding.json", "plan.yaml"}
    if not content or (resume and not begun and set(content) <= unstarted):
        return False
    if resume and begun:
        return True
    raise InputError(
        f"the folder {folder} is not empty",
        expected="a new or empty folder" if not resume else "the folder of an unfinished run",
        got=", ".join(sorted(content)[:6]),
        do="choose another with --out" + ("" if resume else ", or go on with --resume"),
    )


def check_same_experiment(folder: Path, asked: dict[str, Any]) -> None:
    """Refuse to go on with another plan than the run began with; loggers may be others.

    Raises:
        InputError: If a key differs; the message names it.
    """
    before = asked_before(folder)
    if before is None:
        return
    old, new = without_loggers(before), without_loggers(asked)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            raise InputError(
                f"the run {folder} was started with another plan",
                expected=f"{key} = {old[key]!r}" if key in old else f"{key} left out",
                got=f"{new[key]!r}" if key in new else "left out",
                do=f"go on with: glial train {folder} --resume, or choose a new folder with --out",
            )


def write_start(folder: Path, plan: str, asked: dict[str, Any], task: Task, data: str) -> None:
    """What must be on disk before the first step.

    Args:
        folder: The run's folder.
        plan: The plan as YAML, with the choices made so far.
        asked: The plan's keys that were set.
        task: What is learnt.
        data: Fingerprint of the rows.

    Raises:
        InputError: If the run has begun with other rows.
    """
    environment = {
        "glial": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "started_in": str(Path.cwd()),
        "data": data,
        "asked": asked,
    }
    previous = folder / "environment.json"
    if previous.exists():
        _check_same_data(previous, data)
    if not (folder / "decoding.json").exists():  # it may hold thresholds tuned since
        write_atomic(folder / "decoding.json", to_json(task.state()))
    write_atomic(folder / "environment.json", to_json(environment))
    write_atomic(folder / "plan.yaml", plan)


def _check_same_data(path: Path, data: str) -> None:
    if read_json(path).get("data") != data:
        raise InputError(
            "the data has changed since this run began",
            expected="the same rows, so that training can go on where it was",
            got="other rows",
            do="restore the data, or start a new run without --resume",
        )
