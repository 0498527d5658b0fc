"""The metrics of each task over many weightings of the same rows: what the bootstrap replicates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.evaluation.metrics.bootstrap import Score
from glial.evaluation.metrics.weighted import (
    Codes,
    Flags,
    Floats,
    Ranking,
    weighted_mean,
    weighted_median,
    weighted_sums,
)
from glial.tasks.metrics import TOP


def class_replicates(
    truth: Codes, probabilities: Floats, guess: Codes, costs: Floats | None = None
) -> Score:
    """`glial.tasks.metrics.class_scores` as a function of weights.

    Args:
        truth: Index of each row's class; -1 for one that training never showed.
        probabilities: [row, class].
        guess: The class that each row is given.
        costs: What predicting a class (column) costs where another (row) is true.

    Example:
        >>> shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
        >>> score = class_replicates(np.array([0, 1, 1]), shares, np.array([0, 1, 0]))
        >>> score(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 2.0]]))["accuracy"]
        array([1. , 0.5])
    """
    size = probabilities.shape[1]
    known = truth >= 0
    cells, cell_of = np.unique((truth + 1) * (size + 1) + guess + 1, return_inverse=True)
    true, predicted = np.divmod(cells, size + 1)
    losses = _class_losses(truth[known], probabilities[known], guess[known], costs)
    areas = _class_areas(truth[known], probabilities[known])
    found = truth == (np.argsort(probabilities, axis=1, kind="stable")[:, ::-1][:, :TOP]).T
    among = found.any(axis=0).astype(np.float64)

    def score(weights: Floats) -> dict[str, Floats]:
        table = weighted_sums(cell_of, len(cells), weights)
        counts = class_counts(table, true, predicted, size + 1)
        scores = {"accuracy": counts["hits"].sum(axis=1) / table.sum(axis=1)}
        scores |= class_averages(counts, "macro", "micro", "weighted")
        scores["matthews_corrcoef"] = _matthews(counts)
        if size > TOP:
            scores[f"top_{TOP}_accuracy"] = weighted_mean(among, weights)
        if size == 2:
            seen = true > 0
            binary = class_counts(table[:, seen], true[seen], predicted[seen], size + 1)
            scores |= {name: each[:, 2] for name, each in _each(binary).items()}
        weights = weights if known.all() else weights[:, known]
        scores |= {name: weighted_mean(values, weights) for name, values in losses.items()}
        return scores | areas(weights)

    return score


def _class_losses(
    truth: Codes, probabilities: Floats, guess: Codes, costs: Floats | None
) -> dict[str, Floats]:
    """What each row adds to the metrics that are means over rows."""
    size = probabilities.shape[1]
    chosen = probabilities[np.arange(len(truth)), truth]
    squares = np.square(probabilities - np.eye(size)[truth]).sum(axis=1)
    losses = {
        "log_loss": -np.log(np.clip(chosen, np.finfo(np.float64).tiny, 1.0)),
        "brier_score": squares / (2 if size == 2 else 1),
    }
    return losses if costs is None else {**losses, "cost": costs[truth, guess]}


def _class_areas(truth: Codes, probabilities: Floats) -> Score:
    """``roc_auc`` and ``average_precision``: the mean over the classes that are drawn."""
    present = np.unique(truth)
    if probabilities.shape[1] == 2:
        present = present[-1:]
    rankings = [Ranking.of(truth == c, probabilities[:, c]) for c in present]
    names = ("roc_auc", "average_precision")

    def score(weights: Floats) -> dict[str, Floats]:
        if not len(truth):
            return dict.fromkeys(names, np.full(len(weights), np.nan))
        two = len(rankings) == 1
        areas = rankings[0].areas(weights) if two else _mean_areas(rankings, weights)
        return dict(zip(names, areas, strict=True))

    return score


def _mean_areas(rankings: list[Ranking], weights: Floats) -> Floats:
    """Both areas, the means over the questions that are answered both ways, [2, replicate]."""
    areas = np.array([ranking.areas(weights) for ranking in rankings])
    known = ~np.isnan(areas[:, :1])
    return np.asarray(np.where(known, areas, 0).sum(axis=0) / known.sum(axis=0))


def class_counts(table: Floats, true: Codes, predicted: Codes, size: int) -> dict[str, Floats]:
    """Weights of the right, the predicted and the true rows of each class.

    Args:
        table: Weight of each kind of row, [replicate, kind].
        true: The true class of each kind, [kind].
        predicted: The predicted one.
        size: Number of classes.

    Returns:
        ``hits``, ``predicted`` and ``actual``, [replicate, class].

    Example:
        >>> counts = class_counts(np.array([[2.0, 1.0]]), np.array([0, 1]), np.array([0, 0]), 2)
        >>> counts["hits"].tolist(), counts["predicted"].tolist()
        ([[2.0, 0.0]], [[3.0, 0.0]])
    """
    right = true == predicted
    return {
        "hits": weighted_sums(true[right], size, table[:, right]),
        "predicted": weighted_sums(predicted, size, table),
        "actual": weighted_sums(true, size, table),
    }


def _ratio(above: Floats, under: Floats) -> Floats:
    return np.divide(above, under, out=np.zeros_like(above), where=under > 0)


def _each(counts: dict[str, Floats]) -> dict[str, Floats]:
    """F1, precision and recall of each class, 0 where there is nothing to divide by."""
    hits, predicted, actual = counts["hits"], counts["predicted"], counts["actual"]
    return {
        "f1": _ratio(2 * hits, predicted + actual),
        "precision": _ratio(hits, predicted),
        "recall": _ratio(hits, actual),
    }


def class_averages(
    counts: dict[str, Floats], *kinds: str, every: bool = False
) -> dict[str, Floats]:
    """F1, precision and recall averaged over classes, and balanced accuracy.

    Args:
        counts: As by `class_counts`.
        kinds: ``macro``, ``micro`` or ``weighted``.
        every: Whether classes that do not occur count too.

    Example:
        >>> counts = class_counts(np.array([[2.0, 1.0]]), np.array([0, 1]), np.array([0, 0]), 2)
        >>> class_averages(counts, "macro")["recall_macro"]
        array([0.5])
    """
    actual, each = counts["actual"], _each(counts)
    occurs = np.ones_like(actual) if every else (actual + counts["predicted"] > 0)
    summed = {name: values.sum(axis=1, keepdims=True) for name, values in counts.items()}
    scores = {
        "balanced_accuracy": (each["recall"] * (actual > 0)).sum(axis=1) / (actual > 0).sum(axis=1)
    }
    for name, values in each.items():
        means = {
            "macro": (values * occurs).sum(axis=1) / occurs.sum(axis=1),
            "micro": _each(summed)[name][:, 0],
            "weighted": (values * actual).sum(axis=1) / actual.sum(axis=1),
        }
        scores |= {f"{name}_{kind}": means[kind] for kind in kinds}
    return scores


def _matthews(counts: dict[str, Floats]) -> Floats:
    hits, predicted, actual = counts["hits"], counts["predicted"], counts["actual"]
    total = actual.sum(axis=1)
    covered = hits.sum(axis=1) * total - (predicted * actual).sum(axis=1)
    spreads = [total**2 - np.square(each).sum(axis=1) for each in (predicted, actual)]
    return _ratio(covered, np.sqrt(spreads[0].clip(0) * spreads[1].clip(0)))


def multilabel_replicates(truth: Flags, probabilities: Floats, guess: Flags) -> Score:
    """`glial.tasks.metrics.multilabel_scores` as a function of weights.

    Args:
        truth: A row per row, a column per label.
        probabilities: Likewise.
        guess: The answers given.

    Example:
        >>> truth, guess = np.array([[True], [False]]), np.array([[True], [True]])
        >>> score = multilabel_replicates(truth, np.array([[0.9], [0.2]]), guess)
        >>> score(np.array([[3.0, 1.0]]))["accuracy"]
        array([0.75])
    """
    clipped = np.clip(probabilities, 1e-15, 1 - 1e-15)
    means = {
        "accuracy": (guess == truth).all(axis=1).astype(np.float64),
        "hamming_loss": (guess != truth).mean(axis=1),
        "log_loss": -np.log(np.where(truth, clipped, 1 - clipped)).mean(axis=1),
        "brier_score": np.square(probabilities - truth).mean(axis=1),
    }
    marks = {"hits": truth & guess, "predicted": guess, "actual": truth}
    rankings = [Ranking.of(*pair) for pair in zip(truth.T, probabilities.T, strict=True)]

    def score(weights: Floats) -> dict[str, Floats]:
        counts = {name: weights @ mark.astype(np.float64) for name, mark in marks.items()}
        areas = _mean_areas(rankings, weights)
        scores = {name: weighted_mean(values, weights) for name, values in means.items()}
        averages = class_averages(counts, "macro", "micro", "weighted", every=True)
        scores |= {name: each for name, each in averages.items() if name != "balanced_accuracy"}
        return scores | {"roc_auc": areas[0], "average_precision": areas[1]}

    return score


def regression_replicates(truth: Floats, predicted: Floats) -> Score:
    """`glial.tasks.metrics.regression_scores` as a function of weights.

    Args:
        truth: A row per row, a column per output.
        predicted: Likewise.

    Example:
        >>> score = regression_replicates(np.array([[1.0], [3.0]]), np.array([[2.0], [3.0]]))
        >>> score(np.array([[1.0, 1.0], [1.0, 3.0]]))["mae"]
        array([0.5 , 0.25])
    """
    error = np.abs(truth - predicted)
    centred = truth - truth.mean(axis=0)

    def score(weights: Floats) -> dict[str, Floats]:
        squares = weighted_mean(np.square(error), weights)
        rmse = np.sqrt(squares).mean(axis=1)
        mae = weighted_mean(error, weights).mean(axis=1)
        medians = np.array([weighted_median(column, weights) for column in error.T])
        spread = weighted_mean(centred**2, weights) - weighted_mean(centred, weights) ** 2
        lone = (weights > 0).sum(axis=1) < 2
        scores = {
            "root_mean_squared_error": rmse,
            "rmse": rmse,
            "mean_absolute_error": mae,
            "mae": mae,
            "mean_squared_error": squares.mean(axis=1),
            "median_absolute_error": medians.mean(axis=0),
            "r2": np.where(lone, np.nan, _explained(squares, spread)),
        }
        if not (truth == 0).any():
            shares = weighted_mean(error / np.abs(truth), weights)
            scores["mean_absolute_percentage_error"] = shares.mean(axis=1)
        return scores

    return score


def with_means(score: Score, means: Mapping[str, NDArray[Any]]) -> Score:
    """A function of weights with the means of some numbers added.

    Args:
        score: Metrics as a function of weights.
        means: Metric to a number a row, [row].

    Example:
        >>> score = with_means(lambda weights: {}, {"coverage": np.array([True, False])})
        >>> score(np.array([[3.0, 1.0]]))["coverage"]
        array([0.75])
    """
    numbers = {name: np.asarray(each, dtype=np.float64) for name, each in means.items()}
    return lambda weights: (
        score(weights) | {name: weighted_mean(each, weights) for name, each in numbers.items()}
    )


def _explained(squares: Floats, spread: Floats) -> Floats:
    """R2, the mean over outputs; of a constant truth 1 where nothing is wrong, and else 0."""
    constant = spread <= 1e-12 * np.maximum(squares, np.finfo(np.float64).tiny)
    share = 1 - np.divide(squares, spread, out=np.ones_like(squares), where=~constant)
    return np.asarray(np.where(constant & (squares == 0), 1.0, share).mean(axis=1))
