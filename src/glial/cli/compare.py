"""``glial compare``: runs side by side."""

from __future__ import annotations

import argparse

from glial.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs")


def run(options: argparse.Namespace) -> int:
    """Print each run's test metrics, and the keys of the plan in which the runs differ."""
    from glial.cli.tables import print_table
    from glial.runs import compare

    result = compare(options.runs)
    if options.json:
        print_json(result)
        return 0
    runs = result["runs"]
    names = list(dict.fromkeys(name for r in runs for name in (r["metrics"] or {}).get("test", {})))
    heads = [str(r["run"]) for r in runs]
    rows = [
        [name, *((r["metrics"] or {}).get("test", {}).get(name) for r in runs)] for name in names
    ]
    print_table(["test metric", *heads], rows)
    print_table(
        ["plan key", *heads], [[key, *map(str, v)] for key, v in result["differences"].items()]
    )
    return 0
