"""How predictions change with a column: partial dependence, curves of rows, local effects."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.core.progress import share_logger
from glial.core.seeds import numpy_generator
from glial.data.cells import numbers, texts
from glial.data.columns import infer_kind
from glial.explanation.functions.games import (
    ROWS_AT_ONCE,
    Floats,
    Predict,
    Table,
    TableGame,
    ask,
    check_tables,
    names_of,
)

logger = logging.getLogger(__name__)

ENDS = (0.05, 0.95)
MOST_CATEGORIES = 30
Z = 1.96


@dataclass(frozen=True)
class Dependence:
    """How the prediction depends on one column.

    Attributes:
        column: The column.
        grid: Its values: numbers, or categories.
        mean: The mean prediction where every row has the value, [point]; for accumulated local
            effects the effect, whose mean over the rows is 0.
        errors: Standard error of the mean, as rows are a sample, [point].
        curves: The prediction of each row where it has the value, [row, point]; without rows for
            accumulated local effects.

    Example:
        >>> rows = np.array([[0.0, 1.0], [1.0, 3.0]])
        >>> found = partial_dependence(lambda x: x[:, 0] * x[:, 1], rows, "0")
        >>> found.mean.tolist(), found.curves.tolist()
        ([0.0, 2.0], [[0.0, 1.0], [0.0, 3.0]])
    """

    column: str
    grid: NDArray[Any]
    mean: Floats
    errors: Floats
    curves: Floats

    @property
    def centred(self) -> Floats:
        """The curves less their first point each: lines that part show an interaction."""
        return np.asarray(self.curves - self.curves[:, :1])

    @property
    def spread(self) -> float:
        """How much the column matters: the standard deviation of the mean over the grid."""
        return float(self.mean.std())

    def table(self) -> pl.DataFrame:
        """A row a point of the grid, with an interval of 95 % of the mean."""
        return pl.DataFrame(
            {
                self.column: self.grid,
                "mean": self.mean,
                "low": self.mean - Z * self.errors,
                "high": self.mean + Z * self.errors,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON takes them, without the curves."""
        arrays = {name: getattr(self, name).tolist() for name in ("grid", "mean", "errors")}
        return {"column": self.column, **arrays, "spread": self.spread}


def partial_dependence(
    predict: Predict,
    rows: Table,
    column: str,
    *,
    num_points: int = 20,
    grid: Sequence[Any] | None = None,
) -> Dependence:
    """The mean prediction where all rows are given one value of a column, and each row's curve.

    Args:
        predict: Gives a number for each row.
        rows: Rows: [row, feature], or a table.
        column: The column.
        num_points: Points between the 5th and the 95th percentile of a number; where it has no
            more values than that, these.
        grid: The values to try; None chooses them. Of categories, all are tried (the commonest
            30).

    Raises:
        InputError: If there is no such column, or it has no value.

    Source:
        Friedman (2001), "Greedy function approximation", doi:10.1214/aos/1013203451, section 8.2;
        Goldstein et al. (2015), arXiv 1309.6392 (curves of rows).

    Example:
        >>> rows = pl.DataFrame({"a": ["x", "y"], "b": [1.0, 3.0]})
        >>> found = partial_dependence(lambda t: (t["a"] == "y").cast(float) * t["b"], rows, "a")
        >>> found.table().select("a", "mean").rows()
        [('x', 0.0), ('y', 2.0)]
    """
    check_tables(rows, rows)
    points = np.asarray(grid) if grid is not None else _grid(rows, column, num_points)
    curves = _curves(predict, rows, (column,), [(point,) for point in points.tolist()])
    return Dependence(column, points, curves.mean(axis=0), _errors(curves), curves)


