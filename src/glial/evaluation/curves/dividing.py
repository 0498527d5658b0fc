"""Trainings on other rows again and again: how much of the error is bias, how much variance."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from glial.charts import Line, line_chart, standalone
from glial.core.errors import InputError
from glial.core.files import make_folder, to_json, write_atomic
from glial.core.seeds import numpy_generator
from glial.data.cells import floats
from glial.evaluation.curves.decomposition import (
    Decomposition,
    squared_decomposition,
    zero_one_decomposition,
)
from glial.evaluation.curves.trainings import RowNumbers, Trainings, changes_of
from glial.runs import Run
from glial.runs.rows import targets_of
from glial.tasks.labels import Labels

logger = logging.getLogger(__name__)

Way = Literal["bootstrap", "parts"]
PARTS = ("error", "bias", "variance", "noise")
MENDS = {
    "bias": "more capacity, better columns, longer training or less regularisation",
    "variance": "more rows, more regularisation, less capacity, or the average of several networks",
    "noise": "nothing but better columns or cleaner targets",
}


@dataclass
class BiasVariance:
    """Errors divided, for each value of a key or once.

    Attributes:
        over: The key of the plan; None where nothing is varied.
        values: Its values, or one None.
        parts: The division at each value.

    Example:
        >>> found = BiasVariance(None, [None], [Decomposition("squared", 3, 1, 2, 0, None, 9)])
        >>> found.sentences()[0]
        'mostly variance: more rows, more regularisation, less capacity, or the average of ...'
    """

    over: str | None
    values: list[Any]
    parts: list[Decomposition] = field(default_factory=list)

    def table(self) -> list[dict[str, Any]]:
        """A row for each value."""
        pairs = zip(self.values, self.parts, strict=False)
        return [{"value": value, **part.to_dict()} for value, part in pairs]

    def sentences(self) -> list[str]:
        """What is the larger part, and what would mend it."""
        told = []
        for value, part in zip(self.values, self.parts, strict=False):
            where = "" if self.over is None else f"{self.over}={value}: "
            told.append(f"{where}mostly {part.dominant}: {MENDS[part.dominant]}")
        return told

    def to_dict(self) -> dict[str, Any]:
        """The divisions as JSON."""
        return {"over": self.over, "bias_variance": self.table(), "says": self.sentences()}

    def csv(self) -> str:
        """The table as CSV text."""
        rows = [row | {"value": str(row["value"])} for row in self.table()]
        return pl.DataFrame(rows, schema_overrides={"spread": pl.Float64}).write_csv()

    def svg(self) -> str:
        """Error, bias, variance and noise as lines over the values."""
        table = self.table()
        values = [row["value"] for row in table]
        lines = [Line(name, values, [row[name] for row in table], points=True) for name in PARTS]
        title = "squared error" if table and table[0]["loss"] == "squared" else "share of errors"
        chart = line_chart(lines, title=title, x_title=self.over or "", log_x=None)
        return standalone(chart)

    def write(self, folder: Path) -> None:
        """Write ``curve.json``, ``curve.csv`` and ``curve.svg``.

        Args:
            folder: Where.
        """
        write_atomic(folder / "curve.json", to_json(self.to_dict()))
        write_atomic(folder / "curve.csv", self.csv())
        write_atomic(folder / "curve.svg", self.svg())


def bias_variance(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    over: str | None = None,
    values: Sequence[Any] | None = None,
    way: Way = "bootstrap",
    repeats: int = 10,
    truth: str | None = None,
    set: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
) -> BiasVariance:
    """Train on other rows again and again, and divide the error on rows that none has seen.

    Args:
        source: As for :func:`glial.train`: rows, or a plan.
        target: The column to predict, or several.
        over: A key of the plan; None trains by the plan as it is.
        values: Its values.
        way: ``bootstrap`` draws as many training rows as there are, with replacement; ``parts``
            gives each training a part of its own, which is what the theory is about, with as
            many times fewer rows.
        repeats: Trainings for each value.
        truth: A column with the target as it is without noise, which no network is shown; the
            noise is then told apart from bias.
        set: Other keys of the plan and their values.
        out: A folder for the trainings, the table and the picture; as for
            :func:`glial.evaluation.learning_curve`.

    Returns:
        Squared errors (in the target's units) of numbers, 0-1 errors of classes.

    Raises:
        InputError: If a training would be refused, or the task is neither.

    Source:
        Geman, Bienenstock and Doursat 1992; Domingos 2000.

    Example:
        >>> asked = {"model.name": "linear", "train.epochs": 2}
        >>> found = bias_variance("iris", repeats=2, set=asked)
        >>> part = found.parts[0]
        >>> bool(np.isclose(part.error, part.bias + part.variance + part.noise))
        True
    """
    if repeats < 2 or way not in ("bootstrap", "parts"):
        raise InputError(
            "nothing can be divided",
            expected="two trainings or more, by way of bootstrap or parts",
            got=f"{repeats} trainings by way of {way}",
        )
    if over is not None and not values:
        raise InputError(f"there are no values of {over}", expected="one or more", got="none")
    changes = changes_of(target, set)
    if truth is not None:
        changes[f"data.types.{truth}"] = "identifier"
    trainings = Trainings.of(source, changes)
    judge = _judge(trainings, truth)
    told = [None] if over is None else list(values or [])
    each = [{} if over is None else {over: value} for value in told]
    for one in each:
        trainings.asked(one)
    draws = list(_draws(trainings, way, repeats))
    folder = None if out is None else Path(out)
    if folder is not None:
        make_folder(folder)
    found = BiasVariance(over, told)
    for place, one in enumerate(each, 1):
        runs = []
        for number, rows in enumerate(draws, 1):
            name = f"{over or 'plan'}-{place}-{way}-{number}"
            logger.info("training %d of %d: %s", place * number, len(each) * repeats, name)
            at = None if folder is None else folder / "trainings" / name
            seed = trainings.plan.train.seed + number - 1
            runs.append(trainings.train(rows, one, seed=seed, place=at))
        found.parts.append(_divided(trainings, runs, judge, truth))
        if folder is not None:
            found.write(folder)
    return found


def _judge(trainings: Trainings, truth: str | None) -> pl.DataFrame:
    """The rows by which trainings are judged: those to test with, else those to validate."""
    tables = trainings.tables
    frame = tables.test if len(tables.test) else tables.val
    if trainings.task not in ("regression", "classification") or not len(frame):
        raise InputError(
            "errors are not divided here",
            expected="a regression or classification, with rows to test or validate",
            got=f"{trainings.task} with {len(frame)} such rows",
        )
    if (
        truth is not None
        and (truth not in frame.columns or floats(frame[truth]).null_count() > 0)
        and trainings.task == "regression"
    ):
        raise InputError(
            f"the column {truth!r} does not tell the truth",
            expected="a column with a number in every row",
            got=", ".join(frame.columns[:30]),
        )
    return frame


def _draws(trainings: Trainings, way: Way, repeats: int) -> Iterator[RowNumbers]:
    seed, height = trainings.plan.train.seed, trainings.num_rows
    if way == "parts":
        order = trainings.order(seed)
        if height < 2 * repeats:
            raise InputError(
                "the parts are too small",
                expected=f"at least {2 * repeats} rows to train on",
                got=str(height),
                do="ask for fewer repeats, or for way=bootstrap",
            )
        for number in range(repeats):
            yield order[number::repeats]
        return
    for number in range(repeats):
        yield numpy_generator(seed, "bias-variance", number).integers(height, size=height)


def _divided(
    trainings: Trainings, runs: Sequence[Run], frame: pl.DataFrame, truth: str | None
) -> Decomposition:
    targets = targets_of(trainings.plan)
    outputs = [run.outputs(frame, notice=False) for run in runs]
    if trainings.task == "regression":
        values = np.stack(
            [run.decoder.values(one) for run, one in zip(runs, outputs, strict=True)]  # type: ignore[attr-defined]
        )
        given = np.stack([floats(frame[name]).to_numpy() for name in targets], axis=1)
        if truth is None:
            return squared_decomposition(values, given)
        clean = floats(frame[truth]).to_numpy()[:, None]
        return squared_decomposition(values, clean, float(((given - clean) ** 2).mean()))
    column = trainings.tables.train[targets[0]]
    labels = Labels.of(pl.concat([column, frame[targets[0]]]))
    votes = np.stack(
        [
            labels.codes(pl.Series(run.decoder.decode(one).predictions["prediction"]))
            for run, one in zip(runs, outputs, strict=True)
        ]
    )
    given = labels.codes(frame[targets[0]])
    if truth is None:
        return zero_one_decomposition(votes, given)
    best = labels.codes(frame[truth])
    return zero_one_decomposition(votes, best, float((given != best).mean()))
