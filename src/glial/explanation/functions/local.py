"""LIME: a linear model around one row, fitted on what a function says of rows near it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.core.seeds import numpy_generator
from glial.data.cells import numbers, texts
from glial.data.columns import infer_kind
from glial.explanation.functions.contributions import Contributions
from glial.explanation.functions.games import (
    ROWS_AT_ONCE,
    Bools,
    Floats,
    Game,
    Predict,
    Table,
    ask,
    check_tables,
    names_of,
)
from glial.explanation.functions.readable import as_frame

logger = logging.getLogger(__name__)

RIDGE = 1e-4


@dataclass(frozen=True)
class LocalModel(Contributions):
    """A linear model around each row.

    ``values`` are its terms: of a number the coefficient times the distance from the
    background's mean; of a category what being this one adds over the background's share of it.
    ``base`` and ``values`` add up to what the linear model says of the row, which `gap` compares
    with the prediction.

    Attributes:
        coefficients: Change of the output for a unit of a number, or for being of the row's
            category, [row, feature].
        fidelity: Weighted r2 of the linear model near the row, [row]: 1 where it says what the
            function says, and not to be believed where it is small.

    Example:
        >>> found = lime(lambda x: 2 * x[:, 0], np.ones((1, 1)), np.arange(5.0)[:, None])
        >>> found.coefficients.round(3).tolist(), found.fidelity.round(3).tolist()
        ([[2.0]], [1.0])
    """

    coefficients: Floats
    fidelity: Floats

    def table(self) -> pl.DataFrame:
        """A row for each row and feature, with the coefficient and the fidelity."""
        size = len(self.names)
        return (
            super()
            .table()
            .with_columns(
                coefficient=self.coefficients.ravel(), fidelity=np.repeat(self.fidelity, size)
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON takes them."""
        own = {"coefficients": self.coefficients.tolist(), "fidelity": self.fidelity.tolist()}
        return super().to_dict() | own


