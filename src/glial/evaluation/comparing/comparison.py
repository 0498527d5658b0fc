"""Runs tested against each other, on the same rows and on the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glial.core.errors import InputError
from glial.data.quality.shift import holm
from glial.evaluation.comparing.folds import compare_folds, pairs_of
from glial.evaluation.comparing.paired import (
    Difference,
    Floats,
    McNemar,
    Tested,
    difference_of,
    mcnemar,
    paired_t,
    signed_rank,
)
from glial.evaluation.comparing.row_losses import is_right, row_losses
from glial.evaluation.curves.trainings import deciding_metric
from glial.evaluation.metrics.answers import Answers, answers_of, clusters_of, replicates_of
from glial.evaluation.metrics.bootstrap import check_bootstrap, replicate
from glial.runs import Answered, Run, answer, load
from glial.runs import compare as compare_figures
from glial.tasks.metrics import LOWER_IS_BETTER

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Pair:
    """Two runs on the same rows.

    Attributes:
        first: The first run's folder, or its place among the runs.
        second: The second's.
        metric: The metric by which they are told apart.
        metrics: Metric to the runs' difference (first less second), by a paired bootstrap.
        t: Student's t test of the difference of losses row by row; None of tags.
        wilcoxon: Wilcoxon's signed rank test of the same.
        mcnemar: Of classes, McNemar's test of right and wrong answers.
        adjusted: Metric or test to its p-value after Holm's correction for all pairs.
        confidence: Confidence of the intervals and of the verdict.

    Example:
        >>> tested = Tested(0.0, 1.0)
        >>> same = Difference(0.5, 0.5, 0.0, 0.0, 0.0, 1.0)
        >>> held = {"log_loss": same}
        >>> Pair("a", "b", "log_loss", held, tested, tested, None, {"log_loss": 1.0}).verdict
        'a and b cannot be told apart on log_loss: 0 [0, 0]'
    """

    first: str
    second: str
    metric: str
    metrics: dict[str, Difference]
    t: Tested | None
    wilcoxon: Tested | None
    mcnemar: McNemar | None
    adjusted: dict[str, float]
    confidence: float = CONFIDENCE

    @property
    def p_values(self) -> dict[str, float]:
        """The p-value of each metric and of each test, uncorrected."""
        found = {name: one.p_value for name, one in self.metrics.items()}
        tests = {"t": self.t, "wilcoxon": self.wilcoxon}
        found |= {name: test.p_value for name, test in tests.items() if test is not None}
        return found if self.mcnemar is None else found | {"mcnemar": self.mcnemar.exact}

    @property
    def better(self) -> str | None:
        """The run that is better on the metric; None where they cannot be told apart."""
        if not self.adjusted[self.metric] < 1 - self.confidence:
            return None
        lower = self.metrics[self.metric].difference < 0
        return self.first if lower == (self.metric in LOWER_IS_BETTER) else self.second

    @property
    def verdict(self) -> str:
        """What the test says, as a sentence."""
        found, better = self.metrics[self.metric], self.better
        ends = [found.difference, found.low, found.high]
        if better is None:
            told = "{:.3g} [{:.3g}, {:.3g}]".format(*ends)
            return f"{self.first} and {self.second} cannot be told apart on {self.metric}: {told}"
        if found.difference < 0:
            ends = [-found.difference, -found.high, -found.low]
        worse = self.second if better == self.first else self.first
        told = "{:.3g} [{:.3g}, {:.3g}]".format(*ends)
        return f"{better} is better than {worse} on {self.metric} by {told}"

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return {
            "first": self.first,
            "second": self.second,
            "metric": self.metric,
            "metrics": {name: one.to_dict() for name, one in self.metrics.items()},
            **{
                name: None if test is None else test.to_dict()
                for name, test in (
                    ("mcnemar", self.mcnemar),
                    ("t", self.t),
                    ("wilcoxon", self.wilcoxon),
                )
            },
            "adjusted": self.adjusted,
            "better": self.better,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Compared:
    """Runs on the same rows.

    Attributes:
        runs: The runs' folders, or their places.
        rows: Number of rows.
        metrics: Every metric of each run on them.
        pairs: Each pair of runs.

    Example:
        >>> Compared(["a"], 10, [{"mae": 1.0}], []).to_dict()["rows"]
        10
    """

    runs: list[str]
    rows: int
    metrics: list[dict[str, float]]
    pairs: list[Pair]

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return {
            "rows": self.rows,
            "metrics": [
                {"run": run, "metrics": one}
                for run, one in zip(self.runs, self.metrics, strict=True)
            ],
            "pairs": [pair.to_dict() for pair in self.pairs],
        }


def compare(
    runs: Sequence[str | Path],
    on: Any = None,
    *,
    metric: str | None = None,
    with_first: bool = False,
    confidence: float = CONFIDENCE,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Runs side by side: their figures and, on rows with known targets, which is really better.

    Args:
        runs: Folders of runs.
        on: Rows on which all are tested; None reads none.
        metric: As for :func:`compare_on`, as all that follow.
        with_first: Whether each is compared with the first alone.
        confidence: Confidence.
        replicates: Resamples of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        What :func:`glial.runs.compare` says; ``folds``, the tests of runs of the same folds (see
        :func:`compare_folds`); and with rows ``on``, what :func:`compare_on` says.

    Raises:
        InputError: If a folder is no finished run, or the runs do not go together.

    Example:
        >>> import glial, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("linear", "neuron"):
        ...     _ = glial.train("line", model=name, epochs=1, out=folder / name)
        >>> found = compare([folder / "linear", folder / "neuron"], "line")
        >>> found["on"]["rows"], len(found["on"]["pairs"])
        (200, 1)
    """
    found = compare_figures(runs) | {"folds": compare_folds(runs, with_first=with_first)}
    if on is None:
        return found
    compared = compare_on(
        runs,
        on,
        metric=metric,
        with_first=with_first,
        confidence=confidence,
        replicates=replicates,
        seed=seed,
    )
    return found | {"on": compared.to_dict()}


