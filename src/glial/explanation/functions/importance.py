"""How much a network needs each feature: what is lost where it is shuffled, and mean sizes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.core.seeds import numpy_generator
from glial.explanation.functions.association import CORRELATED, associations
from glial.explanation.functions.games import ROWS_AT_ONCE, Bools, Floats, Table, names_of, players

logger = logging.getLogger(__name__)

Places = NDArray[np.int64]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Importance:
    """How important each feature is to a network on some rows.

    Attributes:
        names: The features.
        values: What is lost of the metric without each, [feature]: its drop where more is
            better, its rise where less is; about 0 for a feature that does not matter.
        low: Lower end of each one's interval of 95 %, [feature].
        high: Upper end.
        repeats: The loss of each shuffling, [feature, repeat].
        metric: What is lost.
        score: The metric with all features as they are.
        correlated: Pairs of features that depend on each other so strongly that shuffling one
            leaves what it says to the other; their importance is told too small.

    Example:
        >>> rows = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
        >>> metric = lambda told, places: float(np.abs(told - rows[places, 0]).mean())
        >>> found = permutation_importance(lambda x: x[:, 0], rows, metric, lower_is_better=True)
        >>> found.metric, found.table()["feature"].to_list()
        ('metric', ['0', '1'])
    """

    names: list[str]
    values: Floats
    low: Floats
    high: Floats
    repeats: Floats
    metric: str
    score: float
    correlated: list[tuple[str, str, float]] = field(default_factory=list)

    def table(self) -> pl.DataFrame:
        """A row a feature, the most important first."""
        frame = pl.DataFrame(
            {"feature": self.names, "importance": self.values, "low": self.low, "high": self.high}
        )
        return frame.sort("importance", descending=True, maintain_order=True)

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON takes them."""
        return {
            "metric": self.metric,
            "score": self.score,
            "features": self.table().to_dicts(),
            "correlated": [list(pair) for pair in self.correlated],
        }


def permutation_importance(
    predict: Callable[[Any], NDArray[Any]],
    rows: Table,
    metric: Callable[[NDArray[Any], Places], float],
    *,
    lower_is_better: bool = False,
    name: str = "metric",
    groups: Mapping[str, Sequence[str]] | None = None,
    num_repeats: int = 5,
    seed: int = 0,
) -> Importance:
    """What a metric loses where the values of a feature are shuffled among the rows.

    Intervals hold the chance of the shuffling and of which rows there are: each repeat also
    scores rows drawn with replacement, and their spread is the standard error.

    Args:
        predict: What a network says of each row: numbers, or a row of numbers each.
        rows: Rows that were not trained on: [row, feature], or a table.
        metric: The metric of what was said of the rows with these numbers; a number may come
            twice.
        lower_is_better: Whether the metric is an error.
        name: The metric's name.
        groups: Name to columns that are shuffled together; columns in none stand alone.
        num_repeats: Shufflings of each feature, at least two.
        seed: Draws the shufflings and the rows.

    Raises:
        InputError: If there are fewer than two rows or repeats, or a group is wrong.

    Source:
        Breiman (2001), "Random forests", doi:10.1023/A:1010933404324, section 10; Fisher, Rudin
        and Dominici (2019), "All models are wrong, but many are useful", arXiv 1801.01489.

    Example:
        >>> rows = np.arange(8.0).reshape(4, 2)
        >>> metric = lambda told, places: float(np.abs(told - rows[places, 0]).mean())
        >>> found = permutation_importance(lambda x: x[:, 0], rows, metric, lower_is_better=True)
        >>> found.score, (found.values > 0).tolist()
        (0.0, [True, False])
    """
    from scipy.stats import t

    if len(rows) < 2 or num_repeats < 2:
        raise InputError(
            "importance needs at least two rows and two repeats",
            expected="2 or more of each",
            got=f"{len(rows)} rows and {num_repeats} repeats",
        )
    names, members = players(names_of(rows), groups)
    generator = numpy_generator(seed, "permutation importance")
    everywhere = np.arange(len(rows))
    told = np.asarray(predict(rows))
    sign = 1.0 if lower_is_better else -1.0
    drawn = generator.integers(len(rows), size=(num_repeats, len(rows)))
    plain = metric(told, everywhere)
    scores = [metric(told, places) for places in drawn]
    losses, resampled = np.empty((2, len(names), num_repeats))
    orders = generator.permuted(np.tile(everywhere, (len(names) * num_repeats, 1)), axis=1).reshape(
        len(names), num_repeats, -1
    )
    tell = share_logger(logger, "shuffling features")
    at_once = max(1, ROWS_AT_ONCE // len(rows))
    for place, columns in enumerate(members):
        for first in range(0, num_repeats, at_once):
            part = orders[place, first : first + at_once]
            answers = np.asarray(predict(_shuffled(rows, columns, part)))
            for repeat, one in enumerate(np.split(answers, len(part)), first):
                losses[place, repeat] = sign * (metric(one, everywhere) - plain)
                resampled[place, repeat] = sign * (metric(one, drawn[repeat]) - scores[repeat])
            tell((place + (first + len(part)) / num_repeats) / len(names))
    values = losses.mean(axis=1)
    margin = t.ppf((1 + CONFIDENCE) / 2, num_repeats - 1) * resampled.std(axis=1, ddof=1)
    return Importance(
        names,
        values,
        values - margin,
        values + margin,
        losses,
        name,
        plain,
        _correlated(rows, names, members),
    )


def _shuffled(rows: Table, columns: Bools, orders: Places) -> Table:
    """A copy of the rows for each order, with these columns in it."""
    if isinstance(rows, pl.DataFrame):
        copies = np.tile(np.arange(len(rows)), len(orders))
        chosen = zip(rows.iter_columns(), columns, strict=True)
        return pl.DataFrame(
            [column.gather(orders.ravel() if moved else copies) for column, moved in chosen]
        )
    copied = np.tile(rows, (len(orders), 1))
    copied[:, columns] = rows[orders.ravel()][:, columns]
    return copied


def _correlated(rows: Table, names: list[str], members: Bools) -> list[tuple[str, str, float]]:
    """Pairs of features, columns of one group aside, that depend on each other strongly."""
    found = associations(rows).round(12)
    told = []
    for i, one in enumerate(members):
        for j, other in enumerate(members[:i]):
            most = float(found[np.ix_(one, other)].max())
            if most >= CORRELATED:
                told.append((names[j], names[i], most))
    if told:
        pairs = ", ".join(f"{one} and {other} ({size:.2f})" for one, other, size in told[:5])
        logger.warning("features stand in for each other, and seem less important: %s", pairs)
    return sorted(told, key=lambda pair: -pair[2])
