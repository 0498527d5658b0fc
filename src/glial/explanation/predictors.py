"""Runs as plain functions of the raw columns of a table, for methods that know no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.core.seeds import numpy_generator
from glial.data import read
from glial.data.cells import missing, numbers
from glial.explanation.functions.games import Floats, Predict
from glial.runs.run import Run
from glial.tasks.classification import Classification
from glial.tasks.labels import label_texts

NUM_BACKGROUND = 100
PROBABILITY = "probability_"
TASKS = ("classification", "multilabel", "regression")


@dataclass(frozen=True)
class RunPredictor:
    """A run as a function of a table: a column of numbers for each output.

    Attributes:
        run: The run.
        columns: The raw columns that it reads.
        outputs: The outputs: classes, whose probabilities are told, or names of numbers.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> predictor = run_predictor(run)
        >>> predictor.outputs, predictor(read("iris")).shape
        (['setosa', 'versicolor', 'virginica'], (150, 3))
    """

    run: Run
    columns: list[str]
    outputs: list[str]

    def __call__(self, frame: pl.DataFrame) -> Floats:
        """What the run says of each row, [row, output]."""
        decoded = self.run.decoder.decode(self.run.outputs(frame, notice=False), frame)
        found = {**decoded.predictions, **decoded.probabilities}
        return np.stack([np.asarray(found[n], dtype=np.float64) for n in self._held], axis=1)

    @property
    def _held(self) -> list[str]:
        """The columns of predictions that hold the outputs."""
        if self.run.task != "regression":
            return [f"{PROBABILITY}{name}" for name in self.outputs]
        several = len(self.outputs) > 1
        return [f"prediction_{name}" if several else "prediction" for name in self.outputs]

    def answers(self, frame: pl.DataFrame, name: str | None = None) -> NDArray[Any]:
        """What the run decides for each row: a class, spelt as in training, or a number.

        Args:
            frame: The rows.
            name: The target; None where there is only one.

        Raises:
            InputError: If there is no such target, or several to choose from.
        """
        name = self._target(name)
        decoder = self.run.decoder
        decoded = decoder.decode(self.run.outputs(frame, notice=False), frame).predictions
        several = len(decoder.targets) > 1
        told = pl.Series(list(decoded[f"prediction_{name}" if several else "prediction"]))
        return self._spelt(told)

    def truth(self, frame: pl.DataFrame, name: str | None = None) -> NDArray[Any] | None:
        """What is true of each row, like `answers`; None where a row's target is not known.

        Args:
            frame: The rows, with or without their target.
            name: The target; None where there is only one.

        Raises:
            InputError: If there is no such target, or several to choose from.
        """
        name = self._target(name)
        if name not in frame.columns:
            return None
        column = frame[name]
        told = self._spelt(column)
        known = np.isfinite(told) if told.dtype.kind == "f" else ~missing(column).to_numpy()
        return told if known.all() else None

    def _spelt(self, column: pl.Series) -> NDArray[Any]:
        if self.run.task == "regression":
            return numbers(column).cast(pl.Float64).to_numpy()
        return label_texts(column).fill_null("").to_numpy().astype(np.str_)

    def _target(self, name: str | None) -> str:
        targets = self.run.decoder.targets
        if name is None and len(targets) > 1:
            raise InputError(
                "the run has several targets",
                expected=f"one of {', '.join(targets[:20])}",
                got="none",
                do="name one as target",
            )
        if name is not None and name not in targets:
            raise unknown_name("target", name, targets)
        return targets[0] if name is None else name

    def output(self, name: str | None = None) -> Predict:
        """The function of one output alone.

        Args:
            name: The output; None where there is one, or for the positive (last) of two classes.

        Raises:
            InputError: If there is no such output, or several to choose from.
        """
        if name is None and len(self.outputs) > 1 + (self.run.task == "classification"):
            raise InputError(
                "the run has several outputs",
                expected=f"one of {', '.join(self.outputs[:20])}",
                got="none",
                do="name one as target",
            )
        place = self._place(self.outputs[-1] if name is None else name)
        return lambda frame: self(frame)[:, place]

    def of_interest(self, frame: pl.DataFrame, name: str | None = None) -> NDArray[np.int64]:
        """The number of the output to explain for each row.

        Args:
            frame: The rows.
            name: The output; by default the likeliest class of each row, or the largest number
                of several.

        Raises:
            InputError: If there is no such output.
        """
        if name is not None:
            return np.full(frame.height, self._place(name))
        return np.asarray(self(frame).argmax(axis=1))

    def _place(self, name: str) -> int:
        if name not in self.outputs:
            kind = "class" if self.run.task == "classification" else "output"
            raise unknown_name(kind, name, self.outputs)
        return self.outputs.index(name)


def run_predictor(run: Run) -> RunPredictor:
    """A run as a function of the raw columns of a table.

    Args:
        run: The run, whose answers to a row are probabilities or numbers.

    Raises:
        InputError: If the run takes no table, or answers something else.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> run_predictor(run).columns
        ['sepal_length', 'sepal_width', 'petal_length', 'petal_width']
    """
    if run.takes_batches or run.task not in TASKS:
        raise InputError(
            "this run is no function of the columns of a table",
            expected=f"a run of a table, of the task {', '.join(TASKS)}",
            got=f"the task {run.task}" + (", trained on a loader" if run.takes_batches else ""),
        )
    decoder: Any = run.decoder
    is_classes = isinstance(decoder, Classification)
    outputs = decoder.labels.names if is_classes else decoder.targets
    return RunPredictor(run, run.encoding.columns, outputs)


def rows_of(run: Run, source: Any, most: int | None = None, *, seed: int = 0) -> pl.DataFrame:
    """The columns of a source that a run reads, of all rows or of some drawn at random.

    Args:
        run: The run.
        source: A file, data set or table in memory.
        most: Rows at most; None is all.
        seed: Draws the rows, which stay in their order.

    Raises:
        InputError: If a column is missing, or there are no rows.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> rows_of(run, "iris", 10).shape
        (10, 4)
    """
    frame = read(source)
    missing = [name for name in run.encoding.columns if name not in frame.columns]
    if missing or not frame.height:
        raise InputError(
            "the rows are not such as the run was trained on",
            expected="at least one row, and the columns of training",
            got=f"without {', '.join(missing[:10])}" if missing else "no rows",
            do="give a source with the columns of training",
        )
    return some_rows(frame.select(run.encoding.columns), most, seed)


def some_rows(frame: pl.DataFrame, most: int | None, seed: int = 0) -> pl.DataFrame:
    """So many rows at most, drawn at random and in their order.

    Example:
        >>> some_rows(pl.DataFrame({"a": [1, 2, 3]}), 2).height
        2
    """
    if most is None or frame.height <= most:
        return frame
    chosen = numpy_generator(seed, "rows").choice(frame.height, most, replace=False)
    return frame[np.sort(chosen)]
