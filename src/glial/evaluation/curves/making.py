"""Curves over trainings: scores against the number of rows, or against one key of the plan."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glial.core.errors import InputError
from glial.core.files import make_folder
from glial.evaluation.curves.curve import ROWS, Curve, CurveInterrupted, Point
from glial.evaluation.curves.trainings import RowNumbers, Trainings, changes_of, deciding_metric

logger = logging.getLogger(__name__)

SIZES, LEAST_ROWS, LEAST_SHARE = 6, 20, 0.02


def learning_curve(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    sizes: Sequence[int] | None = None,
    repeats: int = 3,
    metric: str | None = None,
    set: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
) -> Curve:
    """How good networks are that learn from ever more rows, judged by the same other rows.

    Smaller sets of rows are parts of larger ones, with the classes' shares of all; another
    repetition draws others and starts from other weights.

    Args:
        source: As for :func:`glial.train`: rows, or a plan.
        target: The column to predict, or several.
        sizes: Numbers of rows; by default six, evenly spaced on a log scale, up to all.
        repeats: Trainings for each size.
        metric: What the curve is about; by default the log loss or the root mean squared error.
        set: Dotted keys of the plan and their values.
        out: A folder for the trainings and the curve: what is finished there is not trained
            again. None keeps nothing.

    Raises:
        InputError: If a training would be refused, or a size is not there.
        CurveInterrupted: If Ctrl-C ended it; what is done is in its ``curve``.

    Source:
        Cortes, Jackel, Solla, Vapnik and Denker 1993.

    Example:
        >>> asked = {"model.name": "linear", "train.epochs": 2}
        >>> curve = learning_curve("iris", sizes=[20, 60], repeats=1, set=asked)
        >>> [row["value"] for row in curve.table()]
        [20, 60]
    """
    trainings = Trainings.of(source, changes_of(target, set))
    wanted = _checked_sizes(trainings, sizes)
    orders = [trainings.order(repeat) for repeat in range(1, _checked(repeats) + 1)]
    seed = trainings.plan.train.seed
    asked = [
        _Asked(
            size, repeat, orders[repeat - 1][:size], {}, seed + repeat - 1, f"rows-{size}-{repeat}"
        )
        for repeat in range(1, repeats + 1)
        for size in wanted
    ]
    return _traced(trainings, ROWS, list(wanted), asked, metric, out)


def validation_curve(
    source: Any,
    over: str,
    values: Sequence[Any],
    target: str | Sequence[str] | None = None,
    *,
    repeats: int = 1,
    metric: str | None = None,
    set: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
) -> Curve:
    """How good networks are for each value of a key of the plan, on training and other rows.

    Args:
        source: As for :func:`learning_curve`.
        over: The dotted key, such as ``train.lr``.
        values: Its values, in order.
        target: The column to predict, or several.
        repeats: Trainings for each value, from other weights.
        metric: As for :func:`learning_curve`.
        set: Other keys of the plan and their values.
        out: As for :func:`learning_curve`.

    Raises:
        InputError: If a training would be refused, or the key cannot have a value.
        CurveInterrupted: If Ctrl-C ended it.

    Example:
        >>> asked = {"model.name": "linear", "train.epochs": 2}
        >>> curve = validation_curve("iris", "train.lr", [1e-4, 1e-2], set=asked)
        >>> curve.best, curve.verdict(1e-4)
        (0.01, 'underfits')
    """
    if not values:
        raise InputError(
            f"there are no values of {over}",
            expected="one value or more",
            got="none",
            do=f"name them: --over {over} --values A,B,C",
        )
    trainings = Trainings.of(source, changes_of(target, set))
    for value in values:
        trainings.asked({over: value})
    seed, every = trainings.plan.train.seed, np.arange(trainings.num_rows)
    asked = [
        _Asked(value, repeat, every, {over: value}, seed + repeat - 1, f"{over}-{place}-{repeat}")
        for repeat in range(1, _checked(repeats) + 1)
        for place, value in enumerate(values, 1)
    ]
    return _traced(trainings, over, list(values), asked, metric, out)


@dataclass(frozen=True)
class _Asked:
    """A training of a curve, before it is done."""

    value: Any
    repeat: int
    rows: RowNumbers
    changes: dict[str, Any]
    seed: int
    name: str


def _checked(repeats: int) -> int:
    if repeats < 1:
        raise InputError(
            "there is nothing to train", expected="repeats of 1 or more", got=str(repeats)
        )
    return repeats


def _checked_sizes(trainings: Trainings, sizes: Sequence[int] | None) -> list[int]:
    most = trainings.num_rows
    if sizes is None:
        labels = trainings.labels
        classes = 1 if labels is None else len(np.unique(labels))
        least = min(max(LEAST_ROWS, 10 * classes, round(LEAST_SHARE * most)), max(2, most // 2))
        return sorted({int(n) for n in np.geomspace(least, most, SIZES).round()})
    wrong = [size for size in sizes if not 1 <= size <= most]
    if wrong or not sizes:
        raise InputError(
            "these numbers of rows cannot be trained on",
            expected=f"from 1 to {most}, the rows to train on",
            got=", ".join(map(str, sizes)) or "none",
            do="leave --values out for sizes that suit",
        )
    return sorted(dict.fromkeys(int(size) for size in sizes))


def _traced(
    trainings: Trainings,
    over: str,
    values: list[Any],
    asked: Sequence[_Asked],
    metric: str | None,
    out: str | Path | None,
) -> Curve:
    """Do the trainings one after the other; what is done is kept whatever happens."""
    folder = None if out is None else Path(out)
    if folder is not None:
        make_folder(folder)
    curve = Curve(over, metric or "", values)
    try:
        for point in _points(trainings, asked, folder):
            curve.metric = deciding_metric(trainings.task, metric, point.scores["train"])
            curve.points.append(point)
            if folder is not None:
                curve.write(folder)
    except KeyboardInterrupt as stopped:
        raise CurveInterrupted(curve) from stopped
    return curve


def _points(trainings: Trainings, asked: Sequence[_Asked], folder: Path | None) -> Iterator[Point]:
    for number, one in enumerate(asked, 1):
        logger.info("training %d of %d: %s", number, len(asked), one.name)
        place = None if folder is None else folder / "trainings" / one.name
        run = trainings.train(one.rows, one.changes, seed=one.seed, place=place)
        scores = trainings.scores(run, one.rows)
        yield Point(one.value, one.repeat, len(one.rows), run.epochs, run.seconds, scores)
