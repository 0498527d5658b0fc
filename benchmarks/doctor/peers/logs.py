"""Tools that read a finished training's log: a CSV of steps, losses, rates and gradient norms."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doctor.peers.listening import Watcher
from doctor.peers.watchers import silence

Row = dict[str, Any]
NAMES = ("step", "train_loss", "val_loss", "lr", "grad_norm")


def written(rows: list[Row], path: Path) -> None:
    """The log as a file; a cell is empty where nothing was measured."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, NAMES, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def runmedic(rows: list[Row], path: Path) -> Iterator[tuple[str, str, str]]:
    """``runmedic diagnose``: rule, severity and text of each finding."""
    from runmedic import loaders, roles
    from runmedic.checks import run_checks

    for run in loaders.load(str(path)):
        for finding in run_checks(run, roles.detect(run)):
            severity = {"critical": "error", "warning": "warning"}.get(finding.severity, "note")
            yield finding.check, severity, finding.title


def trainspotter(rows: list[Row], path: Path) -> Iterator[tuple[str, str, str]]:
    """trainspotter, as its command reads a file."""
    from trainspotter.detectors import run_all
    from trainspotter.readers import load_run

    for finding in run_all(load_run(str(path))):
        severity = finding.severity if finding.severity != "info" else "note"
        yield finding.title.split(" (")[0], severity, finding.message


def losslint(rows: list[Row], path: Path) -> Iterator[tuple[str, str, str]]:
    """``losslint check``."""
    from losslint.checks import run_all_checks
    from losslint.parsing import load_run

    for finding in run_all_checks(load_run(path)):
        severity = finding.severity if finding.severity != "info" else "note"
        yield finding.check, severity, finding.message


def training_doctor(rows: list[Row], path: Path) -> Iterator[tuple[str, str, str]]:
    """training-doctor's ``Doctor().log(...)`` at each step."""
    from training_doctor import Doctor

    doctor = Doctor()
    doctor.set_auto_print(False)
    levels = {"critical": "error", "warning": "warning"}
    for row in rows:
        told = {"loss": row["train_loss"], "train_loss": row["train_loss"]}
        told |= {name: row[name] for name in ("lr", "grad_norm") if row.get(name) is not None}
        if row.get("val_loss") is not None:
            told["eval_loss"] = row["val_loss"]
        for diagnosis in doctor.log(row["step"], **told):
            severity = levels.get(diagnosis.severity.value, "note")
            yield diagnosis.problem, severity, diagnosis.explanation


READERS = {
    "runmedic": runmedic,
    "trainspotter": trainspotter,
    "losslint": losslint,
    "training-doctor": training_doctor,
}


def read(rows: list[Row], path: Path, found: dict[str, Watcher], failed: dict[str, str]) -> None:
    """What every reader says of one log, added to what was found and to what failed."""
    if not rows:
        return
    written(rows, path)
    for name, reader in READERS.items():
        watcher = found.setdefault(name, Watcher())
        try:
            with silence():
                for rule, severity, text in reader(rows, path):
                    watcher.say(rule, severity, text)
        except Exception as error:  # noqa: BLE001 a tool's failure is a result
            failed[name] = f"read: {type(error).__name__}: {error}"[:300]
