"""A quick model of a table, and what it says of rows that it was not shown."""

from __future__ import annotations

from typing import Any

import numpy as np

from glial.data.quality.sheet import Floats, Sheet
from glial.data.splits import Rows, folds

NUM_FOLDS = 5
MIN_ROWS = 30
MANY_ROWS, MOST_ROWS = 5_000, 50_000
WIDE = 200  # columns times classes from which gradient boosting is slow


def design(sheet: Sheet) -> Floats:
    """The inputs as numbers for trees, [row, column]; not-a-number where missing.

    A category becomes the rank of its value by frequency, the commonest 0.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"a": ["p", "q", "q", None], "y": ["u", "v", "u", "v"]})
        >>> sheet = Sheet.of([frame], ["y"], {"a": "category"}, "classification")
        >>> design(sheet).tolist()
        [[1.0], [0.0], [0.0], [nan]]
    """
    return np.stack([_column(sheet, name) for name in sheet.usable], axis=1)


def _column(sheet: Sheet, name: str) -> Floats:
    if sheet.is_number(name):
        return within_one(sheet.floats(name))
    codes = sheet.codes(name)
    counts = np.bincount(codes[codes >= 0], minlength=1)
    order = np.empty(len(counts))
    order[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.where(codes >= 0, order[codes], np.nan)


def within_one(values: Floats) -> Floats:
    """Numbers moved and shrunk into [-1, 1], their median at 0, so that 32 bits can hold them.

    Example:
        >>> within_one(np.array([1e300, 3e300, float("nan"), 2e300])).round(9).tolist()
        [-1.0, 1.0, nan, 0.0]
    """
    if not np.isfinite(values).any():
        return values
    values = values / max(float(np.nanmax(np.abs(values))), 1e-300)
    values = values - np.nanmedian(values)
    return np.asarray(values / max(float(np.nanmax(np.abs(values))), 1e-300), dtype=np.float64)


def out_of_fold(sheet: Sheet, target: Any, seed: int) -> Floats | None:
    """What a quick model says of each row, having learnt from the other folds.

    Args:
        sheet: The rows.
        target: Codes of classes, or numbers, [row].
        seed: Seed of the folds and of the model.

    Returns:
        Probabilities [row, class], or numbers [row, 1]; None where there are fewer than thirty
        rows, or not two classes with a row for each fold.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"a": np.arange(60.0), "y": np.arange(60.0)})
        >>> sheet = Sheet.of([frame], ["y"], {"a": "number"}, "regression")
        >>> out_of_fold(sheet, np.arange(60.0), 0).shape
        (60, 1)
    """
    classes = target.dtype.kind == "i"
    sizes = np.bincount(target) if classes else np.array([], dtype=np.int64)
    if len(target) < MIN_ROWS or (classes and (sizes >= NUM_FOLDS).sum() < 2):
        return None
    inputs = design(sheet)
    found = np.zeros((len(target), len(sizes) if classes else 1))
    method = "stratified" if classes else "random"
    labels: Rows | None = target if classes else None
    for fitted, held in folds(len(target), NUM_FOLDS, method=method, labels=labels, seed=seed):
        model = _model(len(target), inputs.shape[1], classes, seed).fit(
            inputs[fitted], target[fitted]
        )
        if classes:
            found[np.ix_(held, model.classes_)] = model.predict_proba(inputs[held])
        else:
            found[held, 0] = model.predict(inputs[held])
    return found


def other_half(sheet: Sheet, labels: Rows, seed: int) -> tuple[Rows, Floats] | None:
    """What a quick model that has learnt from one half of the rows says of the other.

    Of rows that no part of the model depends on, so that tests which take rows for independent
    hold; those of several folds are not.

    Args:
        sheet: The rows.
        labels: Codes of classes, [row].
        seed: Seed of the halves and of the model.

    Returns:
        The rows of the other half, and probabilities, [row of it, class]; None where there are
        fewer than thirty rows, or not two classes with two rows each.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"a": np.arange(60.0)})
        >>> sheet = Sheet.of([frame], [], {"a": "number"}, "")
        >>> rows, shares = other_half(sheet, np.arange(60) % 2, 0)
        >>> rows.shape, shares.shape
        ((30,), (30, 2))
    """
    sizes = np.bincount(labels)
    if len(labels) < MIN_ROWS or (sizes >= 2).sum() < 2:
        return None
    inputs = design(sheet)
    fitted, held = next(folds(len(labels), 2, method="stratified", labels=labels, seed=seed))
    model = _model(len(labels), inputs.shape[1], True, seed).fit(inputs[fitted], labels[fitted])
    found = np.zeros((len(held), len(sizes)))
    found[:, model.classes_] = model.predict_proba(inputs[held])
    return held, found


def affordable(sheet: Sheet) -> int:
    """How many rows are judged in some seconds: 50,000, or 5,000 of wide tables or many classes.

    Example:
        >>> import polars as pl
        >>> sheet = Sheet.of([pl.DataFrame({"a": [1.0], "y": ["u"]})], ["y"], {"a": "number"}, "")
        >>> affordable(sheet)
        50000
    """
    words = [len(sheet.words(name)) for name in sheet.targets if not sheet.is_number(name)]
    wide = len(sheet.usable) * max(words, default=1) > WIDE
    return MANY_ROWS if wide else MOST_ROWS


def _model(num_rows: int, num_columns: int, classes: bool, seed: int) -> Any:
    from sklearn import ensemble

    state = seed % 2**32
    if num_rows > MANY_ROWS:
        kind = (
            ensemble.HistGradientBoostingClassifier
            if classes
            else ensemble.HistGradientBoostingRegressor
        )
        return kind(max_iter=60, random_state=state)
    kind = ensemble.ExtraTreesClassifier if classes else ensemble.ExtraTreesRegressor
    tried = "sqrt" if classes or num_columns > WIDE else 1.0
    return kind(100, min_samples_leaf=3, max_features=tried, random_state=state)
