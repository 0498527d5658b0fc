"""What a simple reference says of the rows: repeated ones, what can be predicted, wrong labels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.doctor.evidence import RowsSeen

Array = NDArray[Any]

FEWEST_ROWS = 60
MOST_ROWS = 1500
MOST_COLUMNS = 256
MOST_CLASSES = 50
SURE = 0.7
SURE_SHARE = 0.35
ALL_OF_THEM = 0.95


def examine_rows(
    train: Array,
    targets: Array | None,
    evaluated: Array,
    batches: Array | None,
    answered: Array,
    answers: Array | None,
    accuracy: Array | float,
) -> RowsSeen:
    """Compare rows with each other, and see what a forest can predict of them.

    Args:
        train: Training inputs, ``[rows, columns]``.
        targets: Their targets, ``[rows]`` or ``[rows, outputs]``.
        evaluated: Evaluation inputs.
        batches: The number of rows of each evaluation call, where ``train`` is all training rows;
            None where it is a part of them.
        answered: Evaluation inputs whose targets are known.
        answers: Their targets, ``[rows]``.
        accuracy: The share of these that the network got right.

    Example:
        >>> rows = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)
        >>> seen = examine_rows(rows, None, rows[:1], np.array([1]), rows[:0], None, 0.5)
        >>> seen.train, seen.distinct, seen.crossing
        (6, 3, 1)
    """
    seen = RowsSeen(train=len(train), evaluated=len(evaluated), eval_accuracy=float(accuracy))
    marks = [row.tobytes() for row in train]
    seen.distinct = len(set(marks))
    seen.columns = train.shape[1] if train.size else 0
    known = set(marks)
    if train.size and evaluated.size and train.shape[1] == evaluated.shape[1]:
        equal = np.array([row.tobytes() in known for row in evaluated])
        seen.crossing = int(equal.sum())
        if batches is not None:
            seen.repeated = len(train) - seen.distinct
            seen.crossing_share = _crossing_share(equal, batches)
    if targets is None or len(targets) != len(train):
        return seen
    first: dict[bytes, Any] = {}
    for mark, target in zip(marks, targets, strict=True):
        if mark in first and not np.array_equal(first[mark], target):
            seen.conflicting += 1
        first.setdefault(mark, target)
    _predict(seen, train, targets, answered, answers)
    return seen


def examine_file(path: Path) -> RowsSeen:
    """Compare the rows that were kept in a file, arrays under the names of the arguments.

    Raises:
        OSError: If it cannot be read.
    """
    with np.load(path, allow_pickle=False) as parts:
        optional = dict.fromkeys(("targets", "batches", "answers"))
        return examine_rows(**{**optional, **{name: parts[name] for name in parts.files}})


def _crossing_share(equal: Array, batches: Array) -> float:
    """The share of rows that equal training rows, in evaluations of other rows."""
    ends = np.cumsum(batches)
    parts = [part for part in np.split(equal, ends[:-1]) if len(part) and part.mean() < ALL_OF_THEM]
    return float(np.concatenate(parts).mean()) if parts else 0.0


def _predict(
    seen: RowsSeen, train: Array, targets: Array, answered: Array, answers: Array | None
) -> None:
    _, places = np.unique(train, axis=0, return_index=True)
    places = np.sort(places)[:MOST_ROWS]
    x, y = train[places], targets[places]
    if len(x) < FEWEST_ROWS or x.shape[1] > 4096:
        return
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and np.all((y == 0) | (y == 1)) and np.all(y.sum(1) == 1):
        y = y.argmax(1).astype(float)
    columns = np.arange(x.shape[1])
    if len(columns) > MOST_COLUMNS:
        columns = np.sort(np.argsort(-x.std(0))[:MOST_COLUMNS])
    x = x[:, columns]
    if y.ndim == 2:
        y = y[:, 0]
    known = np.isfinite(y) & np.isfinite(x).all(1)
    x, y = x[known], y[known]
    if len(x) < FEWEST_ROWS:
        return
    kinds = np.unique(y)
    labels = len(kinds) <= min(MOST_CLASSES, len(y) // 5) and np.all(y == np.round(y))
    if len(kinds) < 2 or x.shape[1] == 0:
        return
    votes = _votes(x, y, labels=bool(labels))
    seen.score = _score(y, votes, kinds, labels=bool(labels))
    _single_column(seen, x, y, columns, labels=bool(labels))
    if labels:
        _suspects(seen, y, votes, kinds)
    if answers is not None and labels and answered.shape[1] == train.shape[1]:
        strange = sorted(set(np.unique(answers)) - set(kinds))
        seen.unseen_classes = [f"{value:g}" for value in strange][:10]
        found = _forest(labels=True).fit(x, y).predict(answered[:, columns])
        seen.eval_score = float((found == answers).mean())
        seen.merged = _merged(y, strange, found, answers)


def _merged(y: Array, strange: list[float], found: Array, answers: Array) -> list[str]:
    """An unseen class whose rows look like one class that has twice the rows of others."""
    kinds, counts = np.unique(y, return_counts=True)
    for one in strange:
        likes, votes = np.unique(found[answers == one], return_counts=True)
        most = likes[votes.argmax()]
        twice = counts[kinds == most][0] >= 1.6 * np.median(counts)
        if votes.max() >= 0.7 * votes.sum() and twice:
            return [f"{one:g}", f"{most:g}"]
    return []


def _forest(*, labels: bool) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind = ExtraTreesClassifier if labels else ExtraTreesRegressor
    weights = {"class_weight": "balanced"} if labels else {}
    return kind(n_estimators=40, min_samples_leaf=3, random_state=0, n_jobs=1, **weights)


def _votes(x: Array, y: Array, *, labels: bool) -> Array:
    """What forests that did not see a row say of it."""
    from sklearn.model_selection import KFold, cross_val_predict

    order = np.random.default_rng(0).permutation(len(y))
    votes = np.empty((len(y), len(np.unique(y)))) if labels else np.empty(len(y))
    folds = KFold(3)
    if not labels:
        votes[order] = cross_val_predict(_forest(labels=False), x[order], y[order], cv=folds)
        return votes
    kinds = np.unique(y)
    for known, held in folds.split(order):
        forest = _forest(labels=True).fit(x[order[known]], y[order[known]])
        found = np.zeros((len(held), len(kinds)))
        found[:, np.searchsorted(kinds, forest.classes_)] = forest.predict_proba(x[order[held]])
        votes[order[held]] = found
    return votes


def _score(y: Array, votes: Array, kinds: Array, *, labels: bool) -> float:
    if not labels:
        squared = float(1 - np.mean((y - votes) ** 2) / max(1e-300, np.var(y)))
        ranks = np.corrcoef(y.argsort().argsort(), votes.argsort().argsort())[0, 1]
        return max(squared, float(ranks) * abs(float(ranks)))  # outliers spoil squares, not ranks
    answers = kinds[votes.argmax(1)]
    right = float(np.mean([(answers[y == kind] == kind).mean() for kind in kinds]))
    chance = 1 / len(kinds)
    return (right - chance) / (1 - chance)


def _single_column(seen: RowsSeen, x: Array, y: Array, columns: Array, *, labels: bool) -> None:
    """The column that alone tells the target best, by a small tree on held-out rows."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    half, best = len(y) // 2, -math.inf
    kinds = np.unique(y)
    chance = max(float((y[half:] == kind).mean()) for kind in kinds) if labels else 0.0
    kind = DecisionTreeClassifier if labels else DecisionTreeRegressor
    for place in np.argsort(-np.abs(_relation(x, y, labels=labels)))[:8]:
        tree = kind(max_depth=6, min_samples_leaf=3, random_state=0)
        found = tree.fit(x[:half, [place]], y[:half]).predict(x[half:, [place]])
        if labels:
            right = float((found == y[half:]).mean())
            score = (right - chance) / (1 - chance) if chance < 1 else math.nan
        else:
            score = float(1 - np.mean((y[half:] - found) ** 2) / max(1e-300, np.var(y[half:])))
        if score > best:
            best, seen.single_column = score, int(columns[place])
    seen.single_score = best if math.isfinite(best) else math.nan


