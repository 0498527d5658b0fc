"""Runs as plain functions of the raw columns of a table, for methods that know no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.core.seeds import numpy_generator
from glial.data import read
from glial.explanation.contributions import Contributions, joined
from glial.explanation.games import Floats, Predict
from glial.explanation.importance import Importance, permutation_importance
from glial.runs.prediction import answer
from glial.runs.run import Run
from glial.tasks.metrics import LOWER_IS_BETTER

NUM_BACKGROUND = 100
PROBABILITY = "probability_"
_METRICS = {"classification": "accuracy", "multilabel": "f1_macro", "regression": "r2"}


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
        decoded = self.run.decoder.decode(self.run.outputs(frame, notice=False))
        found = decoded.probabilities or decoded.predictions
        return np.stack([np.asarray(v, dtype=np.float64) for v in found.values()], axis=1)

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
    if run.takes_batches or run.task not in _METRICS:
        raise InputError(
            "this run is no function of the columns of a table",
            expected=f"a run of a table, of the task {', '.join(_METRICS)}",
            got=f"the task {run.task}" + (", trained on a loader" if run.takes_batches else ""),
        )
    decoded = run.decoder.decode(run.decoder.trivial_outputs(1))
    outputs = [name.removeprefix(PROBABILITY) for name in decoded.probabilities]
    return RunPredictor(run, run.encoding.columns, outputs or run.decoder.targets)


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
    frame = frame.select(run.encoding.columns)
    if most is None or frame.height <= most:
        return frame
    chosen = numpy_generator(seed, "background").choice(frame.height, most, replace=False)
    return frame[np.sort(chosen)]


def explain_rows(
    run: Run,
    method: Callable[..., Contributions],
    source: Any,
    background: Any = None,
    *,
    target: str | None = None,
    num_background: int = NUM_BACKGROUND,
    seed: int = 0,
    **options: Any,
) -> Contributions:
    """Explain a run's answers to rows by any method for functions.

    Args:
        run: The run.
        method: Such as `kernel_shap` or `lime`: ``method(predict, rows, background, **options)``.
        source: Rows to explain: a file, data set or table in memory.
        background: Rows to compare with; by default those to explain.
        target: The class or number that is explained; by default each row's likeliest class.
        num_background: Rows to compare with, drawn at random from the background.
        seed: Draws these rows.
        options: Of the method; ``seed`` is among them where it takes one.

    Returns:
        Contributions of each raw column to each row's probability of its class, or its number.

    Raises:
        InputError: If a column or the target is missing, or there are no rows.

    Example:
        >>> import glial
        >>> from glial.explanation import exact_shap
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> found = explain_rows(run, exact_shap, read("iris").head(3), "iris", num_background=10)
        >>> found.values.shape, bool(found.gap < 1e-6)
        ((3, 4), True)
    """
    predictor, rows = run_predictor(run), rows_of(run, source)
    others = rows_of(run, source if background is None else background, num_background, seed=seed)
    chosen = predictor.of_interest(rows, target)
    parts, places = [], []
    for place in np.unique(chosen):
        places.append(np.flatnonzero(chosen == place))
        predict = predictor.output(predictor.outputs[place])
        parts.append(method(predict, rows[places[-1]], others, **options))
    return joined(parts, places)


def run_importance(
    run: Run,
    source: Any,
    *,
    metric: str | None = None,
    most: int = 5_000,
    num_repeats: int = 5,
    seed: int = 0,
) -> Importance:
    """What a run's metric loses where a raw column is shuffled among rows.

    Args:
        run: The run.
        source: Rows with their targets that the run was not trained on.
        metric: One of the task's; by default ``accuracy`` of classes, ``f1_macro`` of several
            questions, ``r2`` of numbers.
        most: Rows at most, drawn at random.
        num_repeats: Shufflings of each column.
        seed: Draws rows and shufflings.

    Raises:
        InputError: If a column is missing, or there is no such metric.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=20, out=False)
        >>> run_importance(run, "iris").table()["feature"][0].startswith("petal")
        True
    """
    run_predictor(run)
    frame = read(source)
    if frame.height > most:
        chosen = numpy_generator(seed, "importance").choice(frame.height, most, replace=False)
        frame = frame[np.sort(chosen)]
    answered = answer(run, frame)
    name = metric or _METRICS[run.task]
    known = run.decoder.scores(answered.outputs, answered.frame, answered.weight)
    if name not in known:
        raise unknown_name("metric", name, known)

    def score(told: NDArray[Any], places: NDArray[np.int64]) -> float:
        import torch

        weight = None if answered.weight is None else answered.weight[places]
        outputs = torch.from_numpy(told[places])
        return run.decoder.scores(outputs, answered.frame[places], weight)[name]

    return permutation_importance(
        lambda rows: run.outputs(rows, notice=False).numpy(),
        answered.frame.select(run.encoding.columns),
        score,
        lower_is_better=name in LOWER_IS_BETTER,
        name=name,
        num_repeats=num_repeats,
        seed=seed,
    )
