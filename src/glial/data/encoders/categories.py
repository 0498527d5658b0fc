"""Categories: codes for embeddings, one-hot numbers, ranks, means of the target, hashes."""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.cells import missing, texts
from glial.data.scaling import Scaling
from glial.data.settings import DataSettings

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
NUM_FOLDS = 5


@dataclass(frozen=True)
class CategoryEncoder:
    """Codes of categories: 0 is unknown, then the known values in sorted order.

    Attributes:
        values: The known values.
        has_missing: Whether a missing cell is a value of its own (the code after the last).
        rare: Values that share one bucket, whose code comes last.
        stand_in: The known value that a missing cell is taken for; empty for none.
    """

    values: list[str]
    has_missing: bool
    rare: list[str] = field(default_factory=list)
    stand_in: str = ""

    def __post_init__(self) -> None:
        if len({*self.values, *self.rare}) != len(self.values) + len(self.rare):
            raise ValueError("a category has a value twice")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> CategoryEncoder:
        """The values of the training cells, commonest kept where there are too many."""
        words = texts(column)
        counts = words.drop_nulls().value_counts(sort=False)
        pairs = sorted(
            zip(counts[words.name], counts["count"], strict=True), key=lambda p: (-p[1], p[0])
        )
        kept = [v for v, n in pairs[: settings.max_categories] if n >= settings.min_category_count]
        rare = sorted({value for value, _ in pairs} - set(kept))
        if len(pairs) > settings.max_categories:
            logger.warning(
                "column %r has %d different values: the %d rarest share one bucket",
                column.name,
                len(pairs),
                len(rare),
            )
        stands_in = settings.missing_categories == "mode" and bool(kept)
        has_missing = words.null_count() > 0 and not stands_in
        return cls(sorted(kept), has_missing, rare, kept[0] if stands_in else "")

    @property
    def cardinality(self) -> int:
        """Number of codes, the unknown one included."""
        return 1 + len(self.values) + self.has_missing + bool(self.rare)

    @property
    def labels(self) -> list[str]:
        """What each code but the unknown one says."""
        names = [f"is {value}" for value in self.values]
        names += ["is missing"] if self.has_missing else []
        return names + (["is rare"] if self.rare else [])

    def codes(self, column: pl.Series) -> NDArray[np.int64]:
        """The code of each cell."""
        words = texts(column)
        if self.stand_in:
            words = words.fill_null(self.stand_in)
        known = [*self.values, *self.rare]
        last = 1 + len(self.values) + self.has_missing
        numbers_of = [*range(1, len(self.values) + 1), *([last] * len(self.rare))]
        codes = words.replace_strict(
            pl.Series(known, dtype=pl.String), pl.Series(numbers_of, dtype=pl.Int64), default=0
        )
        gone = 1 + len(self.values) if self.has_missing else 0
        return codes.set(words.is_null(), gone).to_numpy().astype(np.int64)

    def unknown(self, column: pl.Series) -> NDArray[np.bool_]:
        """Which cells hold a value that training never showed."""
        unknown: NDArray[np.bool_] = (self.codes(column) == 0) & ~missing(column).to_numpy()
        return unknown


@dataclass(frozen=True)
class OneHotEncoder:
    """One number a code, or -1 and 1 where there are two; zeros for an unknown value.

    Attributes:
        categories: The codes.
    """

    categories: CategoryEncoder

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> OneHotEncoder:
        """The values of the training cells."""
        return cls(CategoryEncoder.fit(column, settings))

    @property
    def labels(self) -> list[str]:
        """What each number says."""
        names = self.categories.labels
        return names[1:] if len(names) == 2 else names

    def unknown(self, column: pl.Series) -> NDArray[np.bool_]:
        """Which cells hold a value that training never showed."""
        return self.categories.unknown(column)

    def transform(self, column: pl.Series) -> Floats:
        """The numbers of each row."""
        codes = self.categories.codes(column)
        if self.categories.cardinality == 3:
            return np.array([[0.0], [-1.0], [1.0]])[codes]
        numbers = np.zeros((len(codes), self.categories.cardinality - 1))
        known = np.flatnonzero(codes)
        numbers[known, codes[known] - 1] = 1.0
        return numbers

    def restore(self, values: Floats) -> pl.Series:
        """The likeliest value of each row; null where that is a missing cell.

        Args:
            values: [row, number], such as a network gives.
        """
        categories = self.categories
        place = (values[:, 0] > 0).astype(int) if values.shape[1] == 1 else values.argmax(axis=1)
        cells: list[str | None] = [*categories.values]
        cells += [None] if categories.has_missing else []
        cells += categories.rare[:1]
        return pl.Series(cells, dtype=pl.String).gather(place)


