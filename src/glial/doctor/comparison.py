"""Training rows held against evaluation rows, and rows before they were changed against after."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.doctor.evidence import RowsSeen
from glial.doctor.forests import are_labels, forest, one_column, score, votes, widest_columns

Array = NDArray[Any]

FEWEST_ROWS = 80
FEWEST_OF_A_CLASS = 12
MOST_ROWS = 600
MOST_COLUMNS = 128


def told_apart(train: Array, evaluated: Array) -> float:
    """How well a forest tells training rows from evaluation rows that it has not seen.

    Args:
        train: ``[rows, columns]``.
        evaluated: ``[rows, columns]``, none of them among the training rows.

    Returns:
        The area under the curve; NaN of too few rows.

    Source:
        Lopez-Paz, Oquab (2017), "Revisiting classifier two-sample tests", ICLR.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 2))
        >>> told_apart(rows[:100], rows[100:] + 5) > 0.99
        True
    """
    from sklearn.metrics import roc_auc_score

    sides = [_some(np.unique(side, axis=0)) for side in (train, evaluated)]
    if min(map(len, sides)) < FEWEST_ROWS:
        return math.nan
    x = np.concatenate(sides)[:, widest_columns(sides[0], MOST_COLUMNS)]
    side = np.repeat([0.0, 1.0], [len(one) for one in sides])
    if not np.isfinite(x).all():
        return math.nan
    return float(roc_auc_score(side, votes(x, side, labels=True)[:, 1]))


def score_of(x: Array, y: Array, *, are_amounts: bool = False) -> float:
    """How well rows predict each other, from 0, a constant, to 1; NaN of too few.

    Args:
        x: ``[rows, columns]``.
        y: ``[rows]`` or ``[rows, outputs]``.
        are_amounts: Whether targets are no classes, even where they are whole.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> score_of(x, x[:, 0]) > 0.9, score_of(x, x[::-1, 0].copy()) < 0.1
        (True, True)
    """
    _, first = np.unique(x, axis=0, return_index=True)
    kept = _some(np.sort(first))
    x, y = x[kept][:, widest_columns(x, MOST_COLUMNS)], one_column(y)[kept]
    if len(x) < FEWEST_ROWS or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan
    if len(np.unique(y)) < 2 or x.shape[1] == 0:
        return math.nan
    labels = are_labels(y) and not are_amounts
    if labels and _is_starved(y):
        return math.nan
    return score(y, votes(x, y, labels=labels), labels=labels)


def compare_with_evaluation(
    seen: RowsSeen,
    train: Array,
    targets: Array,
    asked: Array | None,
    answers: Array | None,
    *,
    are_amounts: bool,
) -> None:
    """See whether training rows are harder to predict than evaluation rows are.

    Args:
        seen: Where that is kept.
        train: Training inputs.
        targets: Their targets.
        asked: Evaluation inputs.
        answers: Their targets.
        are_amounts: Whether targets are no classes.
    """
    if asked is None or answers is None or asked.shape[1:] != train.shape[1:]:
        return
    _, places = np.unique(asked, axis=0, return_index=True)
    asked, answers = asked[places], one_column(answers)[places]
    _, places = np.unique(train, axis=0, return_index=True)
    train, targets = train[places], one_column(targets)[places]
    mixed = np.random.default_rng(0)
    asked_of, train_of = mixed.permutation(len(asked)), mixed.permutation(len(train))
    count = min(len(asked), MOST_ROWS)
    if len(train) >= FEWEST_ROWS:
        count = min(count, len(train))
    asked_of, train_of = asked_of[:count], train_of[:count]
    seen.own_score = score_of(asked[asked_of], answers[asked_of], are_amounts=are_amounts)
    seen.peer_score = score_of(train[train_of], targets[train_of], are_amounts=are_amounts)
    if math.isnan(seen.own_score) or math.isnan(seen.peer_score):
        return
    labels = are_labels(answers) and are_labels(targets) and not are_amounts
    if labels and set(np.unique(answers)) >= set(np.unique(targets)):
        seen.contradicted = _contradicted(
            asked[asked_of], answers[asked_of], train[train_of], targets[train_of]
        )


def _contradicted(asked: Array, answers: Array, train: Array, targets: Array) -> float:
    """How much more often a forest of evaluation rows is wrong on training rows than on its own."""
    columns = widest_columns(asked, MOST_COLUMNS)
    kinds = np.unique(answers)
    own = kinds[votes(asked[:, columns], answers, labels=True).argmax(1)] != answers
    grown = forest(labels=True).fit(asked[:, columns], answers)
    other = grown.predict(train[:, columns]) != targets
    return float(other.mean() - own.mean())


def _is_starved(y: Array) -> bool:
    """Whether a class has too few rows to learn it from, and far fewer than its share."""
    _, counts = np.unique(y, return_counts=True)
    return bool(counts.min() < min(FEWEST_OF_A_CLASS, 0.3 * len(y) / len(counts)))


def _some(rows: Array) -> Array:
    """At most so many, drawn evenly."""
    if len(rows) <= MOST_ROWS:
        return rows
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:MOST_ROWS])]
