"""The metrics of each task, computed by scikit-learn and named like its scorers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
TOP = 5  # with more classes than this, how often the class is among so many likeliest is told


def likeliest(probabilities: Floats) -> Codes:
    """The likeliest class of each row; of two equally likely ones the positive (last).

    Example:
        >>> likeliest(np.array([[0.5, 0.5], [0.9, 0.1]])).tolist()
        [1, 0]
    """
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= probabilities[:, 0]).astype(np.int64)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def class_scores(
    truth: Codes,
    probabilities: Floats,
    weight: Floats | None = None,
    guess: Codes | None = None,
) -> dict[str, float]:
    """Metrics of a classifier.

    Args:
        truth: Index of each row's class; -1 for a class that training never showed, which
            counts as an error and is left out of the metrics that need its probability.
        probabilities: A row per row, a column per class, rows summing to 1.
        weight: Weight of each row.
        guess: The class that each row is given; the likeliest by default.

    Returns:
        Metric name to value; a metric that is not defined on these rows (``roc_auc`` where
        one class alone occurs) is NaN. For two classes the positive one is the last. Those of
        several classes that need a probability are means over the classes that occur, each
        against the rest.

    Example:
        >>> scores = class_scores(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
        >>> scores["accuracy"], scores["roc_auc"]
        (1.0, 1.0)
    """
    from sklearn import metrics

    guess = likeliest(probabilities) if guess is None else guess
    present, several = np.unique(truth), len(np.union1d(truth, guess)) > 1
    average = {"labels": present, "average": "macro", "zero_division": 0, "sample_weight": weight}
    scores = {
        "accuracy": metrics.accuracy_score(truth, guess, sample_weight=weight),
        "balanced_accuracy": metrics.recall_score(truth, guess, **average),
        **_averaged(truth, guess, "macro", weight),
        "matthews_corrcoef": metrics.matthews_corrcoef(truth, guess, sample_weight=weight)
        if several
        else 0.0,
    }
    if probabilities.shape[1] > TOP:
        scores[f"top_{TOP}_accuracy"] = _top_accuracy(truth, probabilities, weight)
    known = truth >= 0
    rest = (truth[known], probabilities[known], None if weight is None else weight[known])
    scores["log_loss"] = _log_loss(*rest)
    scores["roc_auc"] = _roc_auc(*rest)
    if probabilities.shape[1] == 2:
        scores |= _binary_scores(*rest, guess[known])
    else:
        scores["average_precision"] = _over_classes(metrics.average_precision_score, *rest)
    scores["brier_score"] = _brier_score(*rest)
    for kind in ("micro", "weighted"):
        scores |= _averaged(truth, guess, kind, weight)
    return {name: float(value) for name, value in scores.items()}


def _top_accuracy(truth: Codes, probabilities: Floats, weight: Floats | None) -> float:
    """How often the class is among the likeliest; of equally likely ones the later come first."""
    if len(truth) == 0:
        return math.nan
    likeliest_first = np.argsort(probabilities, axis=1, kind="stable")[:, ::-1]
    found = (likeliest_first[:, :TOP] == truth[:, None]).any(axis=1)
    return float(np.average(found, weights=weight))


def _averaged(truth: Any, guess: Any, kind: str, weight: Floats | None = None) -> dict[str, float]:
    """F1, precision and recall, averaged over classes or labels in one of scikit-learn's ways."""
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, guess, average=kind, zero_division=0, sample_weight=weight
    )
    scores = {"f1": f1, "precision": precision, "recall": recall}
    return {f"{name}_{kind}": float(value) for name, value in scores.items()}


def _log_loss(truth: Codes, probabilities: Floats, weight: Floats | None) -> float:
    if len(truth) == 0:
        return math.nan
    chosen = probabilities[np.arange(len(truth)), truth]
    surprise = -np.log(np.clip(chosen, np.finfo(np.float64).tiny, 1.0))
    return float(np.average(surprise, weights=weight))


def _roc_auc(truth: Codes, probabilities: Floats, weight: Floats | None) -> float:
    from sklearn.metrics import roc_auc_score

    if probabilities.shape[1] == 2:
        positive = truth == 1
        if positive.all() or not positive.any():
            return math.nan
        return float(roc_auc_score(positive, probabilities[:, 1], sample_weight=weight))
    return _over_classes(roc_auc_score, truth, probabilities, weight)


def _over_classes(score: Any, truth: Codes, probabilities: Floats, weight: Floats | None) -> float:
    """The mean over the classes that occur of each against the rest; NaN of one alone."""
    present = np.unique(truth)
    if len(present) < 2:
        return math.nan
    each = [score(truth == c, probabilities[:, c], sample_weight=weight) for c in present]
    return float(np.mean(each))


def _brier_score(truth: Codes, probabilities: Floats, weight: Floats | None) -> float:
    """The mean squared distance from certainty of the truth: a number in [0, 2], halved for two."""
    if len(truth) == 0:
        return math.nan
    size = probabilities.shape[1]
    squares = np.square(probabilities - np.eye(size)[truth]).sum(axis=1)
    return float(np.average(squares, weights=weight)) / (2 if size == 2 else 1)


def _binary_scores(
    truth: Codes, probabilities: Floats, weight: Floats | None, guess: Codes
) -> dict[str, float]:
    from sklearn import metrics

    if len(truth) == 0:
        return dict.fromkeys(("f1", "precision", "recall", "average_precision"), math.nan)
    options: dict[str, Any] = {"pos_label": 1, "zero_division": 0, "sample_weight": weight}
    has_positive = bool((truth == 1).any())
    return {
        "f1": metrics.f1_score(truth, guess, **options),
        "precision": metrics.precision_score(truth, guess, **options),
        "recall": metrics.recall_score(truth, guess, **options),
        "average_precision": metrics.average_precision_score(
            truth == 1, probabilities[:, 1], sample_weight=weight
        )
        if has_positive
        else math.nan,
    }


