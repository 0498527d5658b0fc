"""Which columns are worth reading: judged on training rows, with the reason for each dropped."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.data.encoders import CategoryEncoder, ColumnEncoder
from glial.data.encoders.categories import fit_target_means
from glial.data.settings import DataSettings, FeatureSettings

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
MAX_JUDGED_ROWS = 5_000
NUM_SHUFFLES = 5
# An L1-penalised model keeps what it gives more than this share of the largest weight.
LEAST_WEIGHT = 0.01


def choose_columns(
    parts: dict[str, Floats], target: NDArray[Any], settings: FeatureSettings, seed: int = 0
) -> dict[str, str]:
    """The columns that are dropped, and why.

    Args:
        parts: Numbers of each column in training rows, [row, number].
        target: Class of each row, [row], or numbers, [row, output].
        settings: How columns are judged and how many are kept.
        seed: Of all that is shuffled.

    Returns:
        Column to reason; at least one column is kept.

    Source:
        Mutual information: Kraskov, Stögbauer, Grassberger (2004), arXiv cond-mat/0305641; L1:
        Tibshirani (1996), doi:10.1111/j.2517-6161.1996.tb02080.x; permutation: Breiman (2001),
        doi:10.1023/A:1010933404324; all by scikit-learn.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(300, 2))
        >>> parts = {"a": noise[:, :1], "b": noise[:, 1:]}
        >>> settings = FeatureSettings(select="mutual_information", keep=1)
        >>> list(choose_columns(parts, (noise[:, 0] > 0).astype(int), settings))
        ['b']
    """
    matrix = np.column_stack(list(parts.values()))
    owner = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts.values()])
    judge, what = _JUDGES[settings.select]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores, least = judge(matrix, target, owner, seed)
    count = _kept(settings.keep, scores, least)
    dropped = set(np.argsort(-scores, kind="stable")[count:].tolist())
    why = f"not among the best {count}"
    if settings.keep is None:
        why = f"at most {least:.3g} is expected of noise"
    return {
        name: f"{what} {scores[place]:.3g}: {why}"
        for place, name in enumerate(parts)
        if place in dropped
    }


def _kept(keep: int | float | None, scores: Floats, least: float) -> int:
    if keep is None:
        return max(1, int((scores > least).sum()))
    count = keep if isinstance(keep, int) else round(keep * len(scores))
    return min(len(scores), max(1, count))


def _by_column(scores: Floats, owner: NDArray[np.int64]) -> Floats:
    """The best score among each column's numbers."""
    best = np.zeros(owner.max() + 1)
    np.maximum.at(best, owner, scores)
    return best


def _outputs(target: NDArray[Any]) -> NDArray[Any]:
    """One row an output."""
    return target[None] if target.ndim == 1 else target.T


def _mutual_information(
    matrix: Floats, target: NDArray[Any], owner: NDArray[np.int64], seed: int
) -> tuple[Floats, float]:
    """In nats; noise is what the same columns tell of a shuffled target."""
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    function = mutual_info_classif if target.ndim == 1 else mutual_info_regression
    discrete = np.array([len(np.unique(column)) <= 20 for column in matrix.T])

    def told(targets: NDArray[Any]) -> Floats:
        found = [
            function(matrix, y, discrete_features=discrete, random_state=seed)
            for y in _outputs(targets)
        ]
        return _by_column(np.max(found, axis=0).astype(np.float64), owner)

    generator = np.random.default_rng(seed)
    shuffled = [told(generator.permutation(target)).max() for _ in range(NUM_SHUFFLES)]
    return told(target), float(np.max(shuffled))


