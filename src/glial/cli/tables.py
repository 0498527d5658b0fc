"""Tables for people, drawn by rich."""

from __future__ import annotations

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


def print_metrics(metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Print the metrics of validation and test beside the trivial baseline.

    Example:
        >>> print_metrics({"test": {"mae": 1.0}, "baseline": {"mae": 2.0}})
        ... # doctest: +NORMALIZE_WHITESPACE
        metric  test  baseline
        mae     1     2
    """
    sets = [name for name in ("val", "test", "baseline") if metrics.get(name)]
    names = list(dict.fromkeys(name for part in sets for name in metrics[part]))
    rows = [[name, *(_text(metrics[part].get(name)) for part in sets)] for name in names]
    print_table(["metric", *sets], rows)
