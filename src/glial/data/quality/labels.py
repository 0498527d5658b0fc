"""Labels that look wrong: what a quick model, shown all other rows, contradicts with confidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from glial.core.seeds import derive_seed
from glial.data.quality.quick import affordable, out_of_fold
from glial.data.quality.sheet import Floats, Sheet
from glial.data.splits import Rows

FAR = 6.0
UNLIKELY, IMPOSSIBLE = 0.15, 0.05


@dataclass(frozen=True)
class LabelDoubt:
    """A row whose target looks wrong.

    Attributes:
        target: The target column.
        split: Split of the row.
        row: Number of the row, from 0, in the table that it came from.
        given: The target as it stands.
        suggested: The class, or the number, that the other rows suggest.
        probability: Probability of the suggested class; None for numbers.
        given_probability: Probability of the given class; None for numbers.
        distance: Distance of the two numbers in robust spreads; None for classes.

    Example:
        >>> LabelDoubt("digit", "train", 7, "1", "7", 0.9, 0.05).to_dict()["suggested"]
        '7'
    """

    target: str
    split: str
    row: int
    given: str | float
    suggested: str | float
    probability: float | None = None
    given_probability: float | None = None
    distance: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


@dataclass(frozen=True)
class LabelCheck:
    """What was found of one target.

    Attributes:
        target: The target column.
        rows: Number of rows that were judged.
        missed: Rows of which the quick model thinks another class more probable, confidently or
            not; None for numbers.
        doubts: The rows that look wrong, the most doubtful first.

    Example:
        >>> LabelCheck("y", 100, 3, []).to_dict()
        {'target': 'y', 'rows': 100, 'missed': 3, 'doubts': 0}
    """

    target: str
    rows: int
    missed: int | None
    doubts: list[LabelDoubt]

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, of the doubts their number."""
        return {
            "target": self.target,
            "rows": self.rows,
            "missed": self.missed,
            "doubts": len(self.doubts),
        }


def check_labels(sheet: Sheet, *, seed: int = 0, num_rows: int | None = None) -> list[LabelCheck]:
    """The rows of each target that look wrong.

    A forest, or gradient boosting where there are many rows, is shown all folds but one and
    judges that one. Classes are judged by confident learning (see :func:`confident_errors`) on
    :func:`tempered` probabilities; numbers by residuals beyond six robust spreads (see
    :func:`far_residuals`). Targets with too few rows to judge by are left out.

    Args:
        sheet: The rows.
        seed: Seed of the sample, the folds and the model.
        num_rows: The most rows that are looked at; by default as many as the model judges
            in some seconds (:func:`glial.data.quality.quick.affordable`).

    Source:
        Northcutt, Jiang and Chuang 2021, arXiv 1911.00068.

    Example:
        >>> import polars as pl
        >>> a = np.arange(100.0)
        >>> labels = np.where(a < 50, "low", "high").astype(object)
        >>> labels[20] = "high"
        >>> frame = pl.DataFrame({"a": a, "y": labels.tolist()})
        >>> sheet = Sheet.of([frame], ["y"], {"a": "number"}, "classification")
        >>> (check,) = check_labels(sheet)
        >>> [(doubt.row, doubt.given, doubt.suggested) for doubt in check.doubts]
        [(20, 'high', 'low')]
    """
    if not sheet.usable:
        return []
    sheet = sheet.some(num_rows or affordable(sheet), seed, "labels")
    judge = _numbers if sheet.task == "regression" else _classes
    checks = (judge(sheet, name, derive_seed(seed, "labels", name)) for name in sheet.targets)
    return [check for check in checks if check is not None]


def _classes(sheet: Sheet, target: str, seed: int) -> LabelCheck | None:
    names, labels = sheet.words(target), sheet.codes(target)
    probabilities = out_of_fold(sheet, labels, seed)
    if probabilities is None:
        return None
    probabilities = tempered(probabilities, labels)
    rows, suggested = confident_errors(labels, probabilities)
    doubts = [
        LabelDoubt(
            target,
            **sheet.place(int(row)),
            given=names[labels[row]],
            suggested=names[code],
            probability=float(probabilities[row, code]),
            given_probability=float(probabilities[row, labels[row]]),
        )
        for row, code in zip(rows, suggested, strict=True)
    ]
    missed = int((probabilities.argmax(axis=1) != labels).sum())
    return LabelCheck(target, len(labels), missed, doubts)