@dataclass(frozen=True)
class PairDependence:
    """How the prediction depends on two columns together.

    Attributes:
        columns: The two columns.
        grids: Values of each.
        mean: The mean prediction, [point of the first, point of the second].

    Example:
        >>> rows = np.array([[0.0, 1.0], [1.0, 3.0]])
        >>> pair_dependence(lambda x: x[:, 0] * x[:, 1], rows, "0", "1").mean.tolist()
        [[0.0, 0.0], [1.0, 3.0]]
    """

    columns: tuple[str, str]
    grids: tuple[NDArray[Any], NDArray[Any]]
    mean: Floats

    def table(self) -> pl.DataFrame:
        """A row for each pair of values."""
        first, second = self.grids
        return pl.DataFrame(
            {
                self.columns[0]: np.repeat(first, len(second)),
                self.columns[1]: np.tile(second, len(first)),
                "mean": self.mean.ravel(),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON takes them."""
        grids = [grid.tolist() for grid in self.grids]
        return {"columns": list(self.columns), "grids": grids, "mean": self.mean.tolist()}


def pair_dependence(
    predict: Predict, rows: Table, column: str, other: str, *, num_points: int = 8
) -> PairDependence:
    """The mean prediction where all rows are given one value of each of two columns.

    Args:
        predict: Gives a number for each row.
        rows: Rows: [row, feature], or a table.
        column: A column.
        other: Another.
        num_points: Points of each, as for `partial_dependence`.

    Raises:
        InputError: If there is no such column, or the two are one.

    Example:
        >>> rows = np.array([[0.0, 1.0], [1.0, 3.0]])
        >>> pair_dependence(lambda x: x.sum(axis=1), rows, "0", "1").table().rows()[-1]
        (1.0, 3.0, 4.0)
    """
    check_tables(rows, rows)
    if column == other:
        raise InputError("a pair needs two columns", expected="two names", got=f"{column!r} twice")
    grids = _grid(rows, column, num_points), _grid(rows, other, num_points)
    points = [(one, two) for one in grids[0].tolist() for two in grids[1].tolist()]
    mean = _curves(predict, rows, (column, other), points).mean(axis=0)
    return PairDependence((column, other), grids, mean.reshape(len(grids[0]), len(grids[1])))


def local_effects(predict: Predict, rows: Table, column: str, *, num_bins: int = 20) -> Dependence:
    """Accumulated local effects: what small steps of a number change, added up.

    Only rows near a value are asked about it, so that, unlike in partial dependence, no rows are
    made that cannot be where columns depend on each other.

    Args:
        predict: Gives a number for each row.
        rows: Rows: [row, feature], or a table.
        column: A column of numbers.
        num_bins: Steps, each with about as many rows.

    Returns:
        The effect at the ends of the steps; its mean over the rows is 0.

    Raises:
        InputError: If there is no such column, or it holds no two numbers.

    Source:
        Apley and Zhu (2020), "Visualizing the effects of predictor variables in black box
        supervised learning models", arXiv 1612.08468, eq. (15) and (16).

    Example:
        >>> rows = np.arange(6.0).reshape(3, 2)
        >>> local_effects(lambda x: 2 * x[:, 0], rows, "0", num_bins=2).mean.round(9).tolist()
        [-3.333333333, 0.666666667, 4.666666667]
    """
    check_tables(rows, rows)
    values = _numbers(rows, column)
    known = np.isfinite(values)
    if num_bins < 1 or not known.any() or (values[known] == values[known][0]).all():
        raise InputError(
            f"the column {column!r} has no local effects",
            expected="a column with two different numbers or more, and a step",
            got=f"{num_bins} steps",
            do="use partial_dependence for categories",
        )
    rows, values = rows[np.flatnonzero(known)], values[known]
    shares = np.linspace(0, 1, num_bins + 1)
    edges = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    bins = np.clip(np.searchsorted(edges, values) - 1, 0, len(edges) - 2)
    low, high = (
        ask(predict, _replaced(rows, {column: ends})) for ends in (edges[bins], edges[bins + 1])
    )
    counts = np.bincount(bins, minlength=len(edges) - 1)
    steps = np.bincount(bins, high - low, len(counts)) / counts
    squares = np.bincount(bins, (high - low - steps[bins]) ** 2, len(counts))
    variance = squares / np.maximum(counts - 1, 1) / counts
    effect = np.concatenate([[0.0], steps.cumsum()])
    middle = float(((effect[1:] + effect[:-1]) / 2) @ counts / counts.sum())
    errors = np.sqrt(np.concatenate([[0.0], variance.cumsum()]))
    return Dependence(column, edges, effect - middle, errors, np.zeros((0, len(edges))))


def interaction_strengths(
    predict: Predict, rows: Table, *, most_rows: int = 50, seed: int = 0
) -> pl.DataFrame:
    r"""Friedman's H: how much of what two columns do together neither does alone.

    .. math:: H_{jk}^2 = \sum_i (F_{jk} - F_j - F_k)^2 / \sum_i F_{jk}^2

    with centred partial dependences F at the rows.

    Args:
        predict: Gives a number for each row.
        rows: Rows: [row, feature], or a table.
        most_rows: Rows at most, drawn at random; each pair of columns takes their square.
        seed: Draws them.

    Returns:
        A row for each pair of columns: ``feature``, ``other``, ``h`` from 0 (their effects add
        up) to 1 and above (neither has one alone), and ``size``, the standard deviation of what
        they do beyond adding up, in the prediction's units; the greatest size first. A great ``h``
        of two columns that do next to nothing says little.

    Raises:
        InputError: If a table is wrong.

    Source:
        Friedman and Popescu (2008), "Predictive learning via rule ensembles",
        doi:10.1214/07-AOAS148, eq. (44).

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(30, 3))
        >>> found = interaction_strengths(lambda x: x[:, 0] * x[:, 1] + x[:, 2], rows)
        >>> found.row(0)[:2], found["h"][1:].max() < 1e-6
        (('0', '1'), True)
    """
    if len(rows) > most_rows:
        chosen = numpy_generator(seed, "interactions").choice(len(rows), most_rows, replace=False)
        rows = rows[np.sort(chosen)]
    game = TableGame(predict, rows, rows)
    size = len(game.names)
    pairs = list(combinations(range(size), 2))
    masks = np.zeros((size + len(pairs) + 1, size), dtype=np.bool_)
    masks[-1] = True
    masks[np.arange(size), np.arange(size)] = True
    for place, pair in enumerate(pairs, size):
        masks[place, list(pair)] = True
    worth = game(masks)
    worth -= worth.mean(axis=0)
    least = 1e-12 * float((worth[:, -1] ** 2).sum())  # less is rounding
    found = []
    for place, (i, j) in enumerate(pairs, size):
        beyond = float(((worth[:, place] - worth[:, i] - worth[:, j]) ** 2).sum())
        whole = float((worth[:, place] ** 2).sum())
        h = np.sqrt(beyond / whole) if whole > least else 0.0
        found.append((game.names[i], game.names[j], float(h), float(np.sqrt(beyond / len(worth)))))
    schema = {"feature": pl.String, "other": pl.String, "h": pl.Float64, "size": pl.Float64}
    return pl.DataFrame(found, schema=schema, orient="row").sort(
        "size", descending=True, maintain_order=True
    )


def _errors(curves: Floats) -> Floats:
    if len(curves) < 2:
        return np.full(curves.shape[1], np.nan)
    return np.asarray(curves.std(axis=0, ddof=1) / np.sqrt(len(curves)))


def _numbers(rows: Table, column: str) -> Floats:
    """The numbers of a column, NaN where there is none."""
    if column not in names_of(rows):
        raise unknown_name("column", column, names_of(rows))
    if isinstance(rows, pl.DataFrame):
        return numbers(rows[column]).fill_null(np.nan).to_numpy()
    return np.asarray(rows[:, names_of(rows).index(column)], dtype=np.float64)


def _grid(rows: Table, column: str, num_points: int) -> NDArray[Any]:
    """Values of a column between which predictions may change."""
    values = _numbers(rows, column)
    known = values[np.isfinite(values)]
    is_words = isinstance(rows, pl.DataFrame) and infer_kind(rows[column]) not in {
        "number",
        "identifier",
        "constant",
    }
    if isinstance(rows, pl.DataFrame) and (is_words or not len(known)):
        counts = texts(rows[column]).drop_nulls().alias("value").value_counts(sort=True)
        known = np.array(sorted(counts["value"][:MOST_CATEGORIES].to_list()))
    if not len(known) or num_points < 2:
        raise InputError(
            f"there is nothing to try of the column {column!r}",
            expected="a column with values, and at least two points",
            got=f"{len(known)} values, {num_points} points",
        )
    different = np.unique(known)
    if known.dtype.kind != "f" or len(different) <= num_points:
        return different
    low, high = np.quantile(known, ENDS)
    return np.linspace(low, high, num_points) if low < high else different[[0, -1]]


def _curves(
    predict: Predict, rows: Table, columns: tuple[str, ...], points: Sequence[tuple[Any, ...]]
) -> Floats:
    """The predictions of all rows at each point, [row, point]."""
    for column in columns:
        if column not in names_of(rows):
            raise unknown_name("column", column, names_of(rows))
    told = np.empty((len(points), len(rows)))
    tell = share_logger(logger, f"changing {' and '.join(columns)}")
    at_once = max(1, ROWS_AT_ONCE // len(rows))
    for start in range(0, len(points), at_once):
        part = points[start : start + at_once]
        copies = rows[np.tile(np.arange(len(rows)), len(part))]
        held = {
            column: np.repeat(np.array([point[place] for point in part]), len(rows))
            for place, column in enumerate(columns)
        }
        told[start : start + len(part)] = ask(predict, _replaced(copies, held)).reshape(
            len(part), -1
        )
        tell((start + len(part)) / len(points))
    return told.T


def _replaced(rows: Table, held: dict[str, NDArray[Any]]) -> Table:
    """The rows with other values in some columns."""
    if isinstance(rows, pl.DataFrame):
        return rows.with_columns(pl.Series(name, values) for name, values in held.items())
    changed = rows.astype(np.float64)
    for name, values in held.items():
        changed[:, names_of(rows).index(name)] = values
    return changed
