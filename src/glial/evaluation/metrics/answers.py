"""What a task's outputs say of rows beside what is true: as arrays, by which all is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor

from glial.evaluation.metrics.bootstrap import Score
from glial.evaluation.metrics.scores import (
    class_replicates,
    multilabel_replicates,
    regression_replicates,
    with_means,
)
from glial.evaluation.metrics.tagged import tagging_replicates
from glial.evaluation.metrics.weighted import Codes, Flags, Floats, mean_of_known, weighted_mean
from glial.runs.ways import Answered
from glial.tasks.task import Task


@dataclass(frozen=True)
class ClassAnswers:
    """One class of several for each row.

    Attributes:
        names: The classes.
        truth: Index of each row's class, [row]; -1 for one that training never showed.
        shares: Probability of each class, [row, class].
        guess: Index of the class that is predicted, [row].
        costs: What predicting a class (column) costs where another (row) is true, if anything.
        held: Which classes are in the set of each row, [row, class], where there are sets.
        refused: Which rows are not answered, [row], where any may be.

    Example:
        >>> shares = np.array([[0.25, 0.75]])
        >>> ClassAnswers(["a", "b"], np.array([1]), shares, np.array([1])).guess
        array([1])
    """

    names: list[str]
    truth: Codes
    shares: Floats
    guess: Codes
    costs: Floats | None = None
    held: Flags | None = None
    refused: Flags | None = None

    @property
    def confidence(self) -> Floats:
        """The probability of the class that each row is given, [row]."""
        return np.asarray(self.shares[np.arange(len(self.guess)), self.guess])

    def score(self) -> Score:
        """Every metric as a function of weights."""
        score = class_replicates(self.truth, self.shares, self.guess, self.costs)
        means = {}
        if self.held is not None:
            inside = self.held[np.arange(len(self.truth)), self.truth] & (self.truth >= 0)
            means = {"coverage": inside, "set_size": self.held.sum(axis=1)}
        score = with_means(score, means)
        if self.refused is None:
            return score
        answered, wrong = ~self.refused, self.guess != self.truth
        score = with_means(score, {"refused": self.refused})
        return lambda weights: (
            score(weights)
            | {"selective_risk": weighted_mean(wrong.astype(np.float64), weights * answered)}
        )


@dataclass(frozen=True)
class LabelAnswers:
    """Several yes-or-no questions on each row.

    Attributes:
        names: The questions.
        truth: Whether the answer is yes, [row, question].
        shares: Probability of yes, [row, question].
        guess: The answers given, [row, question].

    Example:
        >>> yes = np.array([[True]])
        >>> LabelAnswers(["a"], yes, np.array([[0.75]]), yes).shares
        array([[0.75]])
    """

    names: list[str]
    truth: Flags
    shares: Floats
    guess: Flags

    def score(self) -> Score:
        """Every metric as a function of weights."""
        return multilabel_replicates(self.truth, self.shares, self.guess)


@dataclass(frozen=True)
class NumberAnswers:
    """Numbers for each row.

    Attributes:
        names: The outputs.
        truth: [row, output], in the target's units.
        predicted: Likewise.
        low: Lower ends of intervals, likewise, where there are any.
        high: Upper ends.

    Example:
        >>> NumberAnswers(["y"], np.array([[1.0]]), np.array([[3.0]])).predicted
        array([[3.]])
    """

    names: list[str]
    truth: Floats
    predicted: Floats
    low: Floats | None = None
    high: Floats | None = None

    def score(self) -> Score:
        """Every metric as a function of weights."""
        score = regression_replicates(self.truth, self.predicted)
        if self.low is None or self.high is None:
            return score
        inside = ((self.low <= self.truth) & (self.truth <= self.high)).mean(axis=1)
        width = (self.high - self.low).mean(axis=1)
        return with_means(score, {"coverage": inside, "interval_width": width})


Answers = ClassAnswers | LabelAnswers | NumberAnswers


def answers_of(task: Task, outputs: Tensor, frame: pl.DataFrame) -> Answers | None:
    """What outputs say of rows, and what is true; None for tasks without answers row by row.

    Args:
        task: The task.
        outputs: A row per row.
        frame: The rows with their targets.

    Example:
        >>> from glial.tasks import TaskSettings, fit_task
        >>> frame = pl.DataFrame({"y": ["a", "b"]})
        >>> task = fit_task(frame, ["y"], TaskSettings(name="classification"))
        >>> answers_of(task, task.trivial_outputs(2), frame).shares.tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    made = _ANSWERS.get(task.name)
    return None if made is None else made(task, outputs, frame)