def _relation(x: Array, y: Array, *, labels: bool) -> Array:
    """How much of each column's variance the target tells: of classes, or by a straight line."""
    total = x.var(0) + 1e-30
    if labels:
        means = [x[y == kind].mean(0) for kind in np.unique(y)]
        shares = [float((y == kind).mean()) for kind in np.unique(y)]
        between: Array = sum(s * (m - x.mean(0)) ** 2 for s, m in zip(shares, means, strict=True))
        share: Array = between / total
        return share
    centred = (y - y.mean())[:, None]
    line: Array = ((x - x.mean(0)) * centred).mean(0) / np.sqrt(total * (y.var() + 1e-30))
    return line


def _suspects(seen: RowsSeen, y: Array, votes: Array, kinds: Array) -> None:
    """Rows whose label gets little of the vote while another surely wins."""
    own = votes[np.arange(len(y)), np.searchsorted(kinds, y)]
    best = votes.max(1)
    wrong = (best >= SURE) & (own <= 0.15) & (kinds[votes.argmax(1)] != y)
    missed = float((kinds[votes.argmax(1)] != y).mean())
    # Where classes overlap, a forest is often wrong and seldom sure; wrong labels make it sure.
    seen.suspects = float(wrong.mean()) if wrong.mean() >= SURE_SHARE * missed else 0.0
    if wrong.any():
        pairs: dict[tuple[float, float], int] = {}
        for said, is_ in zip(y[wrong], kinds[votes[wrong].argmax(1)], strict=True):
            pairs[(float(said), float(is_))] = pairs.get((float(said), float(is_)), 0) + 1
        seen.confused = [f"{value:g}" for value in max(pairs, key=lambda pair: pairs[pair])]
