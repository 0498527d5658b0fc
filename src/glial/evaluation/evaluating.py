"""How good a run is, how sure that is, for whom it fails, and whether its probabilities hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glial.core.errors import InputError, unknown_name
from glial.evaluation.comparing.row_losses import row_losses
from glial.evaluation.failures.slices import weakest_slices
from glial.evaluation.fairness.audits import audit_answers
from glial.evaluation.fairness.sensitive import groupings
from glial.evaluation.metrics.answers import (
    Answers,
    LabelAnswers,
    NumberAnswers,
    answers_of,
    clusters_of,
    replicates_of,
)
from glial.evaluation.metrics.bootstrap import check_bootstrap
from glial.evaluation.metrics.details import answer_details
from glial.evaluation.metrics.drawing import Drawing
from glial.evaluation.metrics.forecasted import forecast_replicates, stretches
from glial.evaluation.metrics.weighted import Codes, Floats
from glial.evaluation.probabilities.calibration import calibration_of
from glial.evaluation.probabilities.refusing import refusal_of
from glial.runs.forecasts import Forecasted, forecasted
from glial.runs.loading import load
from glial.runs.prediction import Answered, answer
from glial.runs.prediction import evaluate as judge_source
from glial.runs.run import Run
from glial.runs.ways import way_of
from glial.tasks.task import trivial_scores, undecided


def evaluate(
    run: Run | str | Path,
    source: Any,
    *,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
    fair: Sequence[str] = (),
    groups: str | Sequence[str] = (),
    slices: bool = False,
    calibration: bool = False,
) -> dict[str, Any]:
    """Metrics on rows whose targets are known, with intervals, beside the trivial predictor's.

    The rows are resampled with replacement, or whole groups of rows where the plan has
    ``data.split.group``; the network is not trained again, so that an interval says how far the
    metric would move with other rows of the same kind, and nothing of other seeds.

    Args:
        run: The run, or its folder.
        source: A file, glob pattern, data set or table in memory, targets included; for a run
            that was trained on a loader, a loader.
        confidence: Share of the resamples that an interval holds.
        replicates: Number of resamples; 0 for no intervals.
        seed: Of the resamples, and of the halves by which slices are found and confirmed.
        fair: Sensitive columns by whose groups the run is audited too.
        groups: Columns, inputs or not; every metric is told for each of their values.
        slices: Whether to look for the slices on which the run does worst.
        calibration: Whether to judge probabilities, and what refusing unsure rows would save.

    Returns:
        ``metrics``, ``baseline`` and ``details`` (confusion matrix and curves) as
        `glial.runs.evaluate` gives them; ``intervals``, the two ends by metric;
        ``differences``, by metric how far the run lies above the baseline (``value``) and the
        ``interval`` of that; and ``bootstrap``: ``confidence``, ``replicates``, ``resampled``
        (what is drawn), ``units`` (how many of them) and ``note`` (why there are no intervals).
        Where asked for: ``fairness``, see `glial.evaluation.audit`; ``groups``, by column a list
        with ``value``, ``rows``, ``metrics``, ``intervals`` and ``baseline`` of each group;
        ``slices``, see `glial.evaluation.failures.slices.weakest_slices`; ``calibration``, see
        `glial.evaluation.probabilities.calibration.calibration_of` (None of numbers), and
        ``uncertainty``, see `glial.evaluation.probabilities.refusing.refusal_of` (None where
        nothing says how sure an answer is).

    Raises:
        InputError: If columns are missing, no row has a target, no interval can be made of
            so few replicates, or what is asked for needs answers row by row and there are none.

    Source:
        Efron and Tibshirani (1993), "An introduction to the bootstrap", section 13.3.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> found = evaluate(run, "iris", replicates=100)
        >>> low, high = found["intervals"]["accuracy"]
        >>> low <= found["metrics"]["accuracy"] <= high
        True
    """
    check_bootstrap(confidence, replicates)
    run = run if isinstance(run, Run) else load(run)
    columns = [groups] if isinstance(groups, str) else list(groups)
    drawing = Drawing(0, confidence, replicates, seed)
    if way_of(run).answer is None:
        if columns or slices or calibration or fair:
            raise _no_answers(run)
        return _without_rows(run, source, drawing)
    found = answer(run, source)
    judging = _Judging.of(found, drawing)
    answers = answers_of(run.decoder, found.outputs, found.frame)
    if answers is None and (slices or calibration):
        raise _no_answers(run)
    result = found.judged()
    if answers is not None:
        result["details"] |= answer_details(answers, judging.drawing.weight)
    result |= judging.intervals(result)
    if columns:
        result["groups"] = {name: judging.groups(name) for name in columns}
    if slices and answers is not None:
        result["slices"] = judging.slices(answers)
    if calibration and answers is not None:
        result |= judging.calibration(answers)
    if fair:
        audits = audit_answers(found, fair, confidence=confidence, replicates=replicates, seed=seed)
        result["fairness"] = [one.to_dict() for one in audits]
    return result


def _no_answers(run: Run) -> InputError:
    return InputError(
        f"a run of the task {run.task} is not judged row by row",
        expected="a run of the task classification, multilabel or regression",
        got=run.task,
        do="leave groups, slices and calibration out",
    )


def _without_rows(run: Run, source: Any, drawing: Drawing) -> dict[str, Any]:
    """What is told of runs whose rows do not stand by themselves."""
    if run.task != "forecasting":
        drawing = replace(drawing, num_rows=2, kind=f"rows of the task {run.task}")
        result = judge_source(run, source)
        told = result | drawing.intervals(result, None, None)
        return told | {"bootstrap": told["bootstrap"] | {"units": 0}}
    return _of_forecasts(forecasted(run, source), drawing)


def evaluate_forecasts(
    found: Forecasted, *, confidence: float = 0.95, replicates: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Metrics of forecasts that were made, with intervals, beside the seasonal naive forecasts'.

    Args:
        found: The forecasts and what came.
        confidence: Share of the resamples that an interval holds.
        replicates: Number of resamples; 0 for no intervals.
        seed: Of the resamples.

    Returns:
        As :func:`evaluate` gives it.

    Raises:
        InputError: If no interval can be made of so few replicates.

    Example:
        >>> import glial
        >>> from glial.runs.forecasts import Forecasted, forecasted
        >>> frame = {"step": list(range(60)), "y": [float(i % 6) for i in range(60)]}
        >>> run = glial.train(frame, "y", task="forecasting", time="step", epochs=1, out=False)
        >>> made = evaluate_forecasts(forecasted(run, frame), replicates=40)
        >>> made["metrics"] == evaluate(run, frame, replicates=40)["metrics"]
        True
    """
    check_bootstrap(confidence, replicates)
    return _of_forecasts(found, Drawing(0, confidence, replicates, seed))


