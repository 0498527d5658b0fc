"""``glial evaluate``: how good a run is on rows with known targets."""

from __future__ import annotations

import argparse

from glial.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's folder")
    parser.add_argument("source", metavar="SOURCE", help="rows with their targets")


def run(options: argparse.Namespace) -> int:
    """Print the metrics beside the trivial baseline."""
    from glial.cli.tables import print_metrics, print_table
    from glial.runs import evaluate

    result = evaluate(options.run, options.source)
    if options.json:
        print_json(result)
        return 0
    print_metrics({"test": result["metrics"], "baseline": result["baseline"]})
    matrix = result["details"].get("confusion_matrix")
    if matrix and len(matrix["labels"]) <= 12:
        rows = [[name, *row] for name, row in zip(matrix["labels"], matrix["counts"], strict=True)]
        print_table(["truth \\ predicted", *matrix["labels"]], rows)
    return 0
