"""What lies behind the averages: every class by itself, and curves that stay small."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from glial.evaluation.metrics.answers import Answers, ClassAnswers, LabelAnswers
from glial.evaluation.metrics.weighted import Flags, Floats, Ranking

POINTS = 250  # of a curve, at first
LOST_AREA = 1e-3


def answer_details(answers: Answers, weight: Floats | None = None) -> dict[str, Any]:
    """Scores of each class or label, and curves of each of several.

    Args:
        answers: What is said and what is true.
        weight: Weight of each row; labels of a multi-label task are not weighed.

    Returns:
        ``classes`` or ``labels``: for each ``precision``, ``recall``, ``f1``, ``support`` (rows
        of it), ``roc_auc`` and ``average_precision``, NaN where not defined. ``curves``: for
        each of more than two classes, and each label, ``roc_curve`` and
        ``precision_recall_curve``. Nothing of numbers.

    Example:
        >>> shares = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> answers = ClassAnswers(["a", "b"], np.array([0, 1]), shares, np.array([0, 0]))
        >>> [one["recall"] for one in answer_details(answers)["classes"]]
        [1.0, 0.0]
    """
    if isinstance(answers, ClassAnswers):
        columns = range(len(answers.names))
        marks = [(answers.truth == c, answers.guess == c, answers.shares[:, c]) for c in columns]
        known = answers.truth >= 0
        told, curves = _each(answers.names, marks, weight, known, "class")
        return {"classes": told, **({"curves": curves} if len(answers.names) > 2 else {})}
    if isinstance(answers, LabelAnswers):
        marks = list(zip(answers.truth.T, answers.guess.T, answers.shares.T, strict=True))
        told, curves = _each(answers.names, marks, None, None, "label")
        return {"labels": told, "curves": curves}
    return {}


def _each(
    names: list[str],
    marks: list[tuple[Flags, Flags, Floats]],
    weight: Floats | None,
    known: Flags | None,
    kind: str,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from sklearn.metrics import precision_recall_fscore_support

    told, curves = [], {}
    for name, (truth, guess, shares) in zip(names, marks, strict=True):
        precision, recall, f1, _ = precision_recall_fscore_support(
            truth, guess, average="binary", zero_division=0, sample_weight=weight
        )
        rows = np.ones(len(truth), dtype=bool) if known is None else known
        weights = np.ones(len(truth)) if weight is None else np.asarray(weight, dtype=np.float64)
        area, average = _areas(truth[rows], shares[rows], weights[rows])
        scores = {"precision": precision, "recall": recall, "f1": f1}
        told.append(
            {
                kind: name,
                **{key: float(value) for key, value in scores.items()},
                "support": int(truth.sum()),
                "roc_auc": area,
                "average_precision": average,
            }
        )
        if not math.isnan(area):
            curves[name] = yes_no_curves(truth[rows], shares[rows])
    return told, curves


def _areas(truth: Flags, shares: Floats, weights: Floats) -> tuple[float, float]:
    if not len(truth):
        return math.nan, math.nan
    with np.errstate(invalid="ignore"):
        area, average = Ranking.of(truth, shares).areas(weights[None])
    return float(area[0]), float(average[0])


def yes_no_curves(truth: Flags, shares: Floats) -> dict[str, dict[str, list[float]]]:
    """ROC and precision-recall curve of one question, of some hundred points.

    Points that lie close together are left out; the area under either curve, as
    ``roc_auc`` and ``average_precision`` have it, changes by at most 0.001.

    Args:
        truth: Whether the answer is yes, [row]; both answers must occur.
        shares: Probability of yes, [row].

    Example:
        >>> curves = yes_no_curves(np.array([True, False]), np.array([0.9, 0.2]))
        >>> curves["roc_curve"]["true_positive_rate"]
        [0.0, 1.0, 1.0]
    """
    from sklearn.metrics import precision_recall_curve, roc_curve

    false_rate, true_rate, _ = roc_curve(truth, shares)
    precision, recall, _ = precision_recall_curve(truth, shares)
    roc = thinned(false_rate, true_rate, _trapezoids)
    pairs = thinned(recall, precision, _steps)
    return {
        "roc_curve": {
            "false_positive_rate": false_rate[roc].tolist(),
            "true_positive_rate": true_rate[roc].tolist(),
        },
        "precision_recall_curve": {
            "precision": precision[pairs].tolist(),
            "recall": recall[pairs].tolist(),
        },
    }


def _trapezoids(x: Floats, y: Floats) -> float:
    return float(np.trapezoid(y, x))


def _steps(recall: Floats, precision: Floats) -> float:
    """Average precision, of a curve that starts at the recall of 1."""
    return float(-(np.diff(recall) * precision[:-1]).sum())


def thinned(x: Floats, y: Floats, area: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The points of a curve that are kept: evenly spread along it, both ends among them.

    Args:
        x: One coordinate of each point.
        y: The other.
        area: The area of a curve, which changes by at most 0.001.

    Example:
        >>> x = np.linspace(0, 1, 10_000)
        >>> len(thinned(x, x**2, lambda x, y: float(np.trapezoid(y, x))))
        250
    """
    whole, most = area(x, y), POINTS
    places = np.arange(len(x))
    along = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    while most < len(x):
        wanted = np.linspace(0, along[-1], most)
        places = np.unique(np.searchsorted(along, wanted).clip(0, len(x) - 1))
        places = np.union1d(places, [0, len(x) - 1])
        if abs(area(x[places], y[places]) - whole) <= LOST_AREA:
            return places
        most *= 2
    return np.arange(len(x))