@dataclass(frozen=True)
class LookupEncoder:
    """The numbers that stand for each code: ranks of ordered values, or means of the target.

    Attributes:
        categories: The codes.
        table: The numbers of each code, [code, number].
        names: What each number says.
    """

    categories: CategoryEncoder
    table: Floats
    names: list[str]

    def __post_init__(self) -> None:
        if self.table.shape != (self.categories.cardinality, len(self.names)):
            raise ValueError("a table of numbers does not fit its categories")

    @property
    def labels(self) -> list[str]:
        """What each number says."""
        return self.names

    def unknown(self, column: pl.Series) -> NDArray[np.bool_]:
        """Which cells hold a value that training never showed."""
        return self.categories.unknown(column)

    def transform(self, column: pl.Series) -> Floats:
        """The numbers of each row."""
        return self.table[self.categories.codes(column)]


def fit_ranks(column: pl.Series, settings: DataSettings) -> LookupEncoder:
    """Ordered categories as numbers from -1 to 1, evenly apart; unknown and missing are 0.

    Args:
        column: The training cells.
        settings: ``data.columns.<name>.order`` is the order; else by number, or by alphabet.

    Raises:
        InputError: If the order given leaves out a value of the training cells.

    Example:
        >>> sizes = pl.Series("size", ["small", "large", "medium"])
        >>> order = {"size": {"order": ["small", "medium", "large"]}}
        >>> encoder = fit_ranks(sizes, DataSettings(columns=order))
        >>> encoder.transform(sizes)[:, 0].tolist()
        [-1.0, 1.0, 0.0]
    """
    categories = CategoryEncoder.fit(column, settings)
    order = settings.of(column.name).order or _natural_order(categories.values)
    left_out = [value for value in categories.values if value not in order]
    if left_out:
        raise InputError(
            f"data.columns.{column.name}.order leaves out {left_out[0]!r}",
            expected=f"an order of {', '.join(categories.values[:20])}",
            got=", ".join(order),
            do="add the values that are missing",
        )
    known = [value for value in order if value in categories.values]
    step = 2 / max(1, len(known) - 1)
    table = np.zeros((categories.cardinality, 1 + categories.has_missing))
    for code, value in enumerate(categories.values, start=1):
        table[code, 0] = known.index(value) * step - 1
    if categories.has_missing:
        table[1 + len(categories.values), 1] = 1.0
    names = ["rank", "is missing"] if categories.has_missing else ["rank"]
    return LookupEncoder(categories, table, names)


def _natural_order(values: list[str]) -> list[str]:
    try:
        return sorted(values, key=float)
    except ValueError:
        return values