def tempered(probabilities: Floats, labels: Rows) -> Floats:
    """Probabilities raised to the one power that makes the given labels likeliest, [row, class].

    A forest's probabilities are too even; a power above 1 sharpens them, one below 1 evens them.

    Args:
        probabilities: Out-of-fold probabilities, [row, class].
        labels: Given classes, [row].

    Source:
        Guo, Pleiss, Sun and Weinberger 2017, arXiv 1706.04599 (temperature scaling).

    Example:
        >>> even = np.array([[0.6, 0.4], [0.4, 0.6], [0.6, 0.4], [0.4, 0.6]])
        >>> bool(tempered(even, np.array([0, 1, 0, 1]))[0, 0] > 0.95)
        True
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logs = np.log(np.clip(probabilities, 1e-3, 1.0))
    rows = np.arange(len(labels))

    def loss(power: float) -> float:
        return -float(log_softmax(power * logs, axis=1)[rows, labels].mean())

    power = minimize_scalar(loss, bounds=(0.1, 10.0), method="bounded").x
    return np.asarray(np.exp(log_softmax(power * logs, axis=1)), dtype=np.float64)


def confident_errors(labels: Rows, probabilities: Floats) -> tuple[Rows, Rows]:
    """Rows that confidently belong to another class than they are given.

    Each class has a threshold, the mean probability that its own rows give it. A row confidently
    belongs to the most probable of the classes whose thresholds it reaches; where this is not
    the given one, the label looks wrong (the off-diagonal of the confident joint). Bounds were
    added by measurement: the suggested class must have a probability of at least 0.5 and the
    given one below 0.15, without which rows that are merely hard are named where classes
    overlap; and where the given one is below 0.05, 0.5 is enough for another, since among many
    classes wrong labels often stay below the mean.

    Args:
        labels: Given classes, [row].
        probabilities: Out-of-fold probabilities, [row, class].

    Returns:
        The rows, most doubtful first (by how far the suggested class is above the given one),
        and the suggested class of each.

    Source:
        Northcutt, Jiang and Chuang 2021, section 3.1, arXiv 1911.00068.

    Example:
        >>> labels = np.array([0, 0, 0, 1, 1])
        >>> first = np.array([0.9, 0.8, 0.1, 0.2, 0.1])
        >>> rows, suggested = confident_errors(labels, np.stack([first, 1 - first], axis=1))
        >>> rows.tolist(), suggested.tolist()
        ([2], [1])
    """
    own = probabilities[np.arange(len(labels)), labels]
    sizes = np.bincount(labels, minlength=probabilities.shape[1])
    thresholds = np.bincount(labels, own, probabilities.shape[1]) / np.maximum(sizes, 1)
    thresholds = np.where(own[:, None] < IMPOSSIBLE, 0.5, np.maximum(thresholds, 0.5))
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    rows = np.flatnonzero((confident.max(axis=1) > 0) & (suggested != labels) & (own < UNLIKELY))
    margins = probabilities[rows, suggested[rows]] - own[rows]
    rows = rows[np.argsort(-margins, kind="stable")]
    return rows, suggested[rows]


def confident_joint(labels: Rows, probabilities: Floats) -> Rows:
    """How many rows of each given class confidently belong to each class, [given, class].

    A row confidently belongs to the most probable of the classes whose thresholds it reaches,
    the mean probability that a class's own rows give it; a row that reaches none is not counted.
    What is off the diagonal are the wrong labels as published, with no bounds of our own (see
    :func:`confident_errors`).

    Args:
        labels: Given classes, [row].
        probabilities: Probabilities by a model that was not shown the row, [row, class].

    Source:
        Northcutt, Jiang and Chuang 2021, equation 1, arXiv 1911.00068.

    Example:
        >>> first = np.array([0.9, 0.8, 0.1, 0.2, 0.1])
        >>> shares = np.stack([first, 1 - first], axis=1)
        >>> confident_joint(np.array([0, 0, 0, 1, 1]), shares).tolist()
        [[2, 1], [0, 1]]
    """
    size = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    sizes = np.bincount(labels, minlength=size)
    thresholds = np.where(sizes > 0, np.bincount(labels, own, size) / np.maximum(sizes, 1), np.inf)
    # A threshold that equals each of its rows must not lie above them by rounding.
    reached = np.where(probabilities >= thresholds - 1e-12, probabilities, -1.0)
    counted = reached.max(axis=1) >= 0
    pairs = labels[counted] * size + reached[counted].argmax(axis=1)
    return np.bincount(pairs, minlength=size * size).reshape(size, size)


def _numbers(sheet: Sheet, target: str, seed: int) -> LabelCheck | None:
    given = sheet.floats(target)
    predicted = out_of_fold(sheet, given, seed)
    if predicted is None:
        return None
    rows, distances = far_residuals(given - predicted[:, 0])
    doubts = [
        LabelDoubt(
            target,
            **sheet.place(int(row)),
            given=float(given[row]),
            suggested=float(predicted[row, 0]),
            distance=float(distance),
        )
        for row, distance in zip(rows, distances, strict=True)
    ]
    return LabelCheck(target, len(given), None, doubts)


def far_residuals(residuals: Floats, far: float = FAR) -> tuple[Rows, Floats]:
    """Rows whose residuals are beyond so many robust spreads, and how many, farthest first.

    The robust spread is 1.4826 times the median distance from the median, which is the standard
    deviation where residuals are normal.

    Source:
        Hampel 1974, The influence curve and its role in robust estimation.

    Example:
        >>> rows, distances = far_residuals(np.array([-1.0, 0.0, 1.0, 50.0, 0.5]))
        >>> rows.tolist()
        [3]
    """
    off = np.abs(residuals - np.median(residuals))
    spread = 1.4826 * float(np.median(off))
    if spread == 0:
        return np.array([], dtype=np.int64), np.array([])
    distances = off / spread
    rows = np.flatnonzero(distances > far)
    rows = rows[np.argsort(-distances[rows], kind="stable")]
    return rows, distances[rows]