def _l1_weights(
    matrix: Floats, target: NDArray[Any], owner: NDArray[np.int64], seed: int
) -> tuple[Floats, float]:
    """Size of the weights, the penalty chosen by cross-validation; 0 is what noise gets."""
    from sklearn.linear_model import LassoCV, LogisticRegressionCV

    spread = matrix.std(axis=0)
    matrix = (matrix - matrix.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    if target.ndim == 1:
        model = LogisticRegressionCV(
            Cs=np.logspace(-3, 1, 8).tolist(),
            l1_ratios=(1.0,),
            solver="saga",
            cv=3,
            scoring="neg_log_loss",
            random_state=seed,
            use_legacy_attributes=False,
        )
        weights = np.abs(model.fit(matrix, target).coef_).max(axis=0)
    else:
        models = [LassoCV(cv=3, random_state=seed).fit(matrix, y / y.std()) for y in target.T]
        weights = np.max([np.abs(model.coef_) for model in models], axis=0)
    scores = _by_column(weights, owner)
    return scores, LEAST_WEIGHT * float(scores.max())


def _permutation(
    matrix: Floats, target: NDArray[Any], owner: NDArray[np.int64], seed: int
) -> tuple[Floats, float]:
    """What shuffling a column costs a boosted model, on rows that it was not fitted on."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.metrics import get_scorer

    classes = target.ndim == 1
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    scorer = get_scorer("neg_log_loss" if classes else "r2")
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(matrix))
    fitted, held = np.split(order, [int(0.7 * len(order))])
    costs = np.zeros((NUM_SHUFFLES, owner.max() + 1))
    for y in _outputs(target):
        model = kind(max_iter=50, random_state=seed).fit(matrix[fitted], y[fitted])
        whole = scorer(model, matrix[held], y[held])
        for turn, place in np.ndindex(*costs.shape):
            rows = matrix[held].copy()
            mine = owner == place
            rows[:, mine] = rows[generator.permutation(len(rows))][:, mine]
            costs[turn, place] += whole - scorer(model, rows, y[held])
    return costs.mean(axis=0), 2 * float(np.median(costs.std(axis=0)))


_JUDGES: dict[str, tuple[Callable[..., tuple[Floats, float]], str]] = {
    "mutual_information": (_mutual_information, "mutual information with the target"),
    "l1": (_l1_weights, "weight in an L1-penalised linear model"),
    "permutation": (_permutation, "loss that shuffling it adds"),
}


def target_numbers(target: NDArray[Any]) -> Floats:
    """Targets as numbers, [row, output]: of classes, one column for each but the first.

    Example:
        >>> target_numbers(np.array([0, 2, 1])).tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    if target.ndim == 2:
        return target.astype(np.float64)
    numbers: Floats = np.eye(int(target.max()) + 1)[target][:, 1:]
    return numbers


def judge_columns(
    frame: pl.DataFrame,
    encoders: dict[str, ColumnEncoder],
    training: dict[str, Floats],
    target: NDArray[Any],
    settings: DataSettings,
    seed: int,
) -> dict[str, str]:
    """The columns that are not worth reading, and why, by the settings' ``features.select``.

    Args:
        frame: The training rows.
        encoders: The encoder of each column.
        training: Numbers of the training rows, where they differ from what the encoder gives.
        target: Class of each row, [row], or numbers, [row, output].
        settings: The plan's ``data`` part.
        seed: Of the rows that are looked at, where there are many.

    Example:
        >>> from glial.data.encoders import fit_column
        >>> frame = pl.DataFrame({"a": [0.0, 1.0] * 20, "b": [1.0] * 40})
        >>> settings = DataSettings(features=FeatureSettings(select="mutual_information"))
        >>> encoders = {name: fit_column(frame[name], "number", settings)[0] for name in "ab"}
        >>> list(judge_columns(frame, encoders, {}, np.array([0, 1] * 20), settings, seed=0))
        ['b']
    """
    rows = np.random.default_rng(seed).permutation(frame.height)[:MAX_JUDGED_ROWS]
    parts = {}
    for name, encoder in encoders.items():
        if isinstance(encoder, CategoryEncoder):
            column, numbers = frame[name][rows], target_numbers(target)[rows]
            parts[name] = fit_target_means(column, settings, numbers, seed)[1]
        elif name in training:
            parts[name] = training[name][rows]
        else:
            parts[name] = np.nan_to_num(encoder.transform(frame[name][rows]))  # type: ignore[attr-defined]
    dropped = choose_columns(parts, target[rows], settings.features, seed)
    for name, why in dropped.items():
        logger.warning("column %r is dropped: %s", name, why)
    return dropped
