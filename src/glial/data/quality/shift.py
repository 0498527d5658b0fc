"""Columns whose values are spread otherwise in one split than in the training rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.data.quality.sheet import SPLITS, Floats, Sheet
from glial.data.splits import Rows

LEVEL = 0.001
MATERIAL = 0.1
FEWEST = 5
MIN_UNSEEN = 0.01


@dataclass(frozen=True)
class Shift:
    """A column that is spread otherwise in a split than in training.

    Attributes:
        column: The column.
        split: ``val`` or ``test``.
        measure: ``kolmogorov_smirnov`` for numbers, ``total_variation`` for categories.
        effect: Its value: the largest difference of a probability, from 0 to 1.
        p_value: Corrected for the number of comparisons (Holm).

    Example:
        >>> Shift("age", "test", "kolmogorov_smirnov", 0.4, 1e-6).to_dict()["effect"]
        0.4
    """

    column: str
    split: str
    measure: str
    effect: float
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


@dataclass(frozen=True)
class Unseen:
    """A category with values that training never showed.

    Attributes:
        column: The column.
        split: ``val`` or ``test``.
        rows: Rows of the split with such a value.
        share: Their share of the split's rows.
        values: Some of these values.

    Example:
        >>> Unseen("city", "test", 2, 0.1, ["Bonn"]).to_dict()["rows"]
        2
    """

    column: str
    split: str
    rows: int
    share: float
    values: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


def find_shifts(sheet: Sheet, *, passed_over: str | None = None) -> list[Shift]:
    """The columns and targets that are spread otherwise in validation or test than in training.

    Numbers and times are compared by the test of Kolmogorov and Smirnov, categories by the
    chi-square test with values rarer than five expected rows put together; a missing cell is a
    value of its own. Named is what is both significant (below 0.001 after Holm's correction for
    all comparisons) and material (an effect of at least 0.1). A split of fewer than five
    rows is not compared.

    Args:
        sheet: The rows.
        passed_over: A column that differs by design: the one that the splits were made by.

    Source:
        Smirnov 1939; Pearson 1900; Holm 1979.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"a": np.arange(300.0), "y": ["u", "v"] * 150})
        >>> parts = [frame[:200], frame[200:250], frame[250:]]
        >>> sheet = Sheet.of(parts, ["y"], {"a": "number"}, "classification")
        >>> [(shift.column, shift.split, shift.effect) for shift in find_shifts(sheet)]
        [('a', 'val', 1.0), ('a', 'test', 1.0)]
    """
    names = [name for name in [*sheet.usable, *sheet.targets] if name != passed_over]
    sizes = np.bincount(sheet.split, minlength=len(SPLITS))
    tests = [
        (name, SPLITS[number], *_compare(sheet, name, number))
        for name in names
        for number in (1, 2)
        if min(sizes[0], sizes[number]) >= FEWEST
    ]
    corrected = holm(np.array([p for *_, p in tests]))
    return [
        Shift(name, split, measure, effect, float(p))
        for (name, split, measure, effect, _), p in zip(tests, corrected, strict=True)
        if p < LEVEL and effect >= MATERIAL
    ]


def _compare(sheet: Sheet, name: str, number: int) -> tuple[str, float, float]:
    """Measure, effect and p-value of a split beside the training rows."""
    train, other = sheet.split == 0, sheet.split == number
    if sheet.is_number(name):
        values = np.nan_to_num(sheet.floats(name), nan=-np.inf)
        return "kolmogorov_smirnov", *kolmogorov_smirnov(values[train], values[other])
    codes = sheet.codes(name) + 1
    size = int(codes.max(initial=0)) + 1
    counts = np.stack([np.bincount(codes[rows], minlength=size) for rows in (train, other)])
    return "total_variation", *total_variation(counts)


def kolmogorov_smirnov(first: Floats, second: Floats) -> tuple[float, float]:
    """The largest distance of two samples' distribution functions, and its p-value.

    Args:
        first: Numbers, [row]; minus infinity stands for a missing one.
        second: Numbers, [row].

    Example:
        >>> kolmogorov_smirnov(np.zeros(50), np.ones(50))[0]
        1.0
    """
    from scipy.stats import ks_2samp

    found = ks_2samp(first, second, method="asymp")
    return float(found.statistic), float(found.pvalue)


def total_variation(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Half the sum of differences of two samples' shares, and the p-value of the chi-square test.

    Args:
        counts: Rows of each sample for each value, [sample, value]. Values of which fewer than
            five rows are expected in a sample are put together.

    Example:
        >>> total_variation(np.array([[50, 50], [10, 90]]))[0]
        0.4
    """
    from scipy.stats import chi2_contingency

    sizes = counts.sum(axis=1)
    expected = sizes.min() * counts.sum(axis=0) / counts.sum()
    rare = expected < FEWEST
    pooled = np.concatenate([counts[:, ~rare], counts[:, rare].sum(axis=1, keepdims=True)], axis=1)
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    if pooled.shape[1] < 2:
        return 0.0, 1.0
    shares = pooled / sizes[:, None]
    return float(np.abs(shares[0] - shares[1]).sum() / 2), float(chi2_contingency(pooled).pvalue)


def holm(p_values: Floats) -> Floats:
    """p-values corrected so that the chance of any false alarm is below the level, [test].

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.minimum(1.0, p_values[order] * factors))
    corrected = np.empty(len(p_values))
    corrected[order] = stepped
    return corrected


def find_unseen(sheet: Sheet) -> list[Unseen]:
    """Categories with values in validation or test that training never showed, in 1 % or more.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"a": ["p", "q", "r"], "y": ["u", "v", "u"]})
        >>> parts = [frame[:2], frame[:0], frame[2:]]
        >>> sheet = Sheet.of(parts, ["y"], {"a": "category"}, "classification")
        >>> find_unseen(sheet)[0].to_dict()
        {'column': 'a', 'split': 'test', 'rows': 1, 'share': 1.0, 'values': ['r']}
    """
    found = []
    for name in (name for name in sheet.usable if not sheet.is_number(name)):
        codes, words = sheet.codes(name), sheet.words(name)
        known = np.unique(codes[sheet.split == 0])
        for number in (1, 2):
            here = codes[sheet.split == number]
            new = here[~np.isin(here, known) & (here >= 0)]
            if len(here) and len(new) >= MIN_UNSEEN * len(here) and len(new):
                values = [words[code] for code in _first(new)]
                found.append(Unseen(name, SPLITS[number], len(new), len(new) / len(here), values))
    return found


def _first(codes: Rows) -> list[int]:
    return [int(code) for code in np.unique(codes)[:5]]