def clusters_of(found: Answered) -> Codes | None:
    """The group of each row, where the plan names a column of groups and the rows have it.

    A row whose group is missing is one of its own.

    Args:
        found: What a run says of rows.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> clusters_of(glial.runs.answer(run, "iris")) is None
        True
    """
    group = found.run.plan.data.split.group
    if group is None or group not in found.frame.columns:
        return None
    ranks = found.frame[group].rank("dense")
    alone = (1 + found.frame.height + np.arange(found.frame.height)).astype(np.uint32)
    return ranks.fill_null(pl.Series(alone)).to_numpy().astype(np.int64)


def replicates_of(task: Task, outputs: Tensor, frame: pl.DataFrame) -> Score | None:
    """A task's metrics as functions of weights; None where rows cannot be resampled.

    Args:
        task: The task.
        outputs: A row per row.
        frame: The rows with their targets.

    Example:
        >>> from glial.tasks import TaskSettings, fit_task
        >>> frame = pl.DataFrame({"y": [1.0, 3.0]})
        >>> task = fit_task(frame, ["y"], TaskSettings(name="regression"))
        >>> replicates_of(task, task.trivial_outputs(2), frame)(np.ones((1, 2)))["mae"]
        array([1.])
    """
    if task.name == "tagging":
        return tagging_replicates(task, outputs, frame)
    if task.name == "embedding":
        return _nearness(task, outputs, frame)
    answers = answers_of(task, outputs, frame)
    return None if answers is None else answers.score()


def _nearness(task: Any, outputs: Tensor, frame: pl.DataFrame) -> Score:
    """Whether rows near a row are of its class, by the weights of the rows searched for."""
    values = task.row_scores(outputs, frame)
    return lambda weights: {name: mean_of_known(each, weights) for name, each in values.items()}


def _classes(task: Any, outputs: Tensor, frame: pl.DataFrame) -> ClassAnswers:
    names = task.labels.names
    decoded = task.decode(outputs, frame)
    shares = np.stack([decoded.probabilities[f"probability_{name}"] for name in names], axis=1)
    guess = task.labels.codes(pl.Series(decoded.predictions["prediction"].tolist()))
    truth = task.labels.codes(frame[task.targets[0]])
    held = None if task.sets is None else task.sets.hold(shares)
    refused = decoded.predictions.get("refused")
    return ClassAnswers(names, truth, shares, guess, task.costs, held, refused)


def _labels(task: Any, outputs: Tensor, frame: pl.DataFrame) -> LabelAnswers:
    decoded, names = task.decode(outputs, frame), task.targets
    shares = np.stack([decoded.probabilities[f"probability_{name}"] for name in names], axis=1)
    given = [pl.Series(decoded.predictions[f"prediction_{name}"].tolist()) for name in names]
    codes = [labels.codes(said) for labels, said in zip(task.labels, given, strict=True)]
    truth = task.encode(frame).numpy() > 0.5
    return LabelAnswers(names, truth, shares, np.stack(codes, axis=1) > 0)


def _numbers(task: Any, outputs: Tensor, frame: pl.DataFrame) -> NumberAnswers:
    columns = task.decode(outputs, frame).predictions
    several = len(task.targets) > 1
    ends = [
        np.stack([columns[f"{kind}_{name}" if several else kind] for name in task.targets], axis=1)
        for kind in ("prediction", "prediction_low", "prediction_high")
        if any(column.startswith(kind) for column in columns)
    ]
    return NumberAnswers(task.targets, task.truth(frame), *ends)


_ANSWERS: dict[str, Callable[..., Answers]] = {
    "classification": _classes,
    "multilabel": _labels,
    "regression": _numbers,
}
