"""From probabilities to a class: thresholds, tuned or given, and the least expected cost."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError, suggest
from glial.tasks.metrics import Codes, Floats, likeliest
from glial.tasks.settings import TaskSettings, ThresholdName

logger = logging.getLogger(__name__)

ABOUT_ONE_CLASS = ("f1", "precision", "recall")
MAX_CUTS = 4096
MAX_SWEEPS = 20
_SAME = 1e-12


def decide(
    probabilities: Floats, thresholds: list[float] | None = None, costs: Floats | None = None
) -> Codes:
    """The class that each row is given.

    Args:
        probabilities: A row per row, a column per class, rows summing to 1.
        thresholds: For two classes the least probability of the last one at which it is
            predicted; for more a positive number a class, and the class whose probability is
            the largest multiple of its threshold is predicted.
        costs: What predicting a class (column) costs where another (row) is true; the class of
            least expected cost is predicted.

    Source:
        Elkan (2001), "The foundations of cost-sensitive learning", IJCAI, equation (1).

    Example:
        >>> shares = np.array([[0.8, 0.2]])
        >>> costs = np.array([[0.0, 1.0], [9.0, 0.0]])
        >>> decide(shares), decide(shares, [0.1]), decide(shares, costs=costs)
        (array([0]), array([1]), array([1]))
    """
    if costs is not None:
        return likeliest(-(probabilities @ costs))
    if thresholds is None:
        return likeliest(probabilities)
    if len(thresholds) == 1:
        return (probabilities[:, 1] >= thresholds[0]).astype(np.int64)
    return likeliest(probabilities / np.array(thresholds))


def cost_matrix(costs: Mapping[str, Mapping[str, float]] | None, names: list[str]) -> Floats | None:
    """The costs of a plan as a matrix, [true class, predicted class].

    Args:
        costs: ``{true: {predicted: cost}}``; what is left out costs 0 for the right class and
            1 for another.
        names: The classes.

    Raises:
        InputError: If a class is unknown, if a right answer costs more than a wrong one, or if
            no error costs anything.

    Example:
        >>> cost_matrix({"ill": {"well": 20.0}}, ["ill", "well"]).tolist()
        [[0.0, 20.0], [1.0, 0.0]]
    """
    if costs is None:
        return None
    matrix = 1.0 - np.eye(len(names))
    for truth, row in costs.items():
        for guess, cost in row.items():
            matrix[_place(truth, names), _place(guess, names)] = cost
    extra = matrix - np.diag(matrix)[:, None]
    if extra.min() < 0 or extra.max() == 0:
        raise InputError(
            "task.costs does not say that errors are worse than right answers",
            expected="for each class a right answer that costs no more than a wrong one, and an "
            "error that costs something",
            got=str({name: dict(row) for name, row in costs.items()}),
            do="leave the right answers out: they cost nothing",
        )
    return matrix


def _place(name: str, names: list[str]) -> int:
    if name in names:
        return names.index(name)
    near = suggest(name, names)
    raise InputError(
        f"task.costs names the class {name!r}, which is not in the data",
        expected=f"classes among {', '.join(names)}",
        got=repr(name),
        do=f"did you mean {near!r}?" if near else "take this class out of task.costs",
    )


def cost_weights(costs: Floats, shares: list[float]) -> list[float]:
    """Weights of classes that make training count costly errors more; their mean over rows is 1.

    A class weighs the sum of what its errors cost beyond its right answer. For two classes the
    ratio of the weights is the ratio of the costs, which is exact; for more, the costs of a
    class's different errors are merged into one.

    Args:
        costs: Costs, [true class, predicted class].
        shares: Share of each class among the training rows.

    Source:
        Ting (2002), "An instance-weighting method to induce cost-sensitive trees",
        doi:10.1109/TKDE.2002.1000348.

    Example:
        >>> cost_weights(np.array([[0.0, 1.0], [3.0, 0.0]]), [0.5, 0.5])
        [0.5, 1.5]
    """
    sums = (costs - np.diag(costs)[:, None]).sum(axis=1)
    total = float(sums @ np.array(shares))
    return [float(value / total) if total else 1.0 for value in sums]


def mean_cost(truth: Codes, guess: Codes, costs: Floats, weight: Floats | None = None) -> float:
    """What the predictions cost a row; rows of classes that training never showed are left out.

    Example:
        >>> mean_cost(np.array([0, 1]), np.array([0, 0]), np.array([[0.0, 1.0], [5.0, 0.0]]))
        2.5
    """
    known = truth >= 0
    if not known.any():
        return float("nan")
    weights = None if weight is None else weight[known]
    return float(np.average(costs[truth[known], guess[known]], weights=weights))


def check_threshold(settings: TaskSettings, num_classes: int) -> None:
    """Refuse a threshold that does not suit the task.

    Args:
        settings: The plan's ``task`` part.
        num_classes: Number of classes; 2 for questions of yes or no.

    Raises:
        InputError: If the threshold is about one of two classes where there are more, or if
            costs decide already.

    Example:
        >>> check_threshold(TaskSettings(threshold="f1"), 3)
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: task.threshold=f1 is about one of two classes. ...
    """
    asked = settings.threshold
    if asked is None:
        return
    if num_classes > 2 and (not isinstance(asked, str) or asked in ABOUT_ONE_CLASS):
        raise InputError(
            f"task.threshold={asked} is about one of two classes",
            expected="accuracy, balanced_accuracy, f1_macro or matthews_corrcoef",
            got=f"{num_classes} classes",
            do="set task.threshold=f1_macro",
        )
    if settings.costs is not None and settings.cost_use == "decision":
        raise InputError(
            "task.threshold and task.costs both decide what is predicted",
            expected="one of them, or costs that weigh the rows in training",
            got="both",
            do="take one out, or set task.cost_use=training",
        )


def checked_thresholds(
    held: list[float] | None, size: int, settings: TaskSettings
) -> list[float] | None:
    """The thresholds of a saved task.

    Args:
        held: The thresholds that were saved.
        size: Number of them that the task needs.
        settings: The plan's ``task`` part.

    Raises:
        ValueError: If there are too few, too many, or none where the plan asks for them.

    Example:
        >>> checked_thresholds([0.2], 1, TaskSettings(threshold="f1"))
        [0.2]
    """
    if held is None and settings.threshold is not None:
        raise ValueError(f"no thresholds, where the plan has task.threshold={settings.threshold}")
    if held is not None and (len(held) != size or (size > 1 and min(held) <= 0)):
        raise ValueError(f"the thresholds {held} of {size} outputs")
    return held


def tuned_threshold(
    probabilities: Floats, truth: Codes, metric: ThresholdName, weight: Floats | None = None
) -> float:
    """The threshold of the positive class at which a metric is best on some rows.

    Every threshold that tells two of the rows apart is tried. Where neighbouring ones are
    equally good, the one nearest the middle of the widest such interval is taken.

    Args:
        probabilities: Probability of the positive class, [row].
        truth: 1 where it is true, else 0.
        metric: What is to be large.
        weight: Weight of each row.

    Returns:
        A probability; a half, with a notice, where all rows are of one class.

    Example:
        >>> tuned_threshold(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 1]), "f1")
        0.25
    """
    if not _has_choice(truth):
        return 0.5
    cuts = _midpoints(probabilities, 1.0)
    others = np.zeros(len(truth), dtype=np.int64)
    scores = _scores_of_cuts(probabilities, cuts, truth, 1, others, 2, metric, weight)
    return _middle_of_best(cuts, scores)


def tuned_thresholds(
    probabilities: Floats, truth: Codes, metric: ThresholdName, weight: Floats | None = None
) -> list[float]:
    """Thresholds of several classes that make a metric large on some rows.

    One class after another gets its best threshold while the others keep theirs, until no class
    gains: a local best, never worse than the likeliest class.

    Args:
        probabilities: A row per row, a column per class.
        truth: Index of each row's class.
        metric: What is to be large.
        weight: Weight of each row.

    Returns:
        A positive number a class; they sum to 1.

    Example:
        >>> shares = np.array([[0.6, 0.4, 0.0], [0.8, 0.1, 0.1], [0.6, 0.1, 0.3]])
        >>> thresholds = tuned_thresholds(shares, np.array([1, 0, 2]), "accuracy")
        >>> decide(shares, thresholds)
        array([1, 0, 2])
    """
    size = probabilities.shape[1]
    thresholds = np.full(size, 1 / size)
    best = -np.inf
    if not _has_choice(truth):
        return [float(value) for value in thresholds]
    for _ in range(MAX_SWEEPS):
        before = best
        for code in range(size):
            multiples = probabilities / thresholds
            multiples[:, code] = -1
            others = multiples.argmax(axis=1).astype(np.int64)
            rival = multiples.max(axis=1).clip(np.finfo(np.float64).tiny)
            ratios = (probabilities[:, code] / rival).clip(0, 1e9)
            cuts = _midpoints(ratios, 2e9)
            cuts = np.append(_thinned(cuts[cuts > 0]), thresholds[code])
            scores = _scores_of_cuts(ratios, cuts, truth, code, others, size, metric, weight)
            best = max(best, scores[-1])
            if scores.max() > best + _SAME:
                best = float(scores.max())
                thresholds[code] = _middle_of_best(cuts[:-1], scores[:-1])
                thresholds /= thresholds.sum()
        if best <= before + _SAME:
            break
    return [float(value) for value in thresholds]


def _has_choice(truth: Codes) -> bool:
    """Whether there is anything to tune for; it is said where there is not."""
    if (truth == truth[:1]).all():
        logger.warning("the validation rows are all of one class: no threshold is tuned on them")
        return False
    return True


def _midpoints(values: Floats, end: float) -> Floats:
    """A cut below the least value, one between each two neighbours, and one above the largest."""
    edges = np.concatenate([[0.0], np.unique(values), [end]])
    return np.asarray((edges[1:] + edges[:-1]) / 2)


def _thinned(cuts: Floats) -> Floats:
    """As many of the cuts as memory bears where there are many classes and rows."""
    if len(cuts) <= MAX_CUTS:
        return cuts
    return cuts[np.linspace(0, len(cuts) - 1, MAX_CUTS).round().astype(np.int64)]


def _middle_of_best(cuts: Floats, scores: Floats) -> float:
    """Of the widest run of neighbouring best cuts the one nearest its middle."""
    best = np.flatnonzero(scores >= scores.max() - _SAME)
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    run = cuts[max(runs, key=lambda places: cuts[places[-1]] - cuts[places[0]])]
    return float(run[np.abs(run - (run[0] + run[-1]) / 2).argmin()])


def _scores_of_cuts(
    values: Floats,
    cuts: Floats,
    truth: Codes,
    chosen: int,
    others: Codes,
    size: int,
    metric: ThresholdName,
    weight: Floats | None,
) -> Floats:
    """The metric at each cut, where rows at or above it get a class and the rest another.

    Args:
        values: What is compared with the cuts, [row].
        cuts: The cuts, in any order.
        truth: Index of each row's class.
        chosen: The class of rows at or above the cut.
        others: What each row gets below it; never ``chosen``.
        size: Number of classes.
        metric: The metric.
        weight: Weight of each row.
    """
    weight = np.ones(len(truth)) if weight is None else weight
    order = cuts.argsort(kind="stable")
    passed = np.searchsorted(cuts[order], values, side="right")

    def below(rows: NDArray[np.bool_], classes: Codes) -> Floats:
        """Weight of the rows of each class that do not reach each cut, [cut, class]."""
        flat = passed[rows] * size + classes[rows]
        table = np.bincount(flat, weight[rows], (len(cuts) + 1) * size).astype(np.float64)
        return np.asarray(table.reshape(-1, size).cumsum(axis=0)[:-1])

    predicted = below(np.full(len(truth), fill_value=True), others)
    predicted[:, chosen] = weight.sum() - predicted.sum(axis=1)
    hits = below(others == truth, others)
    own = truth == chosen
    hits[:, chosen] = weight[own].sum() - below(own, truth)[:, chosen]
    actual = np.bincount(truth, weight, size).astype(np.float64)
    scores = np.empty(len(cuts))
    scores[order] = _score(metric, hits, predicted, actual)
    return scores


def _score(metric: ThresholdName, hits: Floats, predicted: Floats, actual: Floats) -> Floats:
    """A metric from the weights of right, of predicted and of actual rows, [..., class]."""
    total = actual.sum()
    f1 = _ratio(2 * hits, predicted + actual)
    if metric == "accuracy":
        score = hits.sum(axis=-1) / total
    elif metric == "balanced_accuracy":
        score = (hits[..., actual > 0] / actual[actual > 0]).mean(axis=-1)
    elif metric == "matthews_corrcoef":
        covered = hits.sum(axis=-1) * total - predicted @ actual
        spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (actual**2).sum())
        score = _ratio(covered, np.sqrt(spread.clip(0)))
    elif metric == "f1_macro":
        score = f1.sum(axis=-1) / (predicted + actual > 0).sum(axis=-1)
    elif metric == "f1":
        score = f1[..., 1]
    elif metric == "precision":
        score = _ratio(hits, predicted)[..., 1]
    else:
        score = _ratio(hits, np.broadcast_to(actual, hits.shape))[..., 1]
    return np.asarray(score)


def _ratio(above: Floats, under: Floats) -> Floats:
    """A quotient that is 0 where nothing stands under the line."""
    return np.asarray(np.divide(above, under, out=np.zeros_like(above), where=under > _SAME))
