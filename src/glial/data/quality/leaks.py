"""Columns that give the target away: each alone predicts it nearly perfectly, out of fold."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from glial.core.seeds import derive_seed
from glial.data.quality.sheet import Floats, Sheet
from glial.data.splits import Rows, folds

logger = logging.getLogger(__name__)

CLASS_THRESHOLD, NUMBER_THRESHOLD = 0.96, 0.98
HOPELESS = 0.3  # a first fold this far below the threshold ends a column's examination
MIN_ROWS = 30
# Of more columns than this, those are examined that look the most telling at a glance.
MOST_COLUMNS = 200
GLANCED_ROWS = 1_000


@dataclass(frozen=True)
class Giveaway:
    """A column that predicts a target nearly perfectly by itself.

    Attributes:
        column: The input.
        target: The target.
        score: How far from the trivial answer (0) to the perfect one (1), out of fold.
        measure: ``matthews_corrcoef`` for classes; ``r2_of_ranks`` for numbers.
        threshold: The score from which on a column is named.
        rows: Number of rows that it was measured on.

    Example:
        >>> Giveaway("copy", "y", 1.0, "r2_of_ranks", 0.99, 100).to_dict()["score"]
        1.0
    """

    column: str
    target: str
    score: float
    measure: str
    threshold: float
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


def find_giveaways(
    sheet: Sheet, *, seed: int = 0, num_rows: int = 10_000, num_folds: int = 5
) -> list[Giveaway]:
    """The columns that predict a target nearly perfectly by themselves, best first.

    Numbers and times are read by a decision tree, categories by what is commonest (classes) or
    by the mean (numbers) for each value; each fold is predicted by what the others taught.
    Classes are scored by Matthews' correlation, which, other than accuracy and the area under
    the ROC curve, tells a copy with some noise from an honest strong column at any balance of
    the classes; numbers by R2 of their ranks, which long tails do not disturb. A table's only
    input is not examined: there it says no more than that the task is easy. Of more than 200
    columns, those 200 are examined in whose order neighbours have the most similar targets.

    Args:
        sheet: The rows.
        seed: Seed of the sample and of the folds.
        num_rows: The most rows that are looked at.
        num_folds: Folds of the cross-validation.

    Source:
        Gorodkin 2004 (Matthews' correlation for several classes).

    Example:
        >>> import polars as pl
        >>> y = np.arange(200) % 7 / 3 + np.arange(200) % 11
        >>> frame = pl.DataFrame({"copy": np.exp(y), "other": np.arange(200) % 3, "y": y})
        >>> kinds = {"copy": "number", "other": "number"}
        >>> sheet = Sheet.of([frame], ["y"], kinds, "regression")
        >>> [found.column for found in find_giveaways(sheet)]
        ['copy']
    """
    if len(sheet.usable) < 2 or sheet.frame.height < MIN_ROWS:
        return []
    sheet = sheet.some(num_rows, seed, "giveaways")
    found = [
        giveaway
        for target in sheet.targets
        for giveaway in _of_target(sheet, target, seed, num_folds)
    ]
    return sorted(found, key=lambda giveaway: -giveaway.score)


def _of_target(sheet: Sheet, target: str, seed: int, num_folds: int) -> Iterator[Giveaway]:
    classes = sheet.task != "regression"
    truth: Any = sheet.codes(target) if classes else ranks(sheet.floats(target))
    threshold = CLASS_THRESHOLD if classes else NUMBER_THRESHOLD
    if len(np.unique(truth)) < 2:
        return
    parts = list(
        folds(
            len(truth),
            num_folds,
            method="stratified" if classes and _can_stratify(truth, num_folds) else "random",
            labels=truth if classes else None,
            seed=derive_seed(seed, "giveaways"),
        )
    )
    measure = "matthews_corrcoef" if classes else "r2_of_ranks"
    for name in _telling(sheet, truth):
        score = _score(sheet, name, truth, parts, threshold - HOPELESS)
        if score >= threshold:
            yield Giveaway(name, target, score, measure, threshold, len(truth))


def _telling(sheet: Sheet, truth: Any) -> list[str]:
    """The columns that are worth an examination, in their order."""
    names = sheet.usable
    if len(names) <= MOST_COLUMNS:
        return names
    few = sheet.only(np.arange(min(GLANCED_ROWS, sheet.frame.height)))
    scores = [_likeness(_values(few, name), truth[: few.frame.height]) for name in names]
    best = np.argsort(np.negative(scores), kind="stable")[:MOST_COLUMNS]
    return [names[place] for place in np.sort(best)]


def _likeness(values: Any, truth: Any) -> float:
    """How alike the targets of neighbours are in a column's order; for numbers, of ranks."""
    ordered = truth[np.argsort(values, kind="stable")]
    if truth.dtype.kind == "i":
        return float(np.mean(ordered[1:] == ordered[:-1]))
    return -float(np.square(np.diff(ordered)).mean())


def _values(sheet: Sheet, name: str) -> Any:
    """A column as numbers, or as codes of words."""
    return sheet.floats(name) if sheet.is_number(name) else sheet.codes(name)


def ranks(values: Floats) -> Floats:
    """Ranks of numbers between 0 and 1, equal numbers sharing their mean rank, [row].

    Example:
        >>> ranks(np.array([10.0, 1e9, 10.0, -1.0])).tolist()
        [0.625, 1.0, 0.625, 0.25]
    """
    from scipy.stats import rankdata

    return np.asarray(rankdata(values) / max(len(values), 1), dtype=np.float64)


def _can_stratify(codes: Any, num_folds: int) -> bool:
    return int(np.unique(codes, return_counts=True)[1].max()) >= num_folds


def _score(
    sheet: Sheet, name: str, truth: Any, parts: list[tuple[Rows, Rows]], hopeless: float
) -> float:
    """A column's score; that of the first fold alone where this is hopeless."""
    values = _values(sheet, name)
    values = _in_order(values) if sheet.is_number(name) else values
    guess = np.zeros_like(truth)
    for number, (fitted, held) in enumerate(parts):
        guess[held] = _predict(values[fitted], truth[fitted], values[held])
        if number == 0:
            first = _agreement(truth[held], guess[held])
            if first < hopeless:
                return first
    return _agreement(truth, guess)


def _in_order(values: Floats) -> Floats:
    """Numbers by their order alone, which is all that a tree heeds and 32 bits can hold."""
    codes = np.unique(values, return_inverse=True)[1].astype(np.float64)
    return np.where(np.isnan(values), np.nan, codes)


def _agreement(truth: Any, guess: Any) -> float:
    """From 0 for the trivial answer to 1 for the truth: Matthews' correlation, or R2."""
    from sklearn.metrics import matthews_corrcoef

    if truth.dtype.kind == "i":
        return float(matthews_corrcoef(truth, guess))
    spread = float(np.square(truth - truth.mean()).sum())
    return 1 - float(np.square(truth - guess).sum()) / spread if spread else 0.0


def _predict(values: Any, truth: Any, new: Any) -> Any:
    if values.dtype.kind == "i":
        return (
            _commonest(values, truth, new) if truth.dtype.kind == "i" else _mean(values, truth, new)
        )
    from sklearn import tree

    kind = tree.DecisionTreeClassifier if truth.dtype.kind == "i" else tree.DecisionTreeRegressor
    model = kind(min_samples_leaf=2 if len(values) < 1000 else 5, random_state=0)
    return model.fit(values[:, None], truth).predict(new[:, None])


def _commonest(values: Rows, truth: Rows, new: Rows) -> Rows:
    """The commonest class of each value; of all rows for a value not seen."""
    overall = int(np.bincount(truth).argmax())
    pairs, counts = np.unique(np.stack([values, truth]), axis=1, return_counts=True)
    order = np.lexsort((counts, pairs[0]))
    best = np.full(int(max(values.max(), new.max())) + 2, overall, dtype=np.int64)
    best[pairs[0][order]] = pairs[1][order]  # the last of each value, the commonest, stays
    return best[new]


def _mean(values: Rows, truth: Floats, new: Rows) -> Floats:
    """The mean of each value; of all rows for a value not seen."""
    size = int(max(values.max(), new.max())) + 2
    counts, sums = np.bincount(values + 1, minlength=size), np.zeros(size)
    np.add.at(sums, values + 1, truth)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), truth.mean())
    return np.asarray(means[new + 1], dtype=np.float64)
