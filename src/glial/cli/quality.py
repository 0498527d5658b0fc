"""A report on the quality of data, printed for people."""

from __future__ import annotations

from typing import Any

from glial.cli.tables import print_table
from glial.data import QualityReport

MOST_ROWS = 10


def print_quality(report: QualityReport) -> None:
    """Print what a source is like: its columns, what stands out, and rows to look at.

    Example:
        >>> import glial
        >>> print_quality(glial.inspect("wine"))  # doctest: +ELLIPSIS
        column ...
    """
    print_table(
        ["column", "kind", "missing", "values", "commonest", "verdict"],
        [
            [c.column, c.kind, _share(c.missing_share), c.distinct, _share(c.top_share), c.verdict]
            for c in report.columns
        ],
    )
    if report.labels:
        _print_labels(report)
    if report.findings:
        print()
        print_table(
            ["severity", "what was found", "what to do"],
            [[finding.severity, finding.means, finding.do] for finding in report.findings],
        )
    parts = ", ".join(f"{count:,} to {_VERBS[name]}" for name, count in report.rows.items())
    print(f"\n{report.task} of {', '.join(report.targets)}; rows: {parts}")
    print("nothing speaks against training on it" if report.healthy else "look at the warnings")


_VERBS = {"train": "train", "val": "validate", "test": "test"}


def _share(value: float) -> str:
    return "-" if value == 0 else f"{value:.1%}"


def _print_labels(report: QualityReport) -> None:
    print("\nlabels that look wrong (rows count from 0)")
    print_table(
        ["split", "row", "target", "given", "suggested", "how sure"],
        [
            [d.split, str(d.row), d.target, d.given, d.suggested, _sureness(d)]
            for d in report.labels[:MOST_ROWS]
        ],
    )
    more = len(report.labels) - MOST_ROWS
    if more > 0:
        print(f"and {more:,} more: --json names all")


def _sureness(doubt: Any) -> str:
    if doubt.probability is not None:
        return f"{doubt.probability:.0%}"
    return f"{doubt.distance:.1f} spreads away"
