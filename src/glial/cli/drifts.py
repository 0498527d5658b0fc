"""What differs between two tables, printed for people."""

from __future__ import annotations

from typing import Any

from glial.cli.tables import print_table

MOST_ROWS = 20


def print_drift(found: dict[str, Any]) -> None:
    """Print the columns, those that moved most first, and what was found.

    Args:
        found: As ``to_dict`` of a drift says it.

    Example:
        >>> import polars as pl
        >>> from glial.evaluation import compare_tables
        >>> frame = pl.DataFrame({"a": [0.5 * i for i in range(40)]})
        >>> print_drift(compare_tables(frame, frame).to_dict())  # doctest: +ELLIPSIS
        column ...
    """
    columns = found["columns"]
    print_table(
        ["column", "kind", "moved", "PSI", "Jensen-Shannon", "effect", "p (BH)"],
        [
            [
                one["column"],
                one["kind"],
                one["size"] if one["moved"] else "-",
                *(one[name] for name in ("psi", "jensen_shannon", "effect", "adjusted")),
            ]
            for one in columns[:MOST_ROWS]
        ],
    )
    if len(columns) > MOST_ROWS:
        print(f"and {len(columns) - MOST_ROWS:,} more: --json names all")
    for name, why in found["not_compared"].items():
        print(f"{name} is not compared: {why}")
    for line in found["says"]:
        print(line)
