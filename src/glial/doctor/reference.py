"""What a simple reference says of the rows: repeated ones, what can be predicted, wrong labels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.doctor.comparison import compare_with_evaluation, score_of, told_apart
from glial.doctor.evidence import RowsSeen
from glial.doctor.forests import are_labels, forest, one_column, score, votes, widest_columns

Array = NDArray[Any]

FEWEST_ROWS = 60
MOST_ROWS = 1500
MOST_COLUMNS = 256
SURE = 0.7
SURE_SHARE = 0.35
ALL_OF_THEM = 0.95
COPIED = 1 - 1e-6
MOSTLY_ALIKE = 0.5  # the correlation of most columns with the targets of the same place
FEWEST_HELD = 50
MOST_SITES = 3
MOST_COVERED = 0.9
MOST_COVERED_UNKNOWN = 0.6
# What stands for missing values: how often, how far from the others in units of their range, and
# of how many different ones.
STAND_IN_SHARES, STAND_IN_GAP, FEWEST_DIFFERENT = (0.005, 0.7), 5.0, 20


def examine_rows(
    train: Array,
    targets: Array | None,
    evaluated: Array,
    batches: Array,
    answered: Array,
    answers: Array | None,
    accuracy: Array | float,
    *,
    whole: Array | bool = False,
    total: Array | int = 0,
    are_amounts: Array | bool = False,
    shares: Array | None = None,
    sites: Array | None = None,
    given: Array | None = None,
    plain: Array | None = None,
    labels: Array | None = None,
    measured: Array | None = None,
    amounts: Array | None = None,
    fit: Array | float = math.nan,
) -> RowsSeen:
    """Compare rows with each other, and see what a forest can predict of them.

    Args:
        train: Training inputs, ``[rows, columns]``.
        targets: Their targets, ``[rows]`` or ``[rows, outputs]``.
        evaluated: Evaluation inputs.
        batches: The number of rows of each evaluation call.
        answered: Evaluation inputs whose targets are known.
        answers: Their targets, ``[rows]``.
        accuracy: The share of these that the network got right.
        whole: Whether ``train`` is all training rows, each once.
        total: Otherwise, the number of all training rows; 0 where it is not known.
        are_amounts: Whether targets are amounts, whole or not, and no classes.
        shares: For each evaluation call, whether its rows lie in the memory that training rows
            come from: 1 or 0; -1 where that is not known.
        sites: For each evaluation call, from where it was made.
        given: Training inputs after random numbers changed them.
        plain: The same rows before.
        labels: Their targets.
        measured: Evaluation inputs whose targets are amounts.
        amounts: Their targets.
        fit: The share of the variance of these that the network explained.

    Example:
        >>> rows = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)
        >>> one = rows[:1], np.array([1])
        >>> seen = examine_rows(rows, None, *one, rows[:0], None, 0.5, whole=True)
        >>> seen.train, seen.distinct, seen.crossing
        (6, 3, 1)
    """
    seen = RowsSeen(train=len(train), evaluated=len(evaluated), eval_accuracy=float(accuracy))
    seen.eval_fit = float(fit)
    marks = [row.tobytes() for row in train]
    seen.distinct = len(set(marks))
    seen.columns = train.shape[1] if train.size else 0
    known = set(marks)
    seen.stand_in, seen.stand_in_share = stand_in(train)
    if train.size and evaluated.size and train.shape[1] == evaluated.shape[1]:
        equal = np.array([row.tobytes() in known for row in evaluated])
        seen.crossing = int(equal.sum())
        if whole:
            seen.repeated = len(train) - seen.distinct
        if whole or seen.distinct >= total > 0:
            seen.crossing_share = _crossing_share(equal, batches)
            if shares is not None and len(shares) == len(batches) and equal.all():
                seen.crossing_share = _held_share(marks, evaluated, shares)
        seen.told_apart = _told_apart_anywhere(train, evaluated, equal, batches, sites)
    if targets is None or len(targets) != len(train):
        return seen
    first: dict[bytes, Any] = {}
    for mark, target in zip(marks, targets, strict=True):
        if mark in first and not np.array_equal(first[mark], target):
            seen.conflicting += 1
        first.setdefault(mark, target)
    amount = bool(are_amounts)
    _predict(seen, train, targets, answered, answers, are_amounts=amount)
    asked = (answered, answers) if answers is not None else (measured, amounts)
    compare_with_evaluation(seen, train, targets, *asked, are_amounts=amount)
    if plain is not None and given is not None and labels is not None:
        count = min(len(plain), len(given), len(labels))
        seen.plain_score = score_of(plain[:count], labels[:count], are_amounts=amount)
        seen.given_score = score_of(given[:count], labels[:count], are_amounts=amount)
    return seen


def stand_in(rows: Array) -> tuple[float, float]:
    """A number far from all others that columns hold again and again, and the share of it.

    Args:
        rows: ``[rows, columns]``.

    Returns:
        NaN and 0 where there is none.

    Example:
        >>> rows = np.linspace(0, 1, 200)[:, None]
        >>> rows[::10] = -999
        >>> stand_in(rows)
        (-999.0, 0.1)
    """
    shares: dict[float, list[float]] = {}
    for column in rows.T if rows.ndim == 2 and len(rows) >= FEWEST_ROWS else []:
        for value in (column.min(), column.max()):
            others = column[column != value]
            share = (len(column) - len(others)) / len(column)
            if not STAND_IN_SHARES[0] <= share <= STAND_IN_SHARES[1]:
                continue
            gap = min(abs(others.min() - value), abs(others.max() - value))
            apart = gap > STAND_IN_GAP * np.ptp(others) > 0
            if apart and len(np.unique(others)) >= FEWEST_DIFFERENT:
                shares.setdefault(float(value), []).append(share)
    if not shares:
        return math.nan, 0.0
    value = max(shares, key=lambda each: sum(shares[each]))
    return value, float(np.mean(shares[value]))


def _told_apart_anywhere(
    train: Array, evaluated: Array, equal: Array, batches: Array, sites: Array | None
) -> float:
    """How well rows of training are told from others: all of these, or those of one place."""
    groups = [~equal]
    if sites is not None and len(sites) == len(batches):
        of_row = np.repeat(sites, batches)
        places = list(dict.fromkeys(sites.tolist()))[:MOST_SITES]
        groups += [~equal & (of_row == place) for place in places if len(places) > 1]
    found = [told_apart(train, evaluated[group]) for group in groups]
    return max((value for value in found if not math.isnan(value)), default=math.nan)


def _held_share(marks: list[bytes], evaluated: Array, shares: Array) -> float:
    """The share of evaluation rows that were trained on where all are: 1, or 0 if meant so.

    Who asks for the training rows on purpose asks for the very tensor, or for all of them.
    """
    if (shares == 1).any():
        return 0.0
    different = len({row.tobytes() for row in evaluated})
    covered = different / len(set(marks))
    most = MOST_COVERED if (shares == 0).all() else MOST_COVERED_UNKNOWN
    return 1.0 if different >= FEWEST_HELD and covered < most else 0.0


def examine_file(path: Path) -> RowsSeen:
    """Compare the rows that were kept in a file, arrays under the names of the arguments.

    Raises:
        OSError: If it cannot be read.
    """
    with np.load(path, allow_pickle=False) as parts:
        optional = dict.fromkeys(("targets", "answers"))
        return examine_rows(**{**optional, **{name: parts[name] for name in parts.files}})


def _crossing_share(equal: Array, batches: Array) -> float:
    """The share of rows that equal training rows, in evaluations of other rows."""
    ends = np.cumsum(batches)
    parts = [part for part in np.split(equal, ends[:-1]) if len(part) and part.mean() < ALL_OF_THEM]
    return float(np.concatenate(parts).mean()) if parts else 0.0


def _predict(
    seen: RowsSeen,
    train: Array,
    targets: Array,
    answered: Array,
    answers: Array | None,
    *,
    are_amounts: bool,
) -> None:
    _, places = np.unique(train, axis=0, return_index=True)
    places = np.sort(places)[:MOST_ROWS]
    x, y = train[places], targets[places]
    if len(x) < FEWEST_ROWS or x.shape[1] > 4096:
        return
    single, rebuilt = y.ndim == 1 or y.shape[1] == 1, _is_rebuilt(x, y)
    y = one_column(y)
    columns = widest_columns(x, MOST_COLUMNS)
    x = x[:, columns]
    known = np.isfinite(y) & np.isfinite(x).all(1)
    x, y = x[known], y[known]
    if len(x) < FEWEST_ROWS:
        return
    kinds = np.unique(y)
    labels = are_labels(y) and not are_amounts
    if len(kinds) < 2 or x.shape[1] == 0:
        return
    said = votes(x, y, labels=labels)
    seen.score = score(y, said, labels=labels)
    if not rebuilt:
        _single_column(seen, x, y, columns, labels=labels)
    copies = np.abs(_relation(x, y, labels=False)) > COPIED if single else np.zeros(0, bool)
    if copies.any():
        seen.single_column, seen.copied = int(columns[copies.argmax()]), True
    if labels:
        _suspects(seen, y, said, kinds)
    if answers is not None and labels and answered.shape[1] == train.shape[1]:
        strange = sorted(set(np.unique(answers)) - set(kinds))
        seen.unseen_classes = [f"{value:g}" for value in strange][:10]
        rows = np.isfinite(answered[:, columns]).all(1)
        if rows.any():
            found = forest(labels=True).fit(x, y).predict(answered[rows][:, columns])
            seen.eval_score = float((found == answers[rows]).mean())
            here = [one for one in strange if one in answers[rows]]
            seen.merged = _merged(y, here, found, answers[rows])


def _is_rebuilt(x: Array, y: Array) -> bool:
    """Whether targets are the inputs themselves, spoiled or not, as of an autoencoder."""
    if y.shape != x.shape or y.ndim != 2 or y.shape[1] < 2:
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        a, b = x - x.mean(0), y - y.mean(0)
        alike = (a * b).mean(0) / np.sqrt(x.var(0) * y.var(0) + 1e-30)
    return bool(np.median(alike) > MOSTLY_ALIKE)


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
    surest = np.argsort(-best)[: max(1, len(y) // 4)]
    seen.surely_wrong = float((kinds[votes.argmax(1)] != y)[surest].mean())
    seen.surest_vote = float(best[surest].mean())
    seen.missed = missed
    if wrong.any():
        pairs: dict[tuple[float, float], int] = {}
        for said, is_ in zip(y[wrong], kinds[votes[wrong].argmax(1)], strict=True):
            pairs[(float(said), float(is_))] = pairs.get((float(said), float(is_)), 0) + 1
        seen.confused = [f"{value:g}" for value in max(pairs, key=lambda pair: pairs[pair])]