def compare_on(
    runs: Sequence[Run | str | Path],
    source: Any,
    *,
    metric: str | None = None,
    with_first: bool = False,
    confidence: float = CONFIDENCE,
    replicates: int = 1000,
    seed: int = 0,
) -> Compared:
    """Test runs of one task against each other on the same rows.

    The rows should be new to all of them: a run is better on what it has learnt from. Where rows
    are weighted, metrics and their intervals are; where the plan names groups of rows, whole
    groups are resampled. The tests of single rows take each once and for itself.

    Args:
        runs: Two runs or more, or their folders.
        source: Rows with their targets.
        metric: By which metric the verdict is given, by default the log loss or the root mean
            squared error.
        with_first: Whether each is compared with the first alone; else all pairs are.
        confidence: Confidence of intervals, and of the verdict after Holm's correction.
        replicates: Number of resamples of the rows.
        seed: Seed of these.

    Returns:
        The runs' metrics and their differences.

    Raises:
        InputError: If the runs do not learn the same target, or the rows cannot be used.

    Source:
        Dietterich 1998, Approximate statistical tests for comparing supervised classification
        learning algorithms; Holm 1979.

    Example:
        >>> import glial
        >>> kept = {"out": False, "epochs": 3}
        >>> runs = [glial.train("iris", model=name, **kept) for name in ("linear", "mlp")]
        >>> found = compare_on(runs, "iris")
        >>> found.pairs[0].metric, len(found.metrics)
        ('log_loss', 2)
    """
    if len(runs) < 2:
        raise InputError(
            "there is nothing to compare", expected="two runs or more", got=str(len(runs))
        )
    check_bootstrap(confidence, replicates or 1)
    opened = [run if isinstance(run, Run) else load(run) for run in runs]
    names = [str(run.path or number) for number, run in enumerate(opened, 1)]
    _check_same_task(opened, names)
    found = [answer(run, source) for run in opened]
    weight = _same_weights(found, names)
    own, drawn, units = _drawn(found, weight, replicates, seed)
    metric = deciding_metric(opened[0].task, metric, drawn[0])
    judged = [answers_of(one.run.decoder, one.outputs, one.frame) for one in found]

    def pair(i: int, j: int) -> Pair:
        differences = {
            name: difference_of(
                own[i][name],
                own[j][name],
                drawn[i][name] - drawn[j][name],
                units,
                confidence=confidence,
            )
            for name in own[i]
            if name in drawn[i] and name in drawn[j]
        }
        tests = _tests(judged[i], judged[j])
        return Pair(names[i], names[j], metric, differences, *tests, {}, confidence)

    pairs = [pair(i, j) for i, j in pairs_of(len(runs), with_first)]
    return Compared(names, found[0].frame.height, own, _corrected(pairs))


