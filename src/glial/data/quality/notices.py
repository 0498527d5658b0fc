"""The cheap part of the report, which every training looks at and logs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from glial.data.quality.duplicates import describe_crossing, find_duplicates
from glial.data.quality.leaks import find_giveaways
from glial.data.quality.sheet import Sheet
from glial.data.settings import Kind

logger = logging.getLogger(__name__)
NUM_ROWS = 2_000
# A table of very many columns is judged on fewer rows, so that this stays a matter of a second.
NUM_CELLS = 400_000
LEAST_ROWS = 300


def notice_leaks(
    train: pl.DataFrame,
    val: pl.DataFrame,
    test: pl.DataFrame,
    targets: Sequence[str],
    kinds: Mapping[str, Kind],
    task: str,
) -> None:
    """Warn in the log of rows that several splits have, and of columns that give a target away.

    Args:
        train: The rows to train on; columns are judged on at most 2,000 of them.
        val: The rows to validate with.
        test: The rows to test with.
        targets: The columns to be predicted.
        kinds: Kind of each input column.
        task: ``classification``, ``multilabel`` or ``regression``.

    Example:
        >>> frame = pl.DataFrame({"a": range(40), "b": [0.5] * 40, "y": range(40)})
        >>> kinds = {"a": "number", "b": "number"}
        >>> notice_leaks(frame, frame[:0], frame[:0], ["y"], kinds, "regression")
    """
    parts = [train, val, test]
    common = set(train.columns).intersection(val.columns, test.columns)
    shared = {name: kind for name, kind in kinds.items() if name in common}
    sheet = Sheet.of(parts, targets, shared, task)
    found = find_duplicates(sheet)
    if found.crossing and 2 * found.distinct > sheet.frame.height:
        logger.warning(
            "%s are equal in all inputs to rows of an earlier split: the result may look better "
            "than it is (glial inspect SOURCE names them)",
            describe_crossing(found, sheet.split),
        )
    trained = sheet.only(np.flatnonzero(sheet.split == 0))
    num_rows = min(NUM_ROWS, max(LEAST_ROWS, NUM_CELLS // max(1, len(shared))))
    for giveaway in find_giveaways(trained, num_rows=num_rows, num_folds=3):
        logger.warning(
            "column %r alone predicts %r nearly perfectly (%.3f of the way from the trivial to "
            "the perfect answer): leave it out if it is not known when a prediction is needed",
            giveaway.column,
            giveaway.target,
            giveaway.score,
        )