def _of_forecasts(found: Forecasted, drawing: Drawing) -> dict[str, Any]:
    judged = found.judged()
    result = {"metrics": judged.metrics, "baseline": judged.baseline, "details": {}}
    clusters, kind = stretches(found)
    drawing = replace(drawing, num_rows=len(clusters), clusters=clusters, kind=kind)
    return result | drawing.intervals(result, *forecast_replicates(found))


@dataclass(frozen=True)
class _Judging:
    """Answers, and how their rows are drawn again."""

    found: Answered
    drawing: Drawing

    @classmethod
    def of(cls, found: Answered, drawing: Drawing) -> _Judging:
        """Rows of a group, where the plan has such, are drawn together."""
        weight = None if found.weight is None else np.asarray(found.weight, dtype=np.float64)
        clusters, group = clusters_of(found), found.run.plan.data.split.group
        kind = "rows" if clusters is None else f"groups of {group}"
        height = found.frame.height
        drawing = replace(drawing, num_rows=height, weight=weight, clusters=clusters, kind=kind)
        return cls(found, drawing)

    def _only(self, rows: Codes) -> _Judging:
        found = self.found
        weight = None if found.weight is None else found.weight[rows]
        frame, outputs = found.frame[rows], found.outputs[rows]
        some = replace(found, frame=frame, outputs=outputs, weight=weight)
        return _Judging(some, self.drawing.only(rows))

    def intervals(self, result: dict[str, Any]) -> dict[str, Any]:
        """Intervals of metrics, and of how far they lie above the baseline's."""
        task, frame = self.found.run.decoder, self.found.frame
        plain = undecided(task)
        score = replicates_of(task, self.found.outputs, frame)
        base = replicates_of(plain, plain.trivial_outputs(frame.height), frame)
        return self.drawing.intervals(result, score, base)

    def groups(self, column: str) -> list[dict[str, Any]]:
        """Every metric for each value of a column."""
        if column not in self.found.frame.columns:
            raise unknown_name("column", column, self.found.frame.columns)
        [grouping] = groupings(self.found.frame, [column])
        told = []
        for code, group in enumerate(grouping.groups):
            some = self._only(np.flatnonzero(grouping.codes == code))
            result = {
                "metrics": some.found.run.decoder.scores(*some._rows()),
                "baseline": trivial_scores(some.found.run.decoder, *some._rows()[1:]),
            }
            told.append(
                {
                    "value": group[column],
                    "rows": some.found.frame.height,
                    **result,
                    "intervals": some.intervals(result)["intervals"],
                }
            )
        return told

    def _rows(self) -> tuple[Any, Any, Any]:
        return self.found.outputs, self.found.frame, self.found.weight

    def slices(self, answers: Answers) -> dict[str, Any]:
        """The slices on which the run does worst, with the metrics of all their rows."""
        frame = self.found.frame
        aside = {*self.found.run.decoder.targets, self.found.run.plan.data.weight}
        columns = [name for name in frame.columns if name not in aside]
        slices = weakest_slices(
            frame,
            row_losses(answers),
            columns,
            weight=self.drawing.weight,
            clusters=self.drawing.clusters,
            confidence=self.drawing.confidence,
            seed=self.drawing.seed,
        )
        told = []
        for one in slices:
            some = self._only(np.flatnonzero(one.rows))
            metrics = some.found.run.decoder.scores(*some._rows())
            told.append(one.to_dict() | {"all_rows": some.found.frame.height, "metrics": metrics})
        loss = "mean_squared_error" if isinstance(answers, NumberAnswers) else "log_loss"
        return {"loss": loss, "columns": columns, "found": told}

    def calibration(self, answers: Answers) -> dict[str, Any]:
        """Whether probabilities hold, and what refusing unsure rows would save."""
        options = self.drawing.options()
        if isinstance(answers, NumberAnswers):
            spread = self._spread(answers)
            errors = np.abs(answers.truth - answers.predicted).mean(axis=1)
            unsure = None if spread is None else refusal_of(-spread, errors, **options)
            return {"calibration": None, "uncertainty": unsure}
        if isinstance(answers, LabelAnswers):
            sure = np.abs(answers.shares - 0.5).mean(axis=1)
            wrong = (answers.guess != answers.truth).mean(axis=1)
        else:
            sure, wrong = answers.confidence, answers.guess != answers.truth
        return {
            "calibration": calibration_of(answers, **options),
            "uncertainty": refusal_of(sure, np.asarray(wrong, dtype=np.float64), **options),
        }

    def _spread(self, answers: NumberAnswers) -> Floats | None:
        """How unsure each number is: its members' deviation, or the width of its interval."""
        run = self.found.run
        if run.members:
            spread = run.decoder.spread(run.votes(self.found.frame))
            return np.asarray(np.stack(list(spread.values())).mean(axis=0))
        if answers.low is None or answers.high is None:
            return None
        width = (answers.high - answers.low).mean(axis=1)
        return None if (width == width[0]).all() else width
