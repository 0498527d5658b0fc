"""``glial curve``: how good networks get with more rows, or with other settings."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from glial.cli.arguments import add_experiment_arguments, experiment_changes, number
from glial.cli.main import print_json
from glial.core.errors import InputError

ROWS = "rows"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument(
        "source", metavar="SOURCE_OR_PLAN", help="as for glial train: rows, or a plan"
    )
    add_experiment_arguments(parser)
    add = parser.add_argument
    add("--over", default=ROWS, metavar="KEY", help="rows, or a key of the plan, as train.lr")
    add("--values", metavar="A,B,C", help="its values; of rows by default six numbers up to all")
    add("--repeats", type=number(int), metavar="R", help="trainings for each (3 of rows, else 1)")
    add(
        "--bias-variance",
        nargs="?",
        const="bootstrap",
        choices=["bootstrap", "parts"],
        help="divide the error: trainings on resampled rows, or on parts of them (10 each)",
    )
    add("--truth", metavar="COL", help="with it: the target without noise, which nothing is shown")
    add("--metric", metavar="M", help="what the curve is about (log_loss, or the RMSE)")
    add("--out", metavar="FOLDER", help="keep trainings, table and picture; go on with them")


def run(options: argparse.Namespace) -> int:
    """Train again and again, and print the table and what it says."""
    from glial.core.settings import parse_yaml
    from glial.evaluation import CurveInterrupted, learning_curve, validation_curve

    asked: dict[str, Any] = {"metric": options.metric, "out": options.out}
    asked["set"] = experiment_changes(options)
    if options.repeats is not None:
        asked["repeats"] = options.repeats
    values = None
    if options.values is not None:
        values = parse_yaml(f"[{options.values}]", name="--values")
    if options.truth is not None and options.bias_variance is None:
        raise InputError("--truth goes with --bias-variance", got=f"--truth {options.truth}")
    if options.bias_variance is not None:
        return _divide(options, values)
    status = 0
    try:
        if options.over == ROWS:
            curve = learning_curve(options.source, sizes=_whole(values), **asked)
        else:
            curve = validation_curve(options.source, options.over, values or [], **asked)
    except CurveInterrupted as stopped:
        curve, status = stopped.curve, 130
        kept = f"call it again to go on in {options.out}" if options.out else "nothing is kept"
        print(f"stopped after {len(curve.points)} trainings; {kept}", file=sys.stderr)
    if options.json:
        print_json(curve.to_dict() | {"out": options.out})
    else:
        _show(curve)
        if options.out:
            print(f"curve: {options.out}/curve.svg")
    return status


def _divide(options: argparse.Namespace, values: list[Any] | None) -> int:
    from glial.cli.tables import print_table
    from glial.evaluation import bias_variance

    found = bias_variance(
        options.source,
        over=None if options.over == ROWS else options.over,
        values=values,
        way=options.bias_variance,
        truth=options.truth,
        set=experiment_changes(options),
        out=options.out,
        **({} if options.repeats is None else {"repeats": options.repeats}),
    )
    if options.json:
        print_json(found.to_dict() | {"out": options.out})
        return 0
    heads = ["error", "bias", "variance", "noise", "trainings"]
    rows = [[str(row["value"]), *(row[name] for name in heads)] for row in found.table()]
    print_table([found.over or "", *heads], rows)
    for line in found.sentences():
        print(line)
    return 0


def _whole(values: list[Any] | None) -> list[int] | None:
    """Numbers of rows.

    Raises:
        InputError: If one is no whole number.
    """
    for value in values or []:
        if not isinstance(value, int) or isinstance(value, bool):
            raise InputError(
                "--values are no numbers of rows", expected="whole numbers", got=repr(value)
            )
    return values


def _show(curve: Any) -> None:
    from glial.cli.tables import print_table

    table = curve.table()
    splits = [name for name in ("train", "val", "test") if any(row[name] for row in table)]
    names = [name for split in splits for name in (split, f"{split}_std")]
    names = [name for name in names if any(row[name] is not None for row in table)]
    heads = [f"{n} {curve.metric}" if n in splits else n.replace("_std", " ±") for n in names]
    names += ["verdict"] if curve.over != ROWS else []
    heads += ["verdict"] if curve.over != ROWS else []
    rows = [[str(row["value"]), *(row[name] for name in names)] for row in table]
    print_table([curve.over, *heads], rows)
    for line in curve.sentences():
        print(line)
