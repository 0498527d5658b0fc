"""The nearest changes of a row after which a function says something else, each asked and true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.core.seeds import numpy_generator
from glial.data.cells import numbers, texts
from glial.data.columns import infer_kind
from glial.explanation.functions.games import Bools, Floats, Table, check_tables, names_of
from glial.explanation.functions.readable import as_frame
from glial.explanation.functions.trees import Decide, is_numeric

Places = NDArray[np.int64]
NUM_STARTS = 40
NUM_TRIED = 64
NUM_DRAWN = 500
SHARES = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Counterfactuals:
    """Changes of one row that change the answer.

    Attributes:
        row: The row, a table of one.
        answer: What is said of it.
        rows: The changed rows, the least changed first.
        answers: What is said of each, asked once more at the end.
        costs: Changed columns of each, and how far in standard deviations (of a category 1),
            added up.
        asked: Number of rows that were asked about.

    Example:
        >>> rows = np.array([[n, n % 3] for n in range(10)], dtype=float)
        >>> found = find_counterfactuals(lambda x: x[:, 0] > 6, rows[2:3], rows)
        >>> print(found)
        if 0 were 7.0 instead of 2.0: True instead of False
    """

    row: pl.DataFrame
    answer: Any
    rows: pl.DataFrame
    answers: NDArray[Any]
    costs: Floats
    asked: int

    def changes(self) -> list[dict[str, tuple[Any, Any]]]:
        """For each changed row, column to what it was and what it became."""
        before = self.row.row(0, named=True)
        return [
            {name: (before[name], now[name]) for name in before if _differ(before[name], now[name])}
            for now in self.rows.iter_rows(named=True)
        ]

    def table(self) -> pl.DataFrame:
        """A row a change: which counterfactual, which column, from what to what, the new answer."""
        found = [
            (number, name, str(old), str(new), str(answer), float(cost))
            for number, (changes, answer, cost) in enumerate(
                zip(self.changes(), self.answers, self.costs, strict=True), 1
            )
            for name, (old, new) in changes.items()
        ]
        words = dict.fromkeys(("column", "from", "to", "answer"), pl.String)
        schema = {"counterfactual": pl.Int64, **words, "cost": pl.Float64}
        return pl.DataFrame(found, schema=schema, orient="row")

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON takes them."""
        return {
            "row": self.row.row(0, named=True),
            "answer": _plain(self.answer),
            "counterfactuals": [
                {
                    "changes": {n: {"from": old, "to": new} for n, (old, new) in changes.items()},
                    "answer": _plain(answer),
                    "cost": float(cost),
                }
                for changes, answer, cost in zip(
                    self.changes(), self.answers, self.costs, strict=True
                )
            ],
            "asked": self.asked,
        }

    def __str__(self) -> str:
        lines = []
        for changes, answer in zip(self.changes(), self.answers, strict=True):
            told = [f"{name} were {new} instead of {old}" for name, (old, new) in changes.items()]
            lines.append(f"if {' and '.join(told)}: {answer} instead of {self.answer}")
        return "\n".join(lines) or f"none was found among {self.asked:,} rows that were asked about"


def find_counterfactuals(
    decide: Decide,
    row: Table,
    background: Table,
    *,
    wanted: Any = None,
    fixed: Sequence[str] = (),
    count: int = 3,
    seed: int = 0,
) -> Counterfactuals:
    """Change a row as little as possible so that a function says something else of it.

    Every value is one that the column has in the background. The search starts at rows of the
    background of which the wanted is said, the nearest first, and at mixtures of the row with
    them that grow further; takes back one change after the other while the answer stays; then
    moves each number as near to the row's as the answer allows. What is found is asked again.

    Args:
        decide: Gives each row a class or a number (floats).
        row: The row: a table, or an array, of one.
        background: Rows such as occur, like ``row``.
        wanted: The class that is wanted, or the least and greatest number; None is any other
            class.
        fixed: Columns that may not change.
        count: Counterfactuals at most; they change different sets of columns where they can.
        seed: Draws the mixtures.

    Returns:
        The counterfactuals, none where none was found.

    Raises:
        InputError: If there is not one row, a column is unknown, all are fixed, what is wanted is
            said already, or of numbers it is not told.

    Source:
        Wachter, Mittelstadt and Russell (2017), arXiv 1711.00399, eq. (1) and (4) (the task and the
        distance); Laugel et al. (2018), arXiv 1712.08443 (growing, then sparser); Mothilal, Sharma
        and Tan (2020), arXiv 1905.07697 (several, diverse).

    Example:
        >>> rows = np.array([[n, n % 3] for n in range(10)], dtype=float)
        >>> found = find_counterfactuals(lambda x: x.sum(axis=1) > 6, rows[4:5], rows, fixed=["0"])
        >>> found.rows.rows(), found.answers.tolist()
        ([], [])
    """
    check_tables(row, background)
    names = names_of(row)
    for name in fixed:
        if name not in names:
            raise unknown_name("column", name, names)
    answer = np.asarray(decide(row))
    is_wanted = _wish(answer, wanted)
    if len(row) != 1 or len(set(fixed)) == len(names) or count < 1:
        raise InputError(
            "counterfactuals are found for one row, of which something may change",
            expected="one row, a column that is not fixed, and a count of at least 1",
            got=f"{len(row)} rows, {len(set(fixed))} of {len(names)} columns fixed, count {count}",
        )
    search = _Search(decide, row, background, is_wanted, [names.index(name) for name in fixed])
    found = search.starts(numpy_generator(seed, "counterfactuals"))
    found = search.nearer(search.sparser(found))
    chosen = found[search.diverse(found, count)]
    rows = search.table(chosen)
    answers = np.asarray(decide(rows)) if len(chosen) else answer[:0]
    held = np.flatnonzero(is_wanted(answers))
    return Counterfactuals(
        as_frame(row),
        answer[0],
        as_frame(rows)[held],
        answers[held],
        search.costs(chosen)[held],
        search.asked + len(chosen),
    )


