"""``glial doctor``: what is wrong with a training, in whoever's code it is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from glial.cli.arguments import number
from glial.cli.main import print_json
from glial.cli.script_healing import (
    add_script_healing_arguments,
    check_healing,
    check_writable,
    heal_script,
    keep,
    print_healing,
    told,
)
from glial.core.errors import InputError

if TYPE_CHECKING:
    from glial.doctor.launching import Script, Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.usage = "%(prog)s SCRIPT | -m MODULE | NOTEBOOK | RUN [OPTIONS] [-- ARGUMENTS]"
    parser.epilog = "ARGUMENTS go to the script as they are."
    parser.set_defaults(arguments=[])
    add = parser.add_argument
    add("subject", nargs="?", metavar="SCRIPT", help="Python file, notebook, or a run's folder")
    add("-m", dest="module", metavar="MODULE", help="run a module, as python -m does")
    add("--steps", type=number(int), metavar="N", help="stop after N steps of the optimisers")
    add("--preflight", action="store_true", help="look at the start of the training only")
    add(
        "--sensitivity",
        choices=("low", "normal", "high"),
        default="normal",
        help="how much must speak for a finding (normal)",
    )
    add(
        "--ignore",
        action="append",
        default=[],
        metavar="ID[@LAYER]",
        help="a problem to leave out, everywhere or in a layer; may be repeated",
    )
    add("--sarif", metavar="FILE", help="write the findings for code review, as SARIF 2.1.0")
    add("--verbose", action="store_true", help="show notes, diffs, and what was not checked")
    add_script_healing_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Watch the script or read the run, heal it if asked, print the verdict, exit by it."""
    from glial.cli.verdicts import print_verdict
    from glial.core.files import to_json, write_atomic

    metric = check_healing(options)
    if options.sarif:
        check_writable(Path(options.sarif), "--sarif")
    healing, answer = None, {}
    if options.heal:
        verdict, patient, healing = heal_script(_script(options), metric, options)
        answer = {"healing": told(healing, keep(patient, healing, options))}
    else:
        verdict = _verdict(options)
    if options.sarif:
        from glial.doctor.sarif import to_sarif

        write_atomic(Path(options.sarif), to_json(to_sarif(verdict.findings)))
    if options.json:
        print_json({**verdict.to_dict(), **answer})
    else:
        print_verdict(verdict, verbose=options.verbose, quiet=options.quiet)
        if healing is not None:
            print_healing(answer["healing"])
    if healing is not None and healing.signal is not None:
        return 128 + healing.signal
    return verdict.exit_status(strict=options.strict)


def _verdict(options: argparse.Namespace) -> Verdict:
    from glial.doctor.launching import examine_run, watch

    judged = {"sensitivity": options.sensitivity, "ignore": options.ignore}
    path = Path(options.subject or "")
    if options.subject is not None and (path / "plan.yaml").exists():
        _check_subject(options)
        _refuse_for_run(options)
        return examine_run(path, **judged)
    script = _script(options)
    if options.steps is not None and options.steps < 1:
        raise InputError("--steps is wrong", expected="at least 1 step", got=str(options.steps))
    return watch(
        script,
        steps=options.steps,
        preflight=options.preflight,
        output_to_error=options.json,
        **judged,
    )


def _script(options: argparse.Namespace) -> Script:
    from glial.doctor.launching import module_of, script_of

    _check_subject(options)
    if options.module is not None:
        return module_of(options.module, options.arguments)
    return script_of(Path(options.subject), options.arguments)


def _check_subject(options: argparse.Namespace) -> None:
    if (options.module is None) == (options.subject is None):
        raise InputError(
            "what is to be watched is not clear",
            expected="a script, a notebook, a run's folder, or -m and a module: one of them",
            got="none" if options.module is None else f"{options.subject} and -m {options.module}",
            do="see: glial doctor --help",
        )


def _refuse_for_run(options: argparse.Namespace) -> None:
    """Refuse what only a script can be asked for."""
    asked = {
        "--steps": options.steps is not None,
        "--preflight": options.preflight,
        "arguments after --": bool(options.arguments),
    }
    for name, is_given in asked.items():
        if is_given:
            raise InputError(
                f"{name} does not go with a run",
                expected="a script, a module or a notebook",
                got=options.subject,
                do=f"leave {name} out: the run is not trained again",
            )