def multilabel_scores(
    truth: NDArray[np.bool_], probabilities: Floats, guess: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Metrics of a network that answers several yes-or-no questions on each row.

    Args:
        truth: A row per row, a column per label.
        probabilities: Likewise, each in [0, 1].
        guess: The answers given; by default the likelier ones.

    Returns:
        Metric name to value. ``accuracy`` is the share of rows with every label right.

    Example:
        >>> multilabel_scores(np.array([[True, False]]), np.array([[0.9, 0.2]]))["accuracy"]
        1.0
    """
    from sklearn import metrics

    guess = probabilities >= 0.5 if guess is None else guess
    columns = [(truth[:, i], probabilities[:, i]) for i in range(truth.shape[1])]
    defined = [(t, p) for t, p in columns if t.any() and not t.all()]
    clipped = np.clip(probabilities, 1e-15, 1 - 1e-15)
    averages: dict[str, float] = {}
    for kind in ("macro", "micro", "weighted"):
        averages |= _averaged(truth, guess, kind)
    return {
        "accuracy": float((guess == truth).all(axis=1).mean()),
        "hamming_loss": float((guess != truth).mean()),
        "f1_macro": averages["f1_macro"],
        "f1_micro": averages["f1_micro"],
        "log_loss": float(-np.log(np.where(truth, clipped, 1 - clipped)).mean()),
        "roc_auc": _mean([metrics.roc_auc_score(t, p) for t, p in defined]),
        "average_precision": _mean([metrics.average_precision_score(t, p) for t, p in defined]),
        "brier_score": float(np.square(probabilities - truth).mean()),
        **averages,
    }


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def regression_scores(
    truth: Floats, predicted: Floats, weight: Floats | None = None
) -> dict[str, float]:
    """Metrics of a regression; with several outputs the mean over outputs.

    Args:
        truth: A row per row, a column per output, in the target's units.
        predicted: Likewise.
        weight: Weight of each row.

    Returns:
        Metric name to value; ``rmse`` and ``mae`` are short forms of
        ``root_mean_squared_error`` and ``mean_absolute_error``;
        ``mean_absolute_percentage_error``, a share, is NaN where a truth is 0.

    Example:
        >>> regression_scores(np.array([[1.0], [3.0]]), np.array([[2.0], [3.0]]))["mae"]
        0.5
    """
    from sklearn import metrics

    if not np.isfinite(predicted).all():
        return dict.fromkeys(REGRESSION_METRICS, math.nan)
    options = {"sample_weight": weight}
    rmse = metrics.root_mean_squared_error(truth, predicted, **options)
    mae = metrics.mean_absolute_error(truth, predicted, **options)
    scores = {
        "root_mean_squared_error": rmse,
        "rmse": rmse,
        "mean_absolute_error": mae,
        "mae": mae,
        "mean_squared_error": metrics.mean_squared_error(truth, predicted, **options),
        "median_absolute_error": metrics.median_absolute_error(truth, predicted, **options),
        "r2": metrics.r2_score(truth, predicted, **options) if len(truth) > 1 else math.nan,
        "mean_absolute_percentage_error": math.nan
        if (truth == 0).any()
        else metrics.mean_absolute_percentage_error(truth, predicted, **options),
    }
    return {name: float(value) for name, value in scores.items()}


REGRESSION_METRICS = (
    "root_mean_squared_error",
    "rmse",
    "mean_absolute_error",
    "mae",
    "mean_squared_error",
    "median_absolute_error",
    "r2",
    "mean_absolute_percentage_error",
)

LOWER_IS_BETTER = frozenset(
    {*REGRESSION_METRICS} - {"r2"}
    | {"log_loss", "hamming_loss", "loss", "brier_score", "cost", "perplexity"}
    | {"smape", "mase", "quantile_loss", "scaled_mae"}
    | {"set_size", "interval_width", "refused", "selective_risk"}
)


def class_details(
    truth: Codes, probabilities: Floats, names: list[str], guess: Codes | None = None
) -> dict[str, Any]:
    """Confusion matrix (rows: truth, columns: prediction) and, for two classes, the curves.

    Args:
        truth: Index of each row's class; rows with -1 are left out.
        probabilities: A row per row, a column per class.
        names: The classes.
        guess: The class that each row is given; the likeliest by default.

    Example:
        >>> shares = np.array([[0.9, 0.1], [0.8, 0.2]])
        >>> details = class_details(np.array([0, 1]), shares, ["a", "b"])
        >>> details["confusion_matrix"]["counts"]
        [[1, 0], [1, 0]]
    """
    from sklearn import metrics

    known = truth >= 0
    guess = (likeliest(probabilities) if guess is None else guess)[known]
    truth, probabilities = truth[known], probabilities[known]
    size = len(names)
    counts = np.bincount(truth * size + guess, minlength=size * size).reshape(size, size)
    details: dict[str, Any] = {"confusion_matrix": {"labels": names, "counts": counts.tolist()}}
    if size == 2 and 0 < truth.sum() < len(truth):
        false_rate, true_rate, _ = metrics.roc_curve(truth, probabilities[:, 1])
        precision, recall, _ = metrics.precision_recall_curve(truth, probabilities[:, 1])
        details["roc_curve"] = {
            "false_positive_rate": false_rate.tolist(),
            "true_positive_rate": true_rate.tolist(),
        }
        details["precision_recall_curve"] = {
            "precision": precision.tolist(),
            "recall": recall.tolist(),
        }
    return details