def _differ(old: Any, new: Any) -> bool:
    return not (old == new or (old is None and new is None))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _wish(answer: NDArray[Any], wanted: Any) -> Callable[[NDArray[Any]], Bools]:
    """Which answers are wanted."""
    if is_numeric(answer):
        if not (isinstance(wanted, tuple) and len(wanted) == 2 and wanted[0] <= wanted[1]):
            raise InputError(
                "which number is wanted is not told",
                expected="the least and the greatest, such as wanted=(10.0, math.inf)",
                got=repr(wanted),
            )
        low, high = wanted
        wish: Callable[[NDArray[Any]], Bools] = lambda told: (told >= low) & (told <= high)  # noqa: E731
    elif wanted is None:
        wish = lambda told: np.asarray(told != answer[0])  # noqa: E731
    else:
        wish = lambda told: np.asarray(told == wanted)  # noqa: E731
    if len(answer) and wish(answer)[0]:
        raise InputError(
            "what is wanted is said of the row already",
            expected="another class, or numbers that the answer is not among",
            got=str(answer[0]),
        )
    return wish


def column_gaps(row: Table, others: Table) -> Floats:
    """How far each cell of other rows is from a row's, [other, feature].

    Between numbers in standard deviations of the others; between categories, and where one of
    two numbers is missing, 1 if they differ.

    Args:
        row: A table, or an array, of one row.
        others: Rows like it.

    Source:
        Gower (1971), "A general coefficient of similarity", doi:10.2307/2528823 (with deviations
        in the place of ranges).

    Example:
        >>> row, others = pl.DataFrame({"a": [1.0], "b": ["x"]}), pl.DataFrame(
        ...     {"a": [0.0, 2.0], "b": ["x", "y"]}
        ... )
        >>> column_gaps(row, others).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    gaps = []
    own, frame = as_frame(row), as_frame(others)
    for column in frame.iter_columns():
        cell = own[column.name]
        is_number = isinstance(others, np.ndarray) or infer_kind(column) in {"number", "identifier"}
        if is_number:
            value, values = numbers(cell)[0], numbers(column).to_numpy()
            scale = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
            far = np.abs(values - (np.nan if value is None else value)) / (scale or 1.0)
            unlike = np.isfinite(values) != (value is not None)
            gaps.append(np.where(np.isfinite(far), far, unlike.astype(np.float64)))
        else:
            words = texts(column).fill_null("")
            gaps.append((words != (texts(cell)[0] or "")).to_numpy().astype(np.float64))
    return np.stack(gaps, axis=1)


class _Search:
    """Candidates as numbers of the rows whose cells they hold, [candidate, column]; -1 is the row.

    A candidate's cost is the number of its changed columns and how far these are.
    """

    def __init__(
        self,
        decide: Decide,
        row: Table,
        background: Table,
        is_wanted: Callable[[NDArray[Any]], Bools],
        fixed: list[int],
    ) -> None:
        self._decide = decide
        self._row = row
        self._background = background
        self._is_wanted = is_wanted
        self._fixed = fixed
        self._gaps = column_gaps(row, background)
        self._first = _first_of_equal(background)
        self.asked = 1

    def table(self, candidates: Places) -> Table:
        """The rows that candidates are."""
        row, background = self._row, self._background
        if isinstance(row, pl.DataFrame) and isinstance(background, pl.DataFrame):
            # The row stands first.
            pool = pl.concat([row, background], how="vertical_relaxed")
            cells = zip(pool.iter_columns(), candidates.T + 1, strict=True)
            return pl.DataFrame([column.gather(places) for column, places in cells])
        own, others = np.asarray(row), np.asarray(background)
        found = others[candidates, np.arange(candidates.shape[1])]
        return np.where(candidates < 0, own, found)

    def holds(self, candidates: Places) -> Bools:
        """Whether what is wanted is said of each."""
        if not len(candidates):
            return np.zeros(0, dtype=np.bool_)
        self.asked += len(candidates)
        return self._is_wanted(np.asarray(self._decide(self.table(candidates))))

    def gaps(self, candidates: Places) -> Floats:
        """How far each cell is from the row's; 0 where it is the row's."""
        found = self._gaps[candidates, np.arange(candidates.shape[1])]
        return np.where(candidates < 0, 0.0, found)

    def costs(self, candidates: Places) -> Floats:
        """Number and size of the changes of each."""
        gaps = self.gaps(candidates)
        return np.asarray((gaps > 0).sum(axis=1) + gaps.sum(axis=1), dtype=np.float64)

    def starts(self, generator: np.random.Generator) -> Places:
        """Candidates that hold: rows of the background, and mixtures with them."""
        num_rows, size = self._gaps.shape
        whole = np.tile(np.arange(num_rows)[:, None], size)
        drawn = generator.integers(num_rows, size=(NUM_DRAWN, size))
        mixed = [
            np.where(generator.random(cells.shape) < share, cells, -1)
            for share in SHARES
            for cells in (whole, drawn)
        ]
        candidates = np.concatenate([*mixed, whole])
        candidates[:, self._fixed] = -1
        first = self._first[candidates, np.arange(size)]
        candidates = np.where((candidates >= 0) & (self.gaps(candidates) > 0), first, -1)
        candidates = np.unique(candidates, axis=0)
        held = candidates[self.holds(candidates)]
        return held[np.argsort(self.costs(held), kind="stable")[:NUM_STARTS]]

    def sparser(self, candidates: Places) -> Places:
        """Each without changes that are not needed, the greatest taken back first."""
        while True:
            places, columns = np.nonzero(candidates >= 0)
            tried = candidates[places]
            tried[np.arange(len(tried)), columns] = -1
            held = self.holds(tried)
            if not held.any():
                return np.unique(candidates, axis=0)
            gaps = np.where(held, self.gaps(candidates)[places, columns], -1.0)
            # Sorted by size, the last assignment to a candidate is its greatest.
            order = np.argsort(gaps, kind="stable")
            order = order[held[order]]
            candidates = candidates.copy()
            best = np.full(len(candidates), -1)
            best[places[order]] = columns[order]
            moved = np.flatnonzero(best >= 0)
            candidates[moved, best[moved]] = -1

    def nearer(self, candidates: Places) -> Places:
        """Each with every changed cell as near to the row's as the answer allows."""
        candidates = candidates.copy()
        for column in range(candidates.shape[1]):
            gaps = self._gaps[:, column]
            values = np.unique(self._first[:, column])
            values = values[gaps[values] > 0]
            values = values[np.argsort(gaps[values], kind="stable")]
            for is_rough in (True, False):
                self._move(candidates, column, values, is_rough)
        return np.unique(candidates, axis=0)

    def _move(self, candidates: Places, column: int, values: Places, is_rough: bool) -> None:
        """Move one cell to nearer values: to some among all, then to those just beside."""
        gaps = self._gaps[:, column]
        tried = [np.zeros((0, candidates.shape[1]), dtype=np.int64)]
        owners: list[int] = []
        for place in np.flatnonzero(candidates[:, column] >= 0).tolist():
            near = values[gaps[values] < gaps[candidates[place, column]]]
            step = max(1, len(near) // NUM_TRIED)
            some = near[::step] if is_rough else near[-NUM_TRIED:]
            copies = np.repeat(candidates[place : place + 1], len(some), axis=0)
            copies[:, column] = some
            tried.append(copies)
            owners += [place] * len(some)
        copies = np.concatenate(tried)
        held = np.flatnonzero(self.holds(copies))
        for number in held[::-1]:  # the nearest stands first, and is the last to be put in
            candidates[owners[number]] = copies[number]

    def diverse(self, candidates: Places, count: int) -> list[int]:
        """The cheapest of each set of changed columns, then the cheapest of the rest."""
        order = np.argsort(self.costs(candidates), kind="stable").tolist()
        seen: set[bytes] = set()
        first: list[int] = []
        rest: list[int] = []
        for place in order:
            columns = (candidates[place] >= 0).tobytes()
            (rest if columns in seen else first).append(place)
            seen.add(columns)
        return [*first, *rest][:count]


def _first_of_equal(table: Table) -> Places:
    """The number of the first row with the same value, [row, column]."""
    places = np.empty(table.shape, dtype=np.int64)
    for column, cells in enumerate(as_frame(table).iter_columns()):
        words = cells.cast(pl.String).fill_null("").to_numpy()
        _, first, same = np.unique(words, return_index=True, return_inverse=True)
        places[:, column] = first[same]
    return places
