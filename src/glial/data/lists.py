"""Columns whose cells are lists: words of a sentence, and a label for each of them."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from glial.core.errors import InputError
from glial.data.sequences import as_lists, holds_sequences
from glial.data.settings import Kind

_LETTERS = r"[\p{L}\p{M}\p{N}_]+"
_WORD = rf"https?://\S+|[@#]?{_LETTERS}(?:[-'’.,:&/]{_LETTERS})*|[^\s\p{{C}}]"
_SINGLE = (pl.String, pl.Boolean, pl.Categorical, pl.Enum)


def is_list(column: pl.Series) -> bool:
    """Whether cells are lists of words, whole numbers or yes/no.

    Example:
        >>> is_list(pl.Series([["a"], []])), is_list(pl.Series([[1.5]]))
        (True, False)
    """
    if not isinstance(column.dtype, pl.List):
        return False
    inner = column.dtype.inner
    return isinstance(inner, _SINGLE) or inner in _SINGLE or inner.is_integer()


def is_word_list(column: pl.Series) -> bool:
    """Whether cells are lists of words.

    Example:
        >>> is_word_list(pl.Series([["a"], []])), is_word_list(pl.Series([[1]]))
        (True, False)
    """
    return is_list(column) and not flat(column.head(0)).dtype.is_integer()


def listed(column: pl.Series) -> pl.Series:
    """The cells as lists; text is split at blanks, and a missing cell is an empty list.

    Args:
        column: Lists, or text.

    Example:
        >>> listed(pl.Series(["Visit New  York", None])).to_list()
        [['Visit', 'New', 'York'], []]
    """
    if isinstance(column.dtype, pl.List):
        return column.fill_null([])
    return column.cast(pl.String).fill_null("").str.extract_all(r"\S+")


def flat(lists: pl.Series) -> pl.Series:
    """The items of all lists, one after the other.

    Example:
        >>> flat(pl.Series([["a", "b"], [], ["c"]])).to_list()
        ['a', 'b', 'c']
    """
    return lists.filter(lists.list.len() > 0).explode()


def num_steps(column: pl.Series) -> pl.Series:
    """How many steps each cell of a column of sequences has; none where it is missing.

    Example:
        >>> num_steps(pl.Series(["[1, 2]", None])).to_list()
        [2, 0]
    """
    return as_lists(column).list.len().fill_null(0)


def check_same_lengths(words: pl.Series, labels: pl.Series, *, steps: bool = False) -> None:
    """Refuse rows that do not have a label for each word, or for each step.

    A step may be without a label, which is then null; a word may not.

    Args:
        words: Lists, or text; or sequences of numbers.
        labels: Lists, or text.
        steps: Whether these are sequences of numbers.

    Raises:
        InputError: If so; the message names the first such row.

    Example:
        >>> check_same_lengths(pl.Series([["a", "b"]]), pl.Series(["B-x O"]))
    """
    one = "step" if steps else "word"
    tags = listed(labels)
    counts = [num_steps(words) if steps else listed(words).list.len(), tags.list.len()]
    odd = (counts[0] != counts[1]).arg_true()
    if len(odd):
        row = int(odd[0])
        lists = "write words and labels as lists, or as text with one blank between two of them"
        null = "give each step its label, null where it has none, or leave the column out with "
        raise InputError(
            f"{one}s and labels do not match in row {row + 1}",
            expected=f"a label in {labels.name!r} for each {one} in {words.name!r}",
            got=f"{counts[0][row]} {one}s and {counts[1][row]} labels (rows like it: {len(odd)})",
            do=f"{null}--set data.types.{words.name}=identifier" if steps else lists,
        )
    bare = tags.list.eval(pl.element().is_null()).list.any().arg_true()
    if len(bare) and not steps:
        raise InputError(
            f"a word has no label in row {int(bare[0]) + 1}",
            expected=f"a label in {labels.name!r} for each word in {words.name!r}",
            got=f"null (rows like it: {len(bare)})",
            do="label these words, or leave the rows out",
        )


def find_words(frame: pl.DataFrame, target: str, types: Mapping[str, str]) -> str:
    """The column of words that a target labels one by one.

    Args:
        frame: The target and the columns beside it.
        target: The column of labels.
        types: Kinds of columns that the user has decided; one may be ``words``.

    Returns:
        The column that has as many words as labels in every row; of several, the one of the most
        distinct words.

    Raises:
        InputError: If there is none.

    Example:
        >>> frame = pl.DataFrame({"id": ["1"], "text": ["in Paris"], "tags": ["O B-place"]})
        >>> find_words(frame, "tags", {})
        'text'
    """
    said = [name for name, kind in types.items() if kind == "words" and name in frame.columns]
    columns = [frame[name] for name in said or frame.columns if name != target]
    found = [column for column in columns if column.dtype == pl.String or is_list(column)]
    counts = listed(frame[target]).list.len()
    fitting = [column for column in found if (listed(column).list.len() == counts).all()]
    if fitting:
        return max(fitting, key=lambda column: flat(listed(column)).n_unique()).name
    if found:
        check_same_lengths(_nearest(found, counts), frame[target])
    raise InputError(
        f"there are no words for the labels in {target!r}",
        expected="a column of lists of words or of numbers, or of text with blanks between words",
        got=", ".join(f"{c.name}: {c.dtype}" for c in columns[:10]) or "no other column",
        do="add the words, or name their column with --set data.types.COLUMN=words",
    )


def find_labelled(frame: pl.DataFrame, target: str, types: Mapping[str, Kind]) -> dict[str, Kind]:
    """The columns whose words or steps a target labels one by one, and their kind.

    Args:
        frame: The target and the columns beside it.
        target: The column of labels.
        types: Kinds of columns that the user has decided.

    Returns:
        One column of ``words`` where one has as many as there are labels; else all of kind
        ``sequence``.

    Raises:
        InputError: If there is neither, or the labels are text that spells a list.

    Example:
        >>> frame = pl.DataFrame({"pulse": [[61.0, 90.0]], "state": [["calm", "ill"]]})
        >>> find_labelled(frame, "state", {})
        {'pulse': 'sequence'}
    """
    if frame[target].dtype == pl.String and holds_sequences(frame[target]):
        raise InputError(
            f"the labels in {target!r} are text that spells lists",
            expected="lists of labels, or text with blanks between its labels",
            got=repr(frame[target].drop_nulls()[0])[:80],
            do="write lists, in parquet or JSON lines, or leave out brackets and commas",
        )
    beside = frame.drop(target)
    steps = [
        column.name
        for column in beside.iter_columns()
        if types.get(column.name) == "sequence"
        or (column.name not in types and holds_sequences(column))
    ]
    counts = listed(frame[target]).list.len()
    others = [
        beside[name]
        for name in beside.columns
        if name not in steps and types.get(name, "words") == "words"
    ]
    worded = any(
        types.get(column.name) == "words"
        or (
            (column.dtype == pl.String or is_list(column))
            and (listed(column).list.len() == counts).all()
        )
        for column in others
    )
    if steps and not worded:
        return dict.fromkeys(steps, "sequence")
    return {find_words(frame.drop(steps), target, types): "words"}


def _nearest(columns: list[pl.Series], counts: pl.Series) -> pl.Series:
    """The column with the right number of words in the most rows."""
    return max(columns, key=lambda column: int((listed(column).list.len() == counts).sum()))


def split_words(column: pl.Series) -> pl.Series:
    """The words of plain text as they are spelt, each mark of punctuation apart.

    Words are runs of letters, digits and marks, with ``'``, ``-``, ``.`` and the like inside them,
    and with ``@`` or ``#`` before them; addresses of the web are one word.

    Args:
        column: Text.

    Example:
        >>> split_words(pl.Series(["I'm in St. Gallen, @ann: 12.30!"])).to_list()
        [["I'm", 'in', 'St', '.', 'Gallen', ',', '@ann', ':', '12.30', '!']]
    """
    return column.cast(pl.String).fill_null("").str.extract_all(_WORD)
