"""``glial evaluate``: how good a run is on rows with known targets, how sure, and for whom."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glial.cli.arguments import number
from glial.cli.main import print_json
from glial.cli.mistakes import MISTAKES, add_error_arguments, look_closer, print_closer

PICTURE = "evaluation.svg"
# Of groups, so many of these are told; JSON has all.
HEADLINES = ("accuracy", "balanced_accuracy", "roc_auc", "log_loss", "rmse", "mae", "r2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    add = parser.add_argument
    add("run", metavar="RUN", help="the run's folder")
    add("source", metavar="SOURCE", help="rows with their targets")
    add_error_arguments(parser)
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
    add(
        "--group",
        action="append",
        default=[],
        metavar="COL",
        help="tell metrics for each value of this column; may be repeated",
    )
    add("--slices", action="store_true", help="find the slices on which the run does worst")
    add(
        "--calibration",
        action="store_true",
        help="whether probabilities say how often they are right, and what refusing would save",
    )
    add("--out", metavar="FOLDER", help=f"curves and diagrams as {PICTURE}, mistakes as {MISTAKES}")


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
        groups=options.group,
        slices=options.slices,
        calibration=options.calibration,
    )
    result |= look_closer(options)
    if options.out:
        result["picture"] = _draw(result, Path(options.out))
    if options.json:
        print_json(result)
    else:
        _print_result(result)
        print_closer(result)
    return 0


def _draw(result: dict[str, Any], folder: Path) -> str:
    from glial.core.files import write_atomic
    from glial.evaluation.pictures import draw_evaluation

    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / PICTURE, draw_evaluation(result))
    return str(folder / PICTURE)


def _print_result(result: dict[str, Any]) -> None:
    from glial.cli.tables import print_table

    _print_metrics(result)
    details = result["details"]
    matrix = details.get("confusion_matrix")
    if matrix and len(matrix["labels"]) <= 12:
        rows = [[name, *row] for name, row in zip(matrix["labels"], matrix["counts"], strict=True)]
        print_table(["truth \\ predicted", *matrix["labels"]], rows)
    each = details.get("classes") or details.get("labels")
    if each and len(each) > 2:
        print_table(list(each[0]), [list(one.values()) for one in each])
    for column, groups in result.get("groups", {}).items():
        _print_groups(column, groups)
    if "slices" in result:
        _print_slices(result["slices"])
    _print_calibration(result)
    if "fairness" in result:
        from glial.cli.fairness import print_audits

        print_audits(result["fairness"])
    if "picture" in result:
        print(f"picture: {result['picture']}")


def _print_metrics(result: dict[str, Any]) -> None:
    from glial.cli.tables import interval_text, print_metrics, print_table, told_once

    metrics, baseline, drawn = result["metrics"], result["baseline"], result["bootstrap"]
    if not result["intervals"]:
        print_metrics({"test": metrics, "baseline": baseline})
        if drawn["note"] != "asked for none":
            print(f"no intervals: {drawn['note']}")
        return
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
    print_table(["metric", "test", f"{share} interval", "baseline", "test minus baseline"], rows)
    print(
        f"intervals: {drawn['replicates']:,} resamples of {drawn['units']:,} {drawn['resampled']}"
    )


def _print_groups(column: str, groups: Sequence[dict[str, Any]]) -> None:
    from glial.cli.tables import interval_text, print_table

    names = [name for name in HEADLINES if name in groups[0]["metrics"]]
    rows = []
    for group in groups:
        cells: list[Any] = [group["value"], group["rows"]]
        for name in names:
            cells += [group["metrics"][name], interval_text(group["intervals"].get(name))]
        rows.append(cells)
    print_table([column, "rows", *(head for name in names for head in (name, "interval"))], rows)


def _print_slices(slices: dict[str, Any]) -> None:
    from glial.cli.tables import interval_text, print_table

    loss = slices["loss"]
    if not slices["found"]:
        print(f"slices: none in which {loss} is larger than elsewhere beyond doubt")
        return
    rows = [
        [one["slice"], one["rows"], one["loss"], one["rest"], interval_text(one["interval"])]
        for one in slices["found"]
    ]
    print_table(["weak slice", "rows", loss, "elsewhere", "larger by"], rows)
    print("found on one half of the rows, measured on the other")


def _print_calibration(result: dict[str, Any]) -> None:
    from glial.cli.tables import interval_text, print_table

    for key, head in (("calibration", "calibration"), ("uncertainty", "refusing unsure rows")):
        found = result.get(key)
        if not found:
            continue
        ends = found["intervals"]
        rows = [
            [name, value, interval_text(ends.get(name))]
            for name, value in found["measures"].items()
        ]
        print_table([head, "value", "interval"], rows)
        if key == "calibration":
            parts = ", ".join(f"{name} {value:.4g}" for name, value in found["brier"].items())
            print(f"brier: {parts}")
            bins = found["diagrams"]["equal_mass"]
            rows = [
                [
                    f"{one['low']:.3g} to {one['high']:.3g}",
                    one["weight"],
                    one["probability"],
                    one["frequency"],
                    interval_text(one["interval"]),
                ]
                for one in bins
            ]
            print_table(["said", "rows", "probability", "frequency", "interval"], rows)
