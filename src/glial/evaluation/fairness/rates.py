"""What is compared between groups: rates of classes, errors of numbers, and the gaps between them.

Everything is a function of sums over the rows of each group, so that a resample of the rows is
another set of sums and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Measures:
    """What is measured in each group, and which gaps are looked at.

    Attributes:
        features: What is summed over the rows of a group, [row, feature].
        rates: Sums, [..., group, feature], to the measures, each [..., group].
        counted: For each measure the rows that it is a mean over, [row]; None is all rows.
        gaps: For each gap the measures whose largest gap it is.
        ratios: The gaps that are also told as the smallest over the largest.
        shares: The gaps whose measures are shares of rows.
        errors: Prediction minus truth, [row], where numbers are predicted.

    Example:
        >>> said = np.array([True, False])
        >>> measures = of_classes(said, said, np.array([0.9, 0.2]))
        >>> measures.rates(measures.features.sum(axis=0)[None])["accuracy"].tolist()
        [1.0]
    """

    features: Floats
    rates: Callable[[Floats], dict[str, Floats]]
    counted: Mapping[str, Flags | None]
    gaps: Mapping[str, tuple[str, ...]]
    ratios: frozenset[str]
    shares: frozenset[str]
    errors: Floats | None = None


def of_classes(
    truth: Flags, guess: Flags, shares: Floats, weight: Floats | None = None
) -> Measures:
    """What is measured where rows are of one class or not.

    Args:
        truth: Whether each row is of the class, [row].
        guess: Whether it is said to be, [row].
        shares: The probability that it is, [row], in [0, 1].
        weight: Weight of each row.

    Source:
        Demographic parity, equalised odds, equal opportunity: Hardt, Price, Srebro (2016), arXiv
        1610.02413. Predictive parity: Chouldechova (2017), arXiv 1610.07524. Calibration within
        groups: Kleinberg, Mullainathan, Raghavan (2016), arXiv 1609.05807.

    Example:
        >>> measures = of_classes(np.array([True]), np.array([False]), np.array([0.4]))
        >>> sorted(measures.gaps)[:3]
        ['accuracy', 'calibration_in_the_large', 'demographic_parity']
    """
    ones = np.ones(len(truth)) if weight is None else weight
    places = np.nan_to_num(shares) * CALIBRATION_BINS
    bins = np.minimum(places.astype(np.int64), CALIBRATION_BINS - 1)
    surplus = shares - truth
    binned = surplus[:, None] * (bins[:, None] == np.arange(CALIBRATION_BINS))
    columns = np.stack([np.ones(len(truth)), truth, guess, truth & guess, surplus], axis=1)
    return Measures(
        np.concatenate([columns, binned], axis=1) * ones[:, None],
        _class_rates,
        {
            "base_rate": None,
            "selection_rate": None,
            "accuracy": None,
            "true_positive_rate": truth,
            "false_negative_rate": truth,
            "false_positive_rate": ~truth,
            "precision": guess,
            "calibration_in_the_large": None,
            "expected_calibration_error": None,
        },
        {
            "demographic_parity": ("selection_rate",),
            "equal_opportunity": ("true_positive_rate",),
            "predictive_equality": ("false_positive_rate",),
            "equalized_odds": ("true_positive_rate", "false_positive_rate"),
            "predictive_parity": ("precision",),
            "accuracy": ("accuracy",),
            "calibration_in_the_large": ("calibration_in_the_large",),
            "expected_calibration_error": ("expected_calibration_error",),
        },
        _SHARES,
        _SHARES,
    )


_SHARES = frozenset(
    (
        "demographic_parity",
        "equal_opportunity",
        "predictive_equality",
        "equalized_odds",
        "predictive_parity",
        "accuracy",
    )
)


def _class_rates(sums: Floats) -> dict[str, Floats]:
    total, positive, chosen, hits, surplus = np.moveaxis(sums[..., :5], -1, 0)
    true_positive_rate = _ratio(hits, positive)
    return {
        "base_rate": _ratio(positive, total),
        "selection_rate": _ratio(chosen, total),
        "accuracy": _ratio(total - positive - chosen + 2 * hits, total),
        "true_positive_rate": true_positive_rate,
        "false_negative_rate": 1 - true_positive_rate,
        "false_positive_rate": _ratio(chosen - hits, total - positive),
        "precision": _ratio(hits, chosen),
        "calibration_in_the_large": _ratio(surplus, total),
        "expected_calibration_error": _ratio(np.abs(sums[..., 5:]).sum(axis=-1), total),
    }


def of_numbers(truth: Floats, predicted: Floats, weight: Floats | None = None) -> Measures:
    """What is measured where numbers are predicted, in the target's units.

    Args:
        truth: The numbers, [row].
        predicted: What was predicted, [row].
        weight: Weight of each row.

    Example:
        >>> measures = of_numbers(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
        >>> measures.rates(measures.features.sum(axis=0)[None])["mean_error"].tolist()
        [0.5]
    """
    ones = np.ones(len(truth)) if weight is None else weight
    error = predicted - truth
    columns = [np.ones(len(truth)), predicted, error, np.abs(error), np.square(error)]
    names = ("mean_prediction", "mean_error", "mean_absolute_error", "root_mean_squared_error")
    return Measures(
        np.stack(columns, axis=1) * ones[:, None],
        _number_rates,
        dict.fromkeys(names),
        {name: (name,) for name in names},
        frozenset(names[2:]),
        frozenset(),
        error,
    )


def _number_rates(sums: Floats) -> dict[str, Floats]:
    total, predicted, error, absolute, squared = np.moveaxis(sums, -1, 0)
    return {
        "mean_prediction": _ratio(predicted, total),
        "mean_error": _ratio(error, total),
        "mean_absolute_error": _ratio(absolute, total),
        "root_mean_squared_error": np.sqrt(_ratio(squared, total)),
    }


def gaps_of(
    rates: Mapping[str, Floats], measures: Measures, enough: Mapping[str, Flags]
) -> dict[str, Floats]:
    """The largest gap between groups, and the smallest over the largest.

    Args:
        rates: The measures, each [..., group].
        measures: Which gaps are looked at.
        enough: For each measure the groups that are compared, [group].

    Returns:
        ``<gap>_difference`` and ``<gap>_ratio``, each [...]; NaN where fewer than two groups are
        compared.

    Example:
        >>> measures = of_numbers(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
        >>> rates = measures.rates(measures.features)  # each row a group
        >>> enough = dict.fromkeys(rates, np.array([True, True]))
        >>> gaps_of(rates, measures, enough)["mean_error_difference"].item()
        1.0
    """
    result = {}
    for gap, names in measures.gaps.items():
        ends = [_ends(rates[name], enough[name]) for name in names]
        gap_sizes = [high - low for low, high in ends]
        result[f"{gap}_difference"] = np.maximum.reduce(gap_sizes)
        if gap in measures.ratios:
            ratios = [_ratio(low, high) for low, high in ends]
            result[f"{gap}_ratio"] = np.minimum.reduce(ratios)
    return result


def _ends(values: Floats, compared: Flags) -> tuple[Floats, Floats]:
    """The smallest and largest value over groups, those that are not defined left out."""
    if compared.sum() < 2:
        nothing = np.full(values.shape[:-1], np.nan)
        return nothing, nothing
    found = values[..., compared]
    return np.fmin.reduce(found, axis=-1), np.fmax.reduce(found, axis=-1)


def _ratio(above: Floats, below: Floats) -> Floats:
    """A quotient; NaN where there is nothing to divide by."""
    result = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=result, where=below != 0)
    return result