def _check_same_task(runs: Sequence[Run], names: Sequence[str]) -> None:
    for run, name in zip(runs, names, strict=True):
        for what, got, wanted in (
            ("task", run.task, runs[0].task),
            ("target", run.decoder.targets, runs[0].decoder.targets),
        ):
            if got != wanted:
                raise InputError(
                    f"{names[0]} and {name} do not learn the same {what}",
                    expected=f"runs of the {what} {wanted}",
                    got=str(got),
                    do="compare runs that answer the same question",
                )


def _same_weights(found: Sequence[Answered], names: Sequence[str]) -> Floats | None:
    """The weights of the rows, on which all runs must agree."""
    weight = found[0].weight
    for one, name in zip(found, names, strict=True):
        if not np.array_equal(_none_as_nan(one.weight), _none_as_nan(weight), equal_nan=True):
            raise InputError(
                f"{names[0]} and {name} weigh the rows differently",
                expected="runs with the same data.weight",
                got=str([one.run.plan.data.weight for one in found]),
                do="train them with the same column of weights",
            )
    return weight


def _none_as_nan(weight: Floats | None) -> Floats:
    return np.array(np.nan) if weight is None else weight


def _drawn(
    found: Sequence[Answered], weight: Floats | None, replicates: int, seed: int
) -> tuple[list[dict[str, float]], list[dict[str, Floats]], int]:
    """Each run's metrics on all rows and on the same resamples, and how many units these drew."""
    scores = [replicates_of(one.run.decoder, one.outputs, one.frame) for one in found]
    clusters, height = clusters_of(found[0]), found[0].frame.height
    own: list[dict[str, float]] = []
    drawn: list[dict[str, Floats]] = []
    for one, score in zip(found, scores, strict=True):
        if score is None:
            raise InputError(
                f"runs of the task {one.run.task} are not compared row by row",
                expected="a task of independent answers, such as classification or regression",
                got=one.run.task,
                do="compare their metrics: glial compare RUN RUN, without --on",
            )
        own.append(one.judged()["metrics"])
        drawn.append(replicate(score, height, replicates, seed, clusters=clusters, weight=weight))
    return own, drawn, height if clusters is None else len(np.unique(clusters))


def _tests(
    first: Answers | None, second: Answers | None
) -> tuple[Tested | None, Tested | None, McNemar | None]:
    """The t test, the signed ranks and McNemar's test, where rows have a loss and are right."""
    if first is None or second is None:
        return None, None, None
    differences = row_losses(first) - row_losses(second)
    differences = differences[np.isfinite(differences)]
    rights = is_right(first), is_right(second)
    right = None if rights[0] is None or rights[1] is None else mcnemar(rights[0], rights[1])
    return paired_t(differences), signed_rank(differences), right


def _corrected(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with p-values after Holm's correction for all of them; NaN counts as 1."""
    told = [pair.p_values for pair in pairs]
    corrected = {
        name: holm(np.nan_to_num(np.array([one[name] for one in told]), nan=1.0))
        for name in told[0]
    }
    return [
        replace(pair, adjusted={name: float(values[i]) for name, values in corrected.items()})
        for i, pair in enumerate(pairs)
    ]
