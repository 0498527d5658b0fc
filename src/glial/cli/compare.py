"""``glial compare``: runs side by side, and tested against each other."""

from __future__ import annotations

import argparse
from typing import Any

from glial.cli.arguments import number
from glial.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="folders of runs")
    add("--on", metavar="SOURCE", help="rows with their targets, on which all runs are tested")
    add("--metric", metavar="M", help="what the verdict is about (log_loss, or the RMSE)")
    add("--with-first", action="store_true", help="compare each with the first, not all pairs")
    add("--confidence", type=number(float), metavar="P", help="confidence of intervals (0.95)")
    add("--replicates", type=number(int), metavar="N", help="resamples of the rows (1000)")
    add("--seed", type=number(int), metavar="S", help="seed of the bootstrap (0)")


def run(options: argparse.Namespace) -> int:
    """Print each run's test metrics, what differs in the plans, and which run is better."""
    from glial.evaluation import compare

    asked = {"metric", "confidence", "replicates", "seed"}
    given = {name: value for name in asked if (value := getattr(options, name)) is not None}
    result = compare(options.runs, options.on, with_first=options.with_first, **given)
    if options.json:
        print_json(result)
    else:
        _show(result)
    return 0


def _show(result: dict[str, Any]) -> None:
    from glial.cli.tables import print_table, told_once

    runs = result["runs"]
    heads = [str(r["run"]) for r in runs]
    on = result.get("on")
    title, told = "test metric", [(r["metrics"] or {}).get("test", {}) for r in runs]
    if on is not None:
        title, told = f"metric on {on['rows']:,} rows", [one["metrics"] for one in on["metrics"]]
    names = told_once({name: value for metrics in told for name, value in metrics.items()})
    rows = [[name, *(metrics.get(name) for metrics in told)] for name in names]
    print_table([title, *heads], rows)
    print_table(
        ["plan key", *heads], [[key, *map(str, v)] for key, v in result["differences"].items()]
    )
    _show_folds(result["folds"])
    for pair in [] if on is None else on["pairs"]:
        _show_pair(pair)


def _show_folds(pairs: list[dict[str, Any]]) -> None:
    from glial.cli.tables import print_table

    for pair in pairs:
        print(
            f"\n{pair['first']} less {pair['second']} over {pair['folds']} folds, "
            "by the corrected resampled t test"
        )
        rows = [[name, *one.values()] for name, one in pair["metrics"].items()]
        print_table(["val metric", "difference", "t", "p"], rows)


def _show_pair(pair: dict[str, Any]) -> None:
    from glial.cli.tables import print_table, told_once

    adjusted = pair["adjusted"]
    print(f"\n{pair['first']} less {pair['second']}")
    rows = [
        [name, one["difference"], one["low"], one["high"], one["p_value"], adjusted[name]]
        for name, one in pair["metrics"].items()
        if name in told_once({name: one["first"] for name, one in pair["metrics"].items()})
    ]
    print_table(["metric", "difference", "from", "to", "p", "p (Holm)"], rows)
    right = pair["mcnemar"]
    if right is not None:
        print(
            f"right where the other is wrong: {right['only_first']} and {right['only_second']} "
            f"rows; McNemar p {right['exact']:.3g} (mid-p {right['mid_p']:.3g}, "
            f"chi-square {right['chi2']['p_value']:.3g})"
        )
    if pair["t"] is not None:
        print(
            f"losses row by row: t test p {pair['t']['p_value']:.3g}, "
            f"signed ranks p {pair['wilcoxon']['p_value']:.3g}"
        )
    print(pair["verdict"])