def lime(
    predict: Predict,
    rows: Table,
    background: Table,
    *,
    num_samples: int = 1000,
    width: float = 0.5,
    seed: int = 0,
) -> LocalModel:
    """A weighted linear model around each row of a table.

    Numbers are drawn around the row's, categories are kept or drawn from the background; rows
    near the row weigh more.

    Args:
        predict: Gives a number for each row.
        rows: Rows to explain: [row, feature], or a table.
        background: Rows that say how far columns vary.
        num_samples: Rows to ask about for each.
        width: How far around the row, in standard deviations of the background: the spread of the
            numbers drawn. The smaller, the nearer coefficients are to the gradient.
        seed: Draws the rows.

    Raises:
        InputError: If there are too few samples, the width is not positive, or a table is wrong.

    Source:
        Ribeiro, Singh and Guestrin (2016), "Why should I trust you?", arXiv 1602.04938, eq. (2)
        and algorithm 1 (with ridge regression).

    Example:
        >>> rows = np.array([[1.0, 2.0]])
        >>> found = lime(lambda x: x[:, 0] * x[:, 1], rows, np.eye(2), width=0.01)
        >>> found.coefficients.round(2).tolist()
        [[2.0, 1.0]]
    """
    check_tables(rows, background)
    if num_samples < 2 * rows.shape[1] + 2 or not width > 0:
        raise InputError(
            "too few rows for a linear model around a row",
            expected=f"at least {2 * rows.shape[1] + 2} samples, and a width above 0",
            got=f"{num_samples} samples, and a width of {width:g}",
            do="raise num_samples",
        )
    generator = numpy_generator(seed, "lime")
    parts = []
    tell = share_logger(logger, "fitting around rows")
    at_once = max(1, ROWS_AT_ONCE // num_samples)
    for start in range(0, len(rows), at_once):
        near = [
            _near(rows[place : place + 1], background, num_samples, width, generator)
            for place in range(start, min(start + at_once, len(rows)))
        ]
        tables: Any = [table for table, *_ in near]
        join = np.concatenate if isinstance(rows, np.ndarray) else pl.concat
        asked = join(tables) if len(tables) > 1 else tables[0]
        told = ask(predict, asked).reshape(len(near), -1)
        for one, (_, moved, offset, scale) in zip(told, near, strict=True):
            # Standardised distance, the mean over columns, by which rows count less.
            weights = np.exp(-(moved**2).mean(axis=1) / (2 * width**2))
            parts.append((one[0], *_fitted(moved, one, weights, offset, scale)))
        tell((start + len(near)) / len(rows))
    prediction, base, values, errors, coefficients, fidelity = map(
        np.array, zip(*parts, strict=True)
    )
    return LocalModel(
        names_of(rows), values, base, prediction, errors, num_samples, coefficients, fidelity
    )


def _near(
    row: Table, background: Table, size: int, width: float, generator: np.random.Generator
) -> tuple[Table, Floats, Floats, Floats]:
    """Rows near a row, itself first; how far each column was moved; the background; the unit.

    Moves are standardised: of numbers in standard deviations, of categories -1 where it is
    another. The background is told as its mean move.
    """
    columns: list[Any] = []
    moved, offset, scale = [], [], []
    for place in range(row.shape[1]):
        is_frame = isinstance(row, pl.DataFrame)
        own, others = (as_frame(table).to_series(place) for table in (row, background))
        known = numbers(others).drop_nulls().to_numpy()
        value = numbers(own)[0]
        is_number = not is_frame or infer_kind(others) in {"number", "identifier"}
        if is_number and value is not None:
            deviation = float(known.std()) if len(known) else 0.0
            step = width * generator.standard_normal(size)
            step[0] = 0.0
            values = value + step * deviation
            columns.append(pl.Series(others.name, values) if is_frame else values)
            moved.append(step if deviation else np.zeros(size))
            offset.append((known.mean() - value) / deviation if deviation else 0.0)
            scale.append(deviation or 1.0)
        else:
            both = pl.concat([own.cast(pl.String), others.cast(pl.String)])
            drawn = np.where(
                generator.random(size) < 0.5, 0, 1 + generator.integers(len(others), size=size)
            )
            drawn[0] = 0
            words = texts(both).fill_null("").to_numpy()
            columns.append(both.gather(drawn).alias(others.name))
            moved.append(-(words[drawn] != words[0]).astype(np.float64))
            offset.append(-float((words[1:] != words[0]).mean()))
            scale.append(1.0)
    table: Table = (
        pl.DataFrame(columns) if isinstance(row, pl.DataFrame) else np.stack(columns, axis=1)
    )
    return table, np.stack(moved, axis=1), np.array(offset), np.array(scale)


def _fitted(
    moved: Floats, told: Floats, weights: Floats, offset: Floats, scale: Floats
) -> tuple[float, Floats, Floats, Floats, float]:
    """Base, terms, their errors, coefficients and fidelity of a linear model around a row."""
    slope, errors, middle, fidelity = weighted_ridge(moved, told, weights)
    return (
        middle + float(slope @ offset),
        -slope * offset,
        np.abs(offset) * errors,
        slope / scale,
        fidelity,
    )


def weighted_ridge(
    design: Floats, told: Floats, weights: Floats, ridge: float = RIDGE
) -> tuple[Floats, Floats, float, float]:
    """Ridge regression of weighted rows; the intercept is not shrunk.

    Args:
        design: Features, [row, feature].
        told: Numbers, [row].
        weights: Weight of each row.
        ridge: Penalty of a squared coefficient, in shares of its feature's own variance.

    Returns:
        Coefficients, their standard errors (which allow for any spread), the intercept, and the
        weighted r2; 1 where there is nothing to explain.

    Example:
        >>> slope, errors, intercept, r2 = weighted_ridge(
        ...     np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0]), np.ones(3), ridge=0.0
        ... )
        >>> slope.round(9).tolist(), round(intercept, 9), round(r2, 9)
        ([2.0], 1.0, 1.0)
    """
    shares = weights / weights.sum()
    mean, middle = shares @ design, float(shares @ told)
    centred, rest = design - mean, told - middle
    weighted = centred * shares[:, None]
    # Columns that never move have a coefficient of 0.
    gram = centred.T @ weighted
    inverse = np.linalg.pinv(gram + ridge * np.diag(np.diag(gram)), hermitian=True)
    slope = inverse @ (weighted.T @ rest)
    residual = rest - centred @ slope
    pull = weighted @ inverse * residual[:, None]
    whole = float(shares @ rest**2)
    fidelity = 1 - float(shares @ residual**2) / whole if whole > 1e-24 else 1.0
    return slope, np.sqrt((pull**2).sum(axis=0)), middle - float(mean @ slope), fidelity


def lime_values(
    game: Game, *, num_samples: int = 1000, width: float = 0.25, seed: int = 0
) -> LocalModel:
    """A weighted linear model of which players are there: words of a text, parts of an image.

    Args:
        game: Such as `WordGame` or `SegmentGame`.
        num_samples: Coalitions; the number of players taken out is drawn evenly.
        width: How far coalitions may be from all players, in cosine distance, to count.
        seed: Draws them.

    Returns:
        ``values`` and ``coefficients`` are the coefficients.

    Raises:
        InputError: If there are too few samples, or the width is not positive.

    Source:
        Ribeiro, Singh and Guestrin (2016), arXiv 1602.04938, section 3.4 and algorithm 1.

    Example:
        >>> from glial.explanation import TableGame
        >>> game = TableGame(lambda x: x @ [1.0, 2.0], np.ones((1, 2)), np.zeros((1, 2)))
        >>> lime_values(game).values.round(1).tolist()
        [[1.0, 2.0]]
    """
    size = len(game.names)
    if num_samples < 2 * size + 2 or not width > 0:
        raise InputError(
            "too few samples for a linear model",
            expected=f"at least {2 * size + 2} for {size} features, and a width above 0",
            got=f"{num_samples} samples, and a width of {width:g}",
            do="raise num_samples",
        )
    masks = _some_out(size, num_samples, numpy_generator(seed, "lime coalitions"))
    worth = game(masks)
    weights = np.exp(-((1 - np.sqrt(masks.mean(axis=1))) ** 2) / width**2)
    fits = [weighted_ridge(masks.astype(np.float64), one, weights) for one in worth]
    slope, errors, base, fidelity = map(np.array, zip(*fits, strict=True))
    return LocalModel(game.names, slope, base, worth[:, 0], errors, num_samples, slope, fidelity)


def _some_out(size: int, count: int, generator: np.random.Generator) -> Bools:
    """Coalitions, all players first; how many are out is drawn evenly from 1 to all."""
    ranks = generator.permuted(np.tile(np.arange(size), (count, 1)), axis=1)
    masks = ranks >= generator.integers(1, size + 1, size=count)[:, None]
    masks[0] = True
    return masks
