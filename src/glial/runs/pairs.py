"""Pairs of texts, one of which is to be written from the other: read, checked and split."""

from __future__ import annotations

import logging
from typing import Any

import polars as pl

from glial.core.errors import InputError
from glial.data import infer_kind, read_source
from glial.data.columns import check_target_names
from glial.runs.plan import Plan
from glial.runs.rows import Tables, read_rows, read_tables, targets_of
from glial.tasks.translation import sentences

logger = logging.getLogger(__name__)


def read_pairs(plan: Plan, source: Any) -> tuple[Plan, Tables, str]:
    """The pairs of texts of each split, and the column that is read.

    Rows that are to be translated from the same text stay in one split, so that what is judged was
    not learnt by heart, unless the plan says how rows are split.

    Args:
        plan: What was asked for.
        source: A source in memory, where the plan names none.

    Returns:
        The plan with what was decided, the tables, and the name of the column.

    Raises:
        InputError: If there is not one text beside the target, or it says the same.
    """
    found = read_source(plan.data.source if source is None else source)
    plan = _changed(plan, target=plan.data.target or found.target)
    targets = targets_of(plan)
    check_target_names(found.frame.columns, targets)
    column = source_column(plan, found.frame)
    check_pairs(found.frame, column, targets[0])
    plan = _changed(plan, types={**plan.data.types, column: "text"})
    rows = read_rows(plan, found)
    asked = plan.data.split
    alone = asked.group is None and asked.time is None and asked.method == "auto"
    split = asked.model_copy(update={"group": column} if alone else {})
    plan, tables, _ = read_tables(_changed(plan, split=split), rows)
    return _changed(plan, split=asked), tables, column


def _changed(plan: Plan, **data: Any) -> Plan:
    return plan.model_copy(update={"data": plan.data.model_copy(update=data)})


def source_column(plan: Plan, frame: pl.DataFrame) -> str:
    """The one column of texts beside the target.

    Of several the one that the plan's ``data.types`` calls a text, or that looks like one.

    Args:
        plan: Names the target, and columns of other use.
        frame: The rows.

    Raises:
        InputError: If there is none, or which is meant cannot be told.

    Example:
        >>> frame = pl.DataFrame({"en": ["a b", "c d"], "fr": ["e f", "g h"], "id": [1, 2]})
        >>> source_column(Plan.from_values({"data": {"target": "fr"}}), frame)
        'en'
    """
    data = plan.data
    aside = {*targets_of(plan), data.weight, data.split.group, data.split.time}
    kinds = {name: data.types.get(name) for name in frame.columns if name not in aside}
    words = [name for name, kind in kinds.items() if kind != "identifier" and _is_text(frame[name])]
    found = [name for name in words if kinds[name] == "text"] or words
    if len(found) > 1:
        found = [name for name in found if infer_kind(frame[name]) == "text"]
    if len(found) != 1:
        raise InputError(
            "there is not one column of texts to translate from",
            expected="one column of texts beside the target",
            got=", ".join(words) or "none",
            do="name it with --set data.types.COLUMN=text, or leave others out with "
            "--set data.types.COLUMN=identifier",
        )
    others = [name for name in kinds if name != found[0]]
    if others:
        logger.info("translated from %r; left out: %s", found[0], ", ".join(others))
    return found[0]


def _is_text(column: pl.Series) -> bool:
    return isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum))


def check_pairs(frame: pl.DataFrame, source: str, target: str) -> None:
    """Refuse texts that are no texts, or are the same on both sides.

    Args:
        frame: The rows.
        source: The column that is read.
        target: The column that is written.

    Raises:
        InputError: If so.

    Example:
        >>> check_pairs(pl.DataFrame({"en": ["a"], "fr": ["b"]}), "en", "fr")
    """
    if not _is_text(frame[target]):
        raise InputError(
            f"the target {target!r} is no text",
            expected="a column of texts",
            got=f"cells of the type {frame[target].dtype}",
            do="name the column of texts with --target",
        )
    if sentences(frame[source]) == sentences(frame[target]):
        raise InputError(
            f"the columns {source!r} and {target!r} say the same in every row",
            expected="texts and their translations",
            got="equal columns",
            do="check that these are the right columns",
        )
