"""How ``glial evaluate --fair`` tells people how groups are treated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from glial.cli.tables import interval_text, print_table

SHORT = {
    "expected_calibration_error": "calibration error",
    "root_mean_squared_error": "rmse",
    "mean_absolute_error": "mae",
}
LEFT_OUT = ("false_negative_rate", "calibration_in_the_large")


def print_audits(audits: Sequence[Mapping[str, Any]]) -> None:
    """Print each group's figures, the gaps between groups, and what they cannot say.

    Args:
        audits: As `glial.evaluation.evaluate` gives them under ``fairness``.

    Example:
        >>> print_audits([])
    """
    for audit in audits:
        print(f"\ngroups by {', '.join(audit['by'])}, judged by {audit['outcome']!r}")
        _print_groups(audit)
        _print_gaps(audit["gaps"])
        _print_conflict(audit["conflict"])


def _print_groups(audit: Mapping[str, Any]) -> None:
    groups = audit["groups"]
    names = [name for name in groups[0]["figures"] if name not in LEFT_OUT]
    heads = [SHORT.get(name, name.replace("_", " ")) for name in names]
    rows = [
        [
            ", ".join(group["group"].values()),
            group["rows"],
            *(_figure(group["figures"][name]) for name in names),
        ]
        for group in groups
    ]
    print_table(["group", "rows", *heads], rows)
    if any(not group["figures"][name]["enough"] for group in groups for name in names):
        print(f"(n): so few rows, below {audit['min_rows']}, that the figure is not compared")


def _figure(figure: Mapping[str, Any]) -> str:
    told = "-" if math.isnan(figure["value"]) else f"{figure['value']:.3g}"
    return told if figure["enough"] else f"{told} ({figure['rows']})"


def _print_gaps(gaps: Mapping[str, Mapping[str, float]]) -> None:
    rows = []
    for key, gap in gaps.items():
        name, _, kind = key.rpartition("_")
        if kind == "difference":
            ratio = gaps.get(f"{name}_ratio", {}).get("value", math.nan)
            ends = interval_text([gap["low"], gap["high"]])
            told = [_number(gap["value"]), ends, _number(gap["chance"]), _number(ratio)]
            rows.append([SHORT.get(name, name.replace("_", " ")), *told])
    print_table(["gap between groups", "difference", "interval", "by lot", "ratio"], rows)
    print(
        "by lot: how often groups drawn by lot differ as much. A difference is never below 0, so "
        "that an interval above 0 shows nothing."
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def _print_conflict(conflict: Mapping[str, Any]) -> None:
    """Say by numbers that not all measures can be equal."""
    if not conflict:
        return
    shares = " and ".join(f"{100 * rate:.3g} %" for rate in conflict["base_rates"])
    alarms = " and ".join(f"{100 * rate:.3g} %" for rate in conflict["false_positive_rates"])
    print(
        f"not all can be equal: with base rates from {shares}, a precision of "
        f"{100 * conflict['precision']:.3g} % and a true positive rate of "
        f"{100 * conflict['true_positive_rate']:.3g} % in both groups would make their false "
        f"positive rates {alarms}."
    )
