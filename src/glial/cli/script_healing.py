"""Healing a script from the command line: what is asked for, kept, written and told."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glial.cli.arguments import number
from glial.core.errors import InputError

if TYPE_CHECKING:
    from glial.doctor.launching import Script, Verdict
    from glial.healing import Healing, PrintedMetric, ScriptPatient
    from glial.healing.ledger import Attempt

REASONS = {
    "healthy": "no error and no warning: there is nothing to heal",
    "no-remedy": "no change of the source is known that could mend what was found",
    "budget": "the budget was spent before everything was tried",
    "interrupted": "interrupted: this is what was known by then",
}


def add_healing_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked of the healing of a script.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_healing_arguments(parser)
        >>> parser.parse_args(["--heal", "--budget", "12"]).budget
        12.0
    """
    group = parser.add_argument_group("healing")
    add = group.add_argument
    add("--heal", action="store_true", help="try what mends it, and keep what surely helps")
    add("--metric", metavar="REGEX", help="finds the held-out metric in the script's output")
    add("--maximize", action="store_true", help="a higher metric is a better one")
    add("--minimize", action="store_true", help="a lower metric is a better one")
    add("--budget", type=number(float), metavar="N", help="most trainings in all (8)")
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
        >>> add_healing_arguments(parser)
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


def healing_text(healing: Healing, kept: dict[str, Any]) -> Iterator[str]:
    """What was tried, what it brought, and what was kept.

    Args:
        healing: It.
        kept: What is told of it: ``diff``, and what was ``written``.

    Example:
        >>> from glial.healing import Healing
        >>> next(healing_text(Healing("accuracy", False, 8, stopped="healthy"), {}))
        'no error and no warning: there is nothing to heal'
    """
    if healing.attempts:
        way = "lower" if healing.lower_is_better else "higher"
        yield f"tried, by {healing.metric} ({way} is better):"
        for attempt in healing.attempts:
            yield from _attempt(attempt)
    if healing.stopped in REASONS:
        yield REASONS[healing.stopped]
    if healing.attempts:
        yield (
            f"{healing.trainings:g} trainings of at most {healing.budget:g}: searching took "
            f"{healing.search_cost:.1f} times one, confirming {healing.confirm_cost:.1f}"
        )
    if kept.get("diff"):
        yield ""
        yield kept["diff"].rstrip("\n")
        yield ""
    for path, backup in kept.get("written", {}).items():
        yield f"written: {path}; what it held: {backup}"


def _attempt(attempt: Attempt) -> Iterator[str]:
    told = attempt.treatment.to_dict()
    yield f"  {attempt.verdict}: {told['remedy']} ({told['problem']}): {told['does']}"
    if attempt.why:
        yield f"      {attempt.why}"
    elif attempt.pairs:
        scores = ", ".join(
            f"{_score(pair.before)} -> {_score(pair.after)}" for pair in attempt.pairs
        )
        noise = "" if attempt.noise is None else f"; noise between seeds {attempt.noise:.3g}"
        yield f"      {scores}{noise}"
    elif attempt.verdict == "unverified":
        yield "      nothing is measured that could be compared: name it with --metric"


def _score(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
