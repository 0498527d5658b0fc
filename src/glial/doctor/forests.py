"""A forest as the reference of what rows tell: how it is made, asked and judged."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FOLDS = 3
MOST_CLASSES = 50


def forest(*, labels: bool) -> Any:
    """One that is not trained yet, for labels or for amounts.

    Example:
        >>> forest(labels=True).n_estimators
        40
    """
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind = ExtraTreesClassifier if labels else ExtraTreesRegressor
    weights = {"class_weight": "balanced"} if labels else {}
    return kind(n_estimators=40, min_samples_leaf=3, random_state=0, n_jobs=1, **weights)


def votes(x: Array, y: Array, *, labels: bool) -> Array:
    """What forests that did not see a row say of it.

    Args:
        x: ``[rows, columns]``, finite.
        y: ``[rows]``.
        labels: Whether ``y`` holds labels.

    Returns:
        ``[rows, kinds]`` in the order of the sorted labels; ``[rows]`` of amounts.

    Example:
        >>> rows = np.repeat([[0.0], [1.0]], 30, axis=0)
        >>> votes(rows, rows[:, 0], labels=True)[0].round(1).tolist()
        [1.0, 0.0]
    """
    from sklearn.model_selection import KFold, cross_val_predict

    order = np.random.default_rng(0).permutation(len(y))
    found = np.empty((len(y), len(np.unique(y)))) if labels else np.empty(len(y))
    folds = KFold(FOLDS)
    if not labels:
        found[order] = cross_val_predict(forest(labels=False), x[order], y[order], cv=folds)
        return found
    kinds = np.unique(y)
    for known, held in folds.split(order):
        grown = forest(labels=True).fit(x[order[known]], y[order[known]])
        said = np.zeros((len(held), len(kinds)))
        said[:, np.searchsorted(kinds, grown.classes_)] = grown.predict_proba(x[order[held]])
        found[order[held]] = said
    return found


def score(y: Array, said: Array, *, labels: bool) -> float:
    """How good :func:`votes` are, from 0, a constant, to 1.

    Of labels it is the balanced accuracy above chance, of amounts the share of the variance.

    Example:
        >>> score(np.array([0.0, 1.0]), np.array([[1.0, 0.0], [0.0, 1.0]]), labels=True)
        1.0
    """
    if not labels:
        squared = float(1 - np.mean((y - said) ** 2) / max(1e-300, np.var(y)))
        ranks = float(np.corrcoef(y.argsort().argsort(), said.argsort().argsort())[0, 1])
        return max(squared, ranks * abs(ranks))  # outliers spoil squares, not ranks
    kinds = np.unique(y)
    answers = kinds[said.argmax(1)]
    right = float(np.mean([(answers[y == kind] == kind).mean() for kind in kinds]))
    chance = 1 / len(kinds)
    return (right - chance) / (1 - chance)


def one_column(y: Array) -> Array:
    """Targets as one number a row: the class of one-hot rows, the first of several amounts.

    Example:
        >>> one_column(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
        [1.0, 0.0]
    """
    if y.ndim == 1:
        return y
    if y.shape[1] > 1 and np.all((y == 0) | (y == 1)) and np.all(y.sum(1) == 1):
        classes: Array = y.argmax(1).astype(float)
        return classes
    return y[:, 0]


def are_labels(y: Array) -> bool:
    """Whether numbers look like classes: whole, and few of them.

    Example:
        >>> are_labels(np.arange(20) % 2), are_labels(np.arange(20))
        (True, False)
    """
    few = len(np.unique(y)) <= min(MOST_CLASSES, len(y) // 5)
    return few and bool(np.all(y == np.round(y)))


def widest_columns(x: Array, most: int) -> Array:
    """The columns that vary most, in their order.

    Example:
        >>> widest_columns(np.array([[0.0, 1.0, 4.0], [0.0, 2.0, 1.0]]), most=2).tolist()
        [1, 2]
    """
    if x.shape[1] <= most:
        return np.arange(x.shape[1])
    widest: Array = np.sort(np.argsort(-x.std(0))[:most])
    return widest
