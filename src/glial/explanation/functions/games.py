"""What a prediction is worth where only some features are known: the game behind Shapley values."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.core.progress import share_logger

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Table = NDArray[Any] | pl.DataFrame
Predict = Callable[[Any], NDArray[Any]]

ROWS_AT_ONCE = 50_000  # rows of a table that a function is asked about in one call
CELLS_AT_ONCE = 1 << 16  # cells of an array: about what the processor's cache holds


def names_of(table: Table) -> list[str]:
    """The names of a table's columns; of an array their numbers.

    Example:
        >>> names_of(np.zeros((1, 2)))
        ['0', '1']
    """
    if isinstance(table, pl.DataFrame):
        return table.columns
    return [str(column) for column in range(table.shape[1])]


def ask(predict: Predict, table: Table) -> Floats:
    """What a function says of each row, checked: one finite number a row.

    Args:
        predict: The function.
        table: Rows, as the function takes them.

    Raises:
        InputError: If it gives anything else.

    Example:
        >>> ask(lambda rows: rows[:, 0], np.array([[2.0], [3.0]])).tolist()
        [2.0, 3.0]
    """
    values = np.asarray(predict(table), dtype=np.float64)
    if values.shape != (len(table),):
        raise InputError(
            "the function does not give one number a row",
            expected=f"numbers in the shape {(len(table),)}",
            got=f"the shape {values.shape}",
            do="choose one output, such as the probability of one class",
        )
    if not np.isfinite(values).all():
        raise InputError(
            "the function gives numbers that are not finite",
            expected="a finite number for every row",
            got=str(values[~np.isfinite(values)][0]),
            do="mend the network, or leave out the rows that it cannot answer",
        )
    return values


def check_tables(rows: Table, background: Table) -> None:
    """Refuse tables without rows, and two tables that do not have the same columns.

    Raises:
        InputError: If so.

    Example:
        >>> check_tables(np.zeros((1, 2)), np.zeros((5, 2)))
    """
    for table, what in ((rows, "rows to explain"), (background, "rows to compare with")):
        shape = table.shape
        if len(shape) != 2 or 0 in shape:
            raise InputError(
                f"there are no {what}",
                expected="a table with at least one row and one column",
                got=f"the shape {tuple(shape)}",
            )
    if type(rows) is not type(background) or names_of(rows) != names_of(background):
        raise InputError(
            "the rows to explain and those to compare with have other columns",
            expected=", ".join(names_of(background)[:20]),
            got=", ".join(names_of(rows)[:20]),
            do="give both the same columns in the same order",
        )


class Game(Protocol):
    """What each coalition of players is worth, for one row or several.

    Attributes:
        names: The players.

    Example:
        >>> class Pair:
        ...     names = ["a", "b"]
        ...
        ...     def __call__(self, masks):
        ...         return masks.all(axis=1, keepdims=True).T * 1.0
        >>> from glial.explanation import exact_values
        >>> exact_values(Pair()).values
        array([[0.5, 0.5]])
    """

    names: list[str]

    def __call__(self, masks: Bools) -> Floats:
        """Worth of coalitions [coalition, player], as [row, coalition]."""


class TableGame:
    """The mean prediction where a row's other features are taken from rows to compare with.

    A coalition's features keep the row's own values; each of the others takes the value of a row
    of the background, all from the same one; the mean is over the background. Correlations
    between known and unknown features are broken (the "interventional" expectation).

    Args:
        predict: Gives a number for each row of a table like ``rows``.
        rows: Rows to explain: [row, feature], or a table.
        background: Rows to compare with, like ``rows``.
        groups: Name to columns that are known or unknown together; columns in none stand alone.

    Attributes:
        names: The players: columns, or groups of them.

    Raises:
        InputError: If a table is empty, the tables' columns differ, or a group is wrong.

    Source:
        Lundberg and Lee (2017), "A unified approach to interpreting model predictions",
        arXiv 1705.07874, eq. (9) to (12); Janzing, Minorics and Bloebaum (2020), arXiv 1910.13413.

    Example:
        >>> game = TableGame(lambda x: x.sum(axis=1), np.array([[1.0, 2.0]]), np.zeros((3, 2)))
        >>> game(np.array([[False, False], [True, False], [True, True]])).tolist()
        [[0.0, 1.0, 3.0]]
    """

    def __init__(
        self,
        predict: Predict,
        rows: Table,
        background: Table,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        check_tables(rows, background)
        self.names, members = players(names_of(rows), groups)
        self._owner = members.argmax(axis=0)
        self._predict = predict
        self._rows = rows
        self._background = background

    def __call__(self, masks: Bools) -> Floats:
        """Worth of coalitions [coalition, player], as [row, coalition]."""
        known = masks[:, self._owner]
        num_rows, num_masks = len(self._rows), len(known)
        worth = np.empty(num_rows * num_masks)
        tell = share_logger(logger, "explaining")
        is_frame = isinstance(self._rows, pl.DataFrame)
        most = ROWS_AT_ONCE if is_frame else CELLS_AT_ONCE // known.shape[1]
        at_once = max(1, most // len(self._background))
        for start in range(0, len(worth), at_once):
            pairs = np.arange(start, min(start + at_once, len(worth)))
            mixed = self._mixed(pairs // num_masks, known[pairs % num_masks])
            worth[pairs] = ask(self._predict, mixed).reshape(len(pairs), -1).mean(axis=1)
            tell((pairs[-1] + 1) / len(worth))
        return worth.reshape(num_rows, num_masks)

    def _mixed(self, places: NDArray[np.int64], known: Bools) -> Table:
        """For each place of a row and what is known of it, a copy of the background."""
        rows, background = self._rows, self._background
        if isinstance(rows, pl.DataFrame) and isinstance(background, pl.DataFrame):
            pool = pl.concat([background, rows], how="vertical_relaxed")
            own, size = np.arange(len(background)), len(background)
            columns = zip(pool.iter_columns(), known.T, strict=True)
            return pl.DataFrame(
                [
                    column.gather(np.where(kept[:, None], size + places[:, None], own).ravel())
                    for column, kept in columns
                ]
            )
        own = np.asarray(rows)[places]
        return np.where(known[:, None], own[:, None], background).reshape(-1, known.shape[1])


def players(
    columns: Sequence[str], groups: Mapping[str, Sequence[str]] | None
) -> tuple[list[str], Bools]:
    """Groups of columns, and each column that is in none.

    Args:
        columns: All columns.
        groups: Name to columns.

    Returns:
        Names in the order of their first columns, and which columns each has, [player, column].

    Raises:
        InputError: If a group is empty, names an unknown column, or shares one with another.

    Example:
        >>> players(["a", "b", "c"], {"ends": ["a", "c"]})[0]
        ['ends', 'b']
    """
    owner = {name: name for name in columns}
    for group, members in (groups or {}).items():
        for name in members:
            if name not in owner:
                raise unknown_name("column", name, columns)
            if owner[name] != name or (group in owner and group not in members):
                raise InputError(
                    f"the group {group!r} is not apart from the rest",
                    expected="each column in one group, and groups with names of their own",
                    got=f"{name!r} in {owner[name]!r} too" if owner[name] != name else group,
                    do="give each column to one group",
                )
            owner[name] = group
        if not members:
            raise InputError(f"the group {group!r} has no columns", do="take it out")
    names = list(dict.fromkeys(owner.values()))
    return names, np.array([[owner[c] == name for c in columns] for name in names])
