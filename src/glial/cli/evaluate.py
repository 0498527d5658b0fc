"""``glial evaluate``: how good a run is on rows with known targets, and how sure that is."""

from __future__ import annotations

import argparse
from typing import Any

from glial.cli.arguments import number
from glial.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    add = parser.add_argument
    add("run", metavar="RUN", help="the run's folder")
    add("source", metavar="SOURCE", help="rows with their targets")
    add("--confidence", type=number(float), default=0.95, metavar="C", help="of intervals (0.95)")
    add(
        "--replicates",
        type=number(int),
        default=1000,
        metavar="N",
        help="resamples of the rows behind intervals (1000); 0 for none",
    )
    add(
        "--fair",
        action="append",
        default=[],
        metavar="COL",
        help="a sensitive column by which groups are compared; may be repeated",
    )
    add("--seed", type=number(int), default=0, metavar="S", help="seed of the resamples (0)")


def run(options: argparse.Namespace) -> int:
    """Print the metrics with their intervals, beside the trivial baseline."""
    from glial.evaluation import evaluate

    result = evaluate(
        options.run,
        options.source,
        confidence=options.confidence,
        replicates=options.replicates,
        seed=options.seed,
        fair=options.fair,
    )
    if options.json:
        print_json(result)
    else:
        _print_result(result)
    return 0


def _print_result(result: dict[str, Any]) -> None:
    from glial.cli.tables import interval_text, print_metrics, print_table, told_once

    metrics, baseline, drawn = result["metrics"], result["baseline"], result["bootstrap"]
    if result["intervals"]:
        gains = result["differences"]
        rows = [
            [
                name,
                metrics[name],
                interval_text(result["intervals"].get(name)),
                baseline.get(name),
                interval_text(gains[name]["interval"] if name in gains else None),
            ]
            for name in told_once(metrics)
        ]
        share = f"{100 * drawn['confidence']:.4g} %"
        heads = ["metric", "test", f"{share} interval", "baseline", "test minus baseline"]
        print_table(heads, rows)
        what = f"{drawn['units']:,} {drawn['resampled']}"
        print(f"intervals: {drawn['replicates']:,} resamples of {what}")
    else:
        print_metrics({"test": metrics, "baseline": baseline})
        if drawn["note"] != "asked for none":
            print(f"no intervals: {drawn['note']}")
    details = result["details"]
    matrix = details.get("confusion_matrix")
    if matrix and len(matrix["labels"]) <= 12:
        rows = [[name, *row] for name, row in zip(matrix["labels"], matrix["counts"], strict=True)]
        print_table(["truth \\ predicted", *matrix["labels"]], rows)
    each = details.get("classes") or details.get("labels")
    if each and len(each) > 2:
        print_table(list(each[0]), [list(one.values()) for one in each])
    if "fairness" in result:
        from glial.cli.fairness import print_audits

        print_audits(result["fairness"])
