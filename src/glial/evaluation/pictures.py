"""An evaluation as one sheet of charts: curves, reliability and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glial.charts import Band, Line, confusion_chart, line_chart, sheet, standalone

MOST_CURVES = 8


def draw_evaluation(result: dict[str, Any]) -> str:
    """A sheet of what an evaluation told, as the text of an SVG file.

    Args:
        result: As `glial.evaluation.evaluate` gives it: the confusion matrix and curves, and, where
            calibration was asked for, the reliability diagram (bins of equal mass, with their
            intervals) and the risk-coverage curve.

    Example:
        >>> draw_evaluation({"details": {}}).count("<svg")
        1
    """
    return standalone(sheet([*_charts(result)], title="How good it is"))


def _charts(result: dict[str, Any]) -> Iterator[str]:
    details = result["details"]
    curves = details.get("curves") or {"": details}
    curves = dict(list(curves.items())[:MOST_CURVES])
    for key, title, across, up in (
        ("roc_curve", "ROC", "false_positive_rate", "true_positive_rate"),
        ("precision_recall_curve", "Precision and recall", "recall", "precision"),
    ):
        lines = [
            Line(name, each[key][across], each[key][up])
            for name, each in curves.items()
            if key in each
        ]
        if lines:
            yield line_chart(
                lines,
                title=title,
                x_title=across.replace("_", " "),
                y_title=up.replace("_", " "),
                unit_square=True,
                diagonal=key == "roc_curve",
            )
    if result.get("calibration"):
        yield _reliability(result["calibration"]["diagrams"]["equal_mass"])
    unsure = result.get("uncertainty")
    if unsure and max(unsure["curve"]["risk"]) <= 1:
        yield line_chart(
            [Line("", unsure["curve"]["coverage"], unsure["curve"]["risk"])],
            title="Risk and coverage",
            x_title="share of rows answered",
            y_title="risk",
            unit_square=True,
        )
    matrix = details.get("confusion_matrix")
    if matrix:
        yield confusion_chart(matrix["labels"], matrix["counts"])


def _reliability(bins: list[dict[str, Any]]) -> str:
    known = [
        (one["probability"], *one["interval"])
        for one in bins
        if one["interval"] and one["interval"][0] == one["interval"][0]
    ]
    places, low, high = zip(*known, strict=True) if known else ((), (), ())
    told = [one["probability"] for one in bins]
    came = [one["frequency"] for one in bins]
    return line_chart(
        [Line("measured", told, came, points=True)],
        title="Reliability",
        x_title="probability that was told",
        y_title="share that came true",
        bands=[Band(places, low, high, "interval")] if known else [],
        unit_square=True,
        diagonal=True,
    )
