"""Tables for people, drawn by rich."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under headings, numbers to the right.

    Example:
        >>> print_table(["name", "rows"], [["iris", 150]])  # doctest: +NORMALIZE_WHITESPACE
        name   rows
        iris    150
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.box = box.SIMPLE_HEAD if Console().is_terminal else None
    for index, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[index], (int, float)) for row in rows)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(cell) for cell in row))
    Console(width=None if Console().is_terminal else 160, markup=False).print(table)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


# What says the same as another metric of the same rows, and is left out of tables for people.
SAME = {
    "rmse": "root_mean_squared_error",
    "mae": "mean_absolute_error",
    "accuracy": "recall_weighted",
}


def told_once(metrics: Mapping[str, float]) -> list[str]:
    """The names of metrics, without those that say the same as another by what they are.

    Example:
        >>> told_once({"rmse": 2.0, "root_mean_squared_error": 2.0, "r2": 0.5})
        ['rmse', 'r2']
        >>> told_once({"accuracy": 0.5, "recall_weighted": 0.5, "f1_micro": 0.5, "f1_macro": 0.4})
        ['accuracy', 'f1_macro']
    """
    again = {other for name, other in SAME.items() if name in metrics}
    if metrics.get("accuracy") == metrics.get("recall_micro", metrics.get("f1_micro")):
        again |= {"f1_micro", "precision_micro", "recall_micro"}
    return [name for name in metrics if name not in again]


def interval_text(ends: Sequence[float] | None) -> str:
    """The two ends of an interval.

    Example:
        >>> interval_text([0.5, 0.75]), interval_text(None)
        ('0.5 to 0.75', '-')
    """
    if ends is None or math.isnan(ends[0]):
        return "-"
    return f"{_text(float(ends[0]))} to {_text(float(ends[1]))}"


def print_metrics(
    metrics: Mapping[str, Mapping[str, float]],
    spread: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
) -> None:
    """Print the metrics of validation and test beside the trivial baseline.

    Args:
        metrics: Metrics of ``val``, ``test`` and ``baseline``.
        spread: Mean and standard deviation of those of several networks, which then stand
            beside the average's.

    Example:
        >>> print_metrics({"test": {"mae": 1.0}, "baseline": {"mae": 2.0}})
        ... # doctest: +NORMALIZE_WHITESPACE
        metric  test  baseline
        mae     1     2
        >>> spread = {"test": {"mae": {"mean": 1.25, "std": 0.5}}}
        >>> print_metrics({"test": {"mae": 1.0}}, spread)  # doctest: +NORMALIZE_WHITESPACE
        metric  test of each  test
        mae     1.25 ± 0.5    1
    """
    sets = [name for name in ("val", "test", "baseline") if metrics.get(name)]
    columns: dict[str, dict[str, str]] = {}
    for part in sets:
        told = (spread or {}).get(part)
        if told:
            columns[f"{part} of each"] = {
                name: f"{_text(each['mean'])} ± {_text(each['std'])}" for name, each in told.items()
            }
        columns[part] = {name: _text(value) for name, value in metrics[part].items()}
    names = list(dict.fromkeys(name for part in sets for name in told_once(metrics[part])))
    rows = [[name, *(cells.get(name, "-") for cells in columns.values())] for name in names]
    print_table(["metric", *columns], rows)
