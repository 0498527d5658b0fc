"""Healing a script from the command line: what is asked for, kept, written and told."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glial.cli.healing import add_healing_arguments, healing_text
from glial.core.errors import InputError

if TYPE_CHECKING:
    from glial.doctor.launching import Script, Verdict
    from glial.healing import Healing, PrintedMetric, ScriptPatient


def add_script_healing_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked of the healing of a script.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_script_healing_arguments(parser)
        >>> parser.parse_args(["--heal", "--budget", "12"]).budget
        12.0
    """
    add_healing_arguments(parser, "the script")
    add = parser.add_argument
    add("--metric", metavar="REGEX", help="finds the held-out metric in the script's output")
    add("--maximize", action="store_true", help="a higher metric is a better one")
    add("--minimize", action="store_true", help="a lower metric is a better one")
    add("--patch", metavar="FILE", help="write what was kept as a diff")
    add("--write", action="store_true", help="write what was kept into the files; backups: .orig")


def check_healing(options: argparse.Namespace) -> PrintedMetric | None:
    """The metric that was asked for; None where there is none.

    Args:
        options: What was asked for.

    Raises:
        InputError: If what was asked for does not go together.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_script_healing_arguments(parser)
        >>> check_healing(parser.parse_args([])) is None
        True
    """
    asked = {
        "--metric": options.metric is not None,
        "--maximize": options.maximize,
        "--minimize": options.minimize,
        "--budget": options.budget is not None,
        "--patch": options.patch is not None,
        "--write": options.write,
    }
    for name, is_given in asked.items():
        if is_given and not options.heal:
            raise _refused(f"{name} goes with --heal", "--heal too", f"{name} alone", "add --heal")
    ways = [name for name in ("--maximize", "--minimize") if asked[name]]
    if options.metric is not None and len(ways) != 1:
        raise _refused(
            "whether a higher --metric is a better one is not clear",
            "--maximize or --minimize: one of them",
            " and ".join(ways) or "neither",
            "say --maximize for a score, --minimize for a loss",
        )
    if options.metric is None and ways:
        raise _refused(
            f"{ways[0]} goes with --metric",
            "an expression that finds the metric in the script's output",
            f"{ways[0]} alone",
            "add --metric REGEX; without it the evaluation loss is minimised",
        )
    if not options.heal:
        return None
    _check_subject(options)
    if options.patch is not None:
        check_writable(Path(options.patch), "--patch")
    from glial.healing import DEFAULT_BUDGET, PrintedMetric
    from glial.healing.account import check_budget

    options.budget = DEFAULT_BUDGET if options.budget is None else options.budget
    check_budget(options.budget)
    return (
        None if options.metric is None else PrintedMetric(options.metric, options.maximize is False)
    )


def _check_subject(options: argparse.Namespace) -> None:
    """Refuse what cannot be trained again and again from its start to its end."""
    subject = str(options.subject or "")
    if (Path(subject) / "plan.yaml").exists():
        raise _refused(
            "--heal does not go with a run",
            "a script or a module",
            f"the run {subject}",
            f"train its plan with: glial train {Path(subject) / 'plan.yaml'} --heal",
        )
    if subject.endswith(".ipynb"):
        raise _refused(
            "--heal does not go with a notebook",
            "a script or a module, whose lines a diff can name",
            subject,
            f"make a script of it with: jupyter nbconvert --to script {subject}",
        )
    for name in ("steps", "preflight"):
        if getattr(options, name):
            raise _refused(
                f"--heal does not go with --{name}",
                "whole trainings, whose metric can be read",
                f"--{name}",
                f"leave --{name} out",
            )


def _refused(what: str, expected: str, got: str, do: str) -> InputError:
    return InputError(what, expected=expected, got=got, do=do)


def check_writable(path: Path, option: str) -> None:
    """Refuse a file that cannot be written before anything is trained.

    Example:
        >>> check_writable(Path("found.sarif"), "--sarif")
    """
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise InputError(
            f"cannot write {path}",
            expected="a file in a folder that is there",
            got="a folder" if path.is_dir() else f"no folder {path.parent}",
            do=f"choose another place for {option}",
        )


def heal_script(
    script: Script, metric: PrintedMetric | None, options: argparse.Namespace
) -> tuple[Verdict, ScriptPatient, Healing]:
    """Heal a script: its verdict unchanged, and what was tried.

    Args:
        script: It.
        metric: What it is measured by.
        options: What was asked for.
    """
    from glial.healing import ScriptPatient, heal

    patient = ScriptPatient(
        script,
        metric,
        sensitivity=options.sensitivity,
        ignore=options.ignore,
        output_to_error=options.json,
    )
    healing = heal(patient, budget=options.budget)
    assert patient.verdict is not None  # noqa: S101 - it was trained at least once
    return patient.verdict, patient, healing


def keep(patient: ScriptPatient, healing: Healing, options: argparse.Namespace) -> dict[str, Any]:
    """Write what was kept where that was asked for.

    Args:
        patient: The script.
        healing: What was kept of it.
        options: What was asked for.

    Returns:
        What is told of it: ``diff``, and the ``written`` files with their backups.
    """
    from glial.core.files import write_atomic

    diff = patient.diff(healing.kept) if healing.kept else None
    written: dict[str, str] = {}
    if diff and healing.kept:
        if options.patch is not None:
            write_atomic(Path(options.patch), diff)
        if options.write:
            backups = patient.write(healing.kept)
            written = {str(path): str(backup) for path, backup in backups.items()}
    return {"diff": diff, "written": written}


def told(healing: Healing, kept: dict[str, Any]) -> dict[str, Any]:
    """The healing as JSON.

    Args:
        healing: It.
        kept: What :func:`keep` gave.

    Example:
        >>> from glial.healing import Healing
        >>> told(Healing("accuracy", False, 8), {"diff": None, "written": {}})["written"]
        {}
    """
    return {**healing.to_dict(diff=kept["diff"]), "written": kept["written"]}


def print_healing(healing: dict[str, Any]) -> None:
    """Print what was tried, what it brought, and what was kept.

    Args:
        healing: As JSON.

    Example:
        >>> print_healing({"stopped": "healthy", "attempts": [], "diff": None, "written": {}})
        healing: nothing to mend
    """
    for line in healing_text(healing):
        print(line)
    if healing["diff"]:
        print(f"\n{healing['diff']}")
    for path, backup in healing["written"].items():
        print(f"written: {path}; what it held: {backup}")