def fit_target_means(
    column: pl.Series, settings: DataSettings, target: Floats, seed: int
) -> tuple[LookupEncoder, Floats]:
    """Categories as the mean target of their training rows, drawn towards the overall mean.

    A row's own target must not reach its input: so training rows are encoded by the means of
    the other folds, and all other rows by the means of all training rows.

    Args:
        column: The training cells.
        settings: How many categories are told apart.
        target: Targets as numbers, [row, output]; of classes one column a class but the first.
        seed: Seed of the folds.

    Returns:
        The encoder, and the numbers of the training rows.

    Source:
        Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical
        attributes", doi:10.1145/507533.507538 (the shrinkage by empirical Bayes, equation 4).

    Example:
        >>> column, target = pl.Series("a", ["x", "y"] * 20), np.array([[0.0], [1.0]] * 20)
        >>> encoder, _ = fit_target_means(column, DataSettings(), target, seed=0)
        >>> encoder.transform(pl.Series("a", ["x", "y"]))[:, 0].round(2).tolist()
        [-1.0, 1.0]
    """
    categories = CategoryEncoder.fit(column, settings)
    codes = categories.codes(column)
    fold = np.random.default_rng(seed).permutation(len(codes)) % NUM_FOLDS
    outside = np.empty_like(target)
    for number in range(NUM_FOLDS):
        held = fold == number
        if held.any():
            means = category_means(codes[~held], target[~held], categories.cardinality)
            outside[held] = means[codes[held]]
    table = category_means(codes, target, categories.cardinality)
    scalings = [Scaling.fit(numbers, "standard") for numbers in outside.T]
    for numbers in (outside, table):
        for place, scaling in enumerate(scalings):
            numbers[:, place] = scaling.apply(numbers[:, place])
    names = ["mean target"] if target.shape[1] == 1 else []
    names = names or [f"mean target {place + 1}" for place in range(target.shape[1])]
    return LookupEncoder(categories, table, names), outside


def category_means(codes: NDArray[np.int64], target: Floats, num_codes: int) -> Floats:
    """The mean target of each code, drawn towards the overall mean where rows are few.

    The weight of a category's own mean is ``v n / (v n + s)``, with n rows, the variance s of
    the target within the category, and v over all rows (empirical Bayes).

    Args:
        codes: Code of each row.
        target: Targets, [row, output].
        num_codes: Number of codes.

    Returns:
        [code, output]; the overall mean for a code without rows.

    Example:
        >>> category_means(np.array([0, 0, 1, 1]), np.array([[0.0], [0.0], [1.0], [1.0]]), 3)
        array([[0. ],
               [1. ],
               [0.5]])
    """
    overall, spread = target.mean(axis=0), target.var(axis=0)
    counts = np.bincount(codes, minlength=num_codes)[:, None].astype(np.float64)

    def mean_by_code(values: Floats) -> Floats:
        sums = [np.bincount(codes, column, num_codes) for column in values.T]
        means: Floats = np.stack(sums, axis=1) / np.maximum(counts, 1)
        return means

    means = mean_by_code(target)
    within, own = mean_by_code((target - means[codes]) ** 2), spread * counts
    weight = np.where(own + within > 0, own / np.maximum(own + within, 1e-300), 0.0)
    shrunk: Floats = weight * means + (1 - weight) * overall
    return shrunk


@dataclass(frozen=True)
class HashingEncoder:
    """A category as one of a fixed number of places, with a sign: no vocabulary, none unknown.

    Attributes:
        size: Number of places.

    Source:
        Weinberger et al. (2009), "Feature hashing for large scale multitask learning",
        arXiv 0902.2206, section 2.
    """

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("hashing needs a place")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> HashingEncoder:
        """Nothing to fit."""
        return cls(settings.hash_size)

    @property
    def labels(self) -> list[str]:
        """The number of each place."""
        return [f"hash {place}" for place in range(self.size)]

    def transform(self, column: pl.Series) -> Floats:
        """-1 or 1 in the place of each cell's value; zeros where it is missing."""
        words = texts(column)
        distinct = words.drop_nulls().unique()
        hashes = np.array([zlib.crc32(word.encode()) for word in distinct], dtype=np.int64)
        codes = words.replace_strict(distinct, pl.Series(hashes), default=-1).to_numpy()
        numbers = np.zeros((len(words), self.size))
        rows = np.flatnonzero(codes >= 0)
        sign = 1.0 - 2.0 * (codes[rows] & 1)
        numbers[rows, (codes[rows] >> 1) % self.size] = sign
        return numbers
