"""``glial init``: a plan for a source, to be read, changed and trained."""

from __future__ import annotations

import argparse
from pathlib import Path

from glial.cli.arguments import add_experiment_arguments, experiment_changes
from glial.cli.main import print_json
from glial.core.errors import InputError

PLAN = Path("plan.yaml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("source", metavar="SOURCE", help="file, glob pattern or data set")
    add_experiment_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Draft the plan; an existing one is never overwritten.

    Raises:
        InputError: If there is a plan already, or the source cannot be used.
    """
    from glial.core.files import write_atomic
    from glial.runs import draft

    if PLAN.exists():
        raise InputError(
            f"{PLAN} is there already",
            expected="a folder without a plan",
            got=str(PLAN.resolve()),
            do="move it away, or call glial init in another folder",
        )
    plan = draft(options.source, experiment_changes(options))
    write_atomic(PLAN, plan.to_yaml())
    if options.json:
        print_json({"plan": str(PLAN), **plan.to_values()})
    else:
        print(f"wrote {PLAN}: change what you like, then: glial train {PLAN}")
    return 0
