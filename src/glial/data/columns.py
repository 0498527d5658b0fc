"""What the columns of a table are, and whether its target can be learnt."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence

import polars as pl

from glial.core.errors import InputError, suggest, unknown_name
from glial.data.cells import (
    YES_OR_NO,
    blank,
    datetimes,
    floats,
    is_ambiguous_date,
    is_nested,
    missing,
    num_infinite,
    numbers,
    texts,
)
from glial.data.lists import flat, is_list, is_word_list, listed
from glial.data.media import medium_named
from glial.data.sequences import holds_sequences
from glial.data.settings import Kind

logger = logging.getLogger(__name__)

USED: tuple[Kind, ...] = (
    *("number", "category", "boolean", "datetime"),
    *("text", "image", "sound", "sequence", "words"),
)
_KEY_NAME = re.compile(
    r"^(?i:id|idx|index|uuid|guid|key|rownames|unnamed: 0)$"
    r"|[_\-. ](?i:id|idx|index|uuid|guid|key)$|[a-z](Id|ID|Uuid|UUID|Guid|GUID|Key|Index)$"
)
_TIME_NAME = re.compile(r"year|date|time|month|day", re.I)
MIN_ROWS_OF_IDENTIFIER = 20


def is_key_name(name: str) -> bool:
    """Whether a column is named like a key, such as ``id`` or ``patient_id``.

    Example:
        >>> is_key_name("patient_id"), is_key_name("humid")
        (True, False)
    """
    return _KEY_NAME.search(name) is not None


def infer_columns(frame: pl.DataFrame, overrides: Mapping[str, Kind]) -> dict[str, Kind]:
    """The kind of each column, by its cells; what cannot be used is noticed.

    Args:
        frame: The input columns of all rows.
        overrides: Kinds that the user has decided.

    Returns:
        Column to kind, in the table's order.

    Raises:
        InputError: If an override names no column, or no column is left to learn from.

    Example:
        >>> infer_columns(pl.DataFrame({"a": ["1", "2.5", "3"], "b": ["x", "y", "x"]}), {})
        {'a': 'number', 'b': 'category'}
    """
    for name in overrides:
        if name not in frame.columns:
            raise unknown_name("column in data.types", name, frame.columns)
    kinds: dict[str, Kind] = {}
    for column in frame.iter_columns():
        kinds[column.name] = overrides.get(column.name) or infer_kind(column)
    _keep_the_only_numbers(frame, kinds, overrides)
    for name, kind in kinds.items():
        _notice(frame[name], kind)
    if not any(kind in USED for kind in kinds.values()):
        raise nothing_left(kinds)
    return kinds


def nothing_left(kinds: Mapping[str, Kind]) -> InputError:
    """What is said where no column carries anything.

    Example:
        >>> nothing_left({"a": "constant"}).got
        'a: constant'
    """
    return InputError(
        "no column is left to learn from",
        expected="a column of numbers, categories, yes/no, dates, text, images, sounds, sequences",
        got=", ".join(f"{name}: {kind}" for name, kind in list(kinds.items())[:10]) or "none",
        do="add a column, or say what one is with --set data.types.COLUMN=number",
    )


def _keep_the_only_numbers(
    frame: pl.DataFrame, kinds: dict[str, Kind], overrides: Mapping[str, Kind]
) -> None:
    """Where nothing else is left, numbers that merely count the rows are inputs after all."""
    if any(kind in USED for kind in kinds.values()):
        return
    for name, kind in kinds.items():
        counts = kind == "identifier" and numbers(frame[name]).null_count() == 0
        if counts and name not in overrides and not _KEY_NAME.search(name):
            kinds[name] = "number"


def infer_kind(column: pl.Series) -> Kind:
    """What one column is.

    Example:
        >>> infer_kind(pl.Series("day", ["2024-01-01", "2024-01-02"]))
        'datetime'
    """
    present = column.filter(~missing(column))
    if len(present) == 0:
        return "empty"
    if _holds_images(column):
        return "image"
    if medium := medium_named(column):
        return medium.kind
    if holds_sequences(column):
        return "sequence"
    if is_nested(column):
        return "text"
    distinct = present.n_unique()
    if distinct == 1 and len(present) == len(column):
        return "constant"
    if column.dtype == pl.Boolean or _is_yes_or_no(present, distinct):
        return "boolean"
    if isinstance(column.dtype, (pl.Date, pl.Datetime)):
        return "datetime"
    if isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        return "category"
    unique = distinct == len(column) >= MIN_ROWS_OF_IDENTIFIER
    if column.dtype.is_numeric() or column.dtype.is_temporal() or _are_numbers(present):
        return "identifier" if unique and _counts_rows(column) else "number"
    if _are_dates(present):
        return "datetime"
    return _kind_of_words(column, texts(present), unique)


def _holds_images(column: pl.Series) -> bool:
    """Whether cells are arrays of pixels: a height and a width, of bytes, or colours too."""
    if not isinstance(column.dtype, pl.Array):
        return False
    shape = column.dtype.shape
    return len(shape) == 3 or (column.dtype == pl.Array(pl.UInt8, shape) and len(shape) == 2)


def _is_yes_or_no(present: pl.Series, distinct: int) -> bool:
    if distinct > 2 or present.dtype.is_float():
        return False
    words = set(texts(present).str.to_lowercase().unique().to_list())
    return any(words <= pair for pair in YES_OR_NO) and len(words) == distinct


def _are_numbers(present: pl.Series) -> bool:
    return floats(present).null_count() == 0


def _are_dates(present: pl.Series) -> bool:
    return not (datetimes(present.head(100)).null_count() or datetimes(present).null_count())


def _counts_rows(column: pl.Series) -> bool:
    """Whether unique numbers are whole and count rows, or are named like a key."""
    values = numbers(column)
    if column.dtype == pl.String and texts(column).str.contains(r"[.eE]").any():
        return False
    if column.dtype.is_float() or values.null_count() or (values % 1 != 0).any():
        return False
    if _TIME_NAME.search(column.name):
        return False
    span = float(values.max()) - float(values.min())  # type: ignore[arg-type]
    return span == len(column) - 1 or _KEY_NAME.search(column.name) is not None


def _kind_of_words(column: pl.Series, words: pl.Series, unique: bool) -> Kind:
    num_words = words.str.count_matches(r"\s+").mean() or 0
    long = float(num_words) >= 2 and float(words.str.len_chars().mean() or 0) >= 20  # type: ignore[arg-type]
    if long and words.n_unique() > 0.5 * len(words):
        return "text"
    return "identifier" if unique else "category"


def _notice(column: pl.Series, kind: Kind) -> None:
    reasons = {
        "empty": "dropped: every cell is missing",
        "constant": "dropped: it has one value only",
        "identifier": "dropped: it numbers or names the rows",
    }
    if kind in reasons:
        logger.warning("column %r is %s", column.name, reasons[kind])
    if is_nested(column) and kind not in ("image", "sequence", "words"):
        logger.warning("column %r is left aside: its cells are no single values", column.name)
    elif kind == "text":
        logger.info("column %r is free text", column.name)
    infinite = num_infinite(column) if kind == "number" else 0
    if infinite:
        logger.warning("column %r: %d infinite cells are taken as missing", column.name, infinite)
    if kind == "datetime" and is_ambiguous_date(column):
        logger.warning(
            "column %r: days and months cannot be told apart: read as day/month/year", column.name
        )
    if kind == "category" and column.dtype == pl.String:
        words = texts(column).drop_nulls()
        odd = words.filter(words.cast(pl.Float64, strict=False).is_null())
        if 0 < len(odd) < 0.5 * len(words):
            logger.warning(
                "column %r mixes numbers and words, such as %r: it is taken as a category",
                column.name,
                odd[0],
            )


def check_target(
    frame: pl.DataFrame, targets: Sequence[str], task: str | None, *, varied: bool = True
) -> pl.DataFrame:
    """The rows whose targets are known.

    Args:
        frame: All columns.
        targets: The target columns.
        task: The task, where it is decided.
        varied: Whether each target must have more than one value.

    Returns:
        The table without rows in which a target is missing, which is noticed.

    Raises:
        InputError: If a target is absent, named twice, constant or infinite, or too few rows
            are left.

    Example:
        >>> check_target(pl.DataFrame({"y": ["1", "?", "2"]}), ["y"], None).height
        2
    """
    check_target_names(frame.columns, targets)
    for name in targets:
        if task is not None or not _is_labels(frame, name):
            check_finite(frame[name], task)
    gone = (
        pl.Series([False]).new_from_index(0, frame.height)
        if frame.height
        else pl.Series([], dtype=pl.Boolean)
    )
    for name in targets:
        gone = gone | (blank(frame[name]) if task == "translation" else missing(frame[name]))
    if gone.any():
        logger.warning("%d rows without a target are left out", int(gone.sum()))
        frame = frame.filter(~gone)
    needed = 2 if varied else 1
    if frame.height < needed:
        raise InputError(
            f"there are too few rows{' with a target' if targets else ''}: {frame.height}",
            expected=f"at least {needed}",
            got=str(frame.height),
            do="add rows, or check that the target is the right column" if targets else "add rows",
        )
    for name in targets if varied else ():
        column = frame[name]
        values = texts(flat(listed(column)) if task == "tagging" or is_list(column) else column)
        if values.n_unique() < 2:
            raise InputError(
                f"the target {name!r} has one value only",
                expected="at least two values, so that there is something to learn",
                got=repr(frame[name][0]),
                do="check that this is the right column",
            )
    return frame


def check_target_names(columns: Sequence[str], targets: Sequence[str]) -> None:
    """Refuse targets that are no columns, or named twice.

    Raises:
        InputError: If so.

    Example:
        >>> check_target_names(["x", "y"], ["y"])
    """
    if len(set(targets)) != len(targets):
        raise InputError("a target is named twice", got=", ".join(targets), do="name each once")
    for name in targets:
        if name not in columns:
            near = suggest(name, columns)
            raise InputError(
                f"the target {name!r} is not in the data",
                expected=f"one of {', '.join(columns[:30])}",
                got=repr(name),
                do=f"did you mean {near!r}?" if near else "name one of the columns",
            )


def check_finite(column: pl.Series, task: str | None, first: int = 0) -> None:
    """Refuse a target that is infinite in a row, or whose cells are no single values.

    Args:
        column: The target, or a part of it.
        task: The task, where it is decided.
        first: Number of the first row, from 0.

    Raises:
        InputError: If so.

    Example:
        >>> check_finite(pl.Series("y", [1.0, 2.0]), "regression")
    """
    if is_word_list(column) if task is None else is_list(column) and task == "tagging":
        return
    if is_nested(column):
        raise InputError(
            f"the target {column.name!r} cannot be learnt",
            expected="a column of numbers, words or yes/no, or lists of words or whole numbers",
            got=f"cells of the type {column.dtype}",
            do="take another column, or write this one as text or numbers",
        )
    by_class = ("classification", "multilabel", "embedding", "translation", "tagging")
    if task in by_class and column.dtype == pl.String:
        return
    values = floats(column)
    if values.is_infinite().any():
        row = int(values.is_infinite().arg_max() or 0)
        raise InputError(
            f"the target {column.name!r} is infinite in row {first + row + 1}",
            expected="finite numbers",
            got=str(column[row]),
            do="mend or drop these rows",
        )


def infer_task(frame: pl.DataFrame, targets: Sequence[str]) -> str:
    """The task that the targets suggest.

    Args:
        frame: Rows whose targets are all known.
        targets: The target columns.

    Returns:
        ``classification``, ``multilabel``, ``regression``, or ``tagging`` for lists of words, and
        for lists of whole numbers beside other lists.

    Raises:
        InputError: If several targets are neither all yes-or-no nor all numbers.

    Example:
        >>> infer_task(pl.DataFrame({"y": ["a", "b"]}), ["y"])
        'classification'
    """
    columns = [frame[name] for name in targets]
    if len(columns) == 1 and _is_labels(frame, targets[0]):
        logger.info("task: 'tagging', as %r has lists of labels", targets[0])
        return "tagging"
    if len(columns) == 1:
        name = _task_of_one(columns[0])
        logger.info("task: %s, by the values of %r (another with --task)", name, targets[0])
        return name
    if all(_is_yes_or_no(texts(c), c.n_unique()) or c.dtype == pl.Boolean for c in columns):
        return "multilabel"
    if all(numbers(column).null_count() == 0 for column in columns):
        return "regression"
    raise InputError(
        "the targets do not make one task",
        expected="several yes-or-no columns, or several columns of numbers",
        got=", ".join(targets),
        do="name one target, or say which task with --task",
    )


def _is_labels(frame: pl.DataFrame, target: str) -> bool:
    """Whether a target is lists of labels: of words, or of whole numbers beside other lists."""
    beside = [dtype for name, dtype in frame.schema.items() if name != target]
    there = any(isinstance(dtype, (pl.List, pl.Array)) for dtype in beside)
    return is_word_list(frame[target]) or (there and is_list(frame[target]))


def _task_of_one(column: pl.Series) -> str:
    values = numbers(column)
    is_named = isinstance(column.dtype, (pl.Boolean, pl.Categorical, pl.Enum))
    if is_named or values.null_count():
        return "classification"
    distinct = column.n_unique()
    whole = bool((values % 1 == 0).all())
    few = distinct == 2 or (distinct <= 20 and len(column) >= 3 * distinct)
    return "classification" if whole and few else "regression"
