"""``glial evaluate --errors``: where a run errs, printed for people."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from glial.cli.arguments import number
from glial.core.errors import InputError

MISTAKES = "errors.csv"
MOST = 10


def add_error_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments about errors and drift.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_error_arguments(parser)
        >>> parser.parse_args(["--errors"]).errors
        10
    """
    add = parser.add_argument
    add(
        "--errors",
        nargs="?",
        type=number(int),
        const=MOST,
        metavar="N",
        help="the N surest mistakes (10), confusions, labels that look wrong, and copies",
    )
    add(
        "--against",
        metavar="OTHER",
        help="other rows, as those of training: how the source differs from them, as the run "
        "sees it, and with --errors copies of these in the source",
    )


def look_closer(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for of errors and drift: the keys ``errors`` and ``drift``.

    Raises:
        InputError: If the run or the rows do not allow it.

    Example:
        >>> look_closer(argparse.Namespace(errors=None, against=None))
        {}
    """
    found: dict[str, Any] = {}
    if options.errors is not None:
        from glial.core.files import make_folder
        from glial.data import write_table
        from glial.evaluation import find_mistakes

        if options.errors < 1:
            raise InputError("--errors is wrong", expected="at least 1", got=str(options.errors))
        mistakes = find_mistakes(options.run, options.source, options.against)
        found["errors"] = mistakes.to_dict(options.errors) | {"file": None}
        if options.out:
            path = Path(options.out) / MISTAKES
            make_folder(path.parent)
            write_table(mistakes.table, path)
            found["errors"]["file"] = str(path)
    if options.against is not None:
        from glial.evaluation import drift

        found["drift"] = drift(options.run, options.against, options.source).to_dict()
    return found


def print_closer(found: dict[str, Any]) -> None:
    """Print what :func:`look_closer` found.

    Args:
        found: As it gives it; other keys are left alone.

    Example:
        >>> print_closer({"drift": {"says": ["outputs: no column moved"]}})
        <BLANKLINE>
        outputs: no column moved
    """
    errors = found.get("errors")
    if errors is not None:
        wrong = errors["wrong"]
        print("\nlargest errors" if wrong is None else f"\nsurest of {wrong:,} mistakes", end=" ")
        print("(rows count from 0)")
        _print_rows(errors["mistakes"])
        _print_rows(errors["confusions"][:MOST])
        _print_rows(errors["regions"])
        if errors["doubtful"]:
            print(f"\n{errors['doubtful']:,} labels look wrong")
            _print_rows(errors["doubts"])
        copies = errors["copies"]
        if copies is not None:
            among = copies["among_others"]
            print(
                f"{copies['repeated']:,} rows repeat others, {copies['conflicting']:,} have "
                "copies with another target"
                + ("" if among is None else f", {among:,} are among the other rows")
            )
        if errors["file"]:
            print(f"all: {errors['file']}")
    if found.get("drift"):
        print()
        for line in found["drift"]["says"]:
            print(line)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from glial.cli.tables import print_table

    if rows:
        print_table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])


def _cell(value: Any) -> Any:
    return str(value) if isinstance(value, bool) else value
