"""How good a run is, how sure that is, and how far it beats the trivial predictor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.evaluation.answers import answers_of, replicates_of
from glial.evaluation.bootstrap import check_bootstrap, interval, intervals, replicate
from glial.evaluation.details import answer_details
from glial.evaluation.fairness import audit_answers
from glial.runs.loading import load
from glial.runs.prediction import Answered, answer
from glial.runs.prediction import evaluate as judge_source
from glial.runs.run import Run
from glial.runs.ways import way_of
from glial.tasks.task import undecided


def evaluate(
    run: Run | str | Path,
    source: Any,
    *,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
    fair: Sequence[str] = (),
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
        seed: Of the resamples.
        fair: Sensitive columns by whose groups the run is audited too.

    Returns:
        ``metrics``, ``baseline`` and ``details`` (confusion matrix and curves) as
        `glial.runs.evaluate` gives them; ``intervals``, the two ends by metric;
        ``differences``, by metric how far the run lies above the baseline (``value``) and the
        ``interval`` of that; and ``bootstrap``: ``confidence``, ``replicates``, ``resampled``
        (what is drawn), ``units`` (how many of them) and ``note`` (why there are no intervals).
        Where sensitive columns are named, ``fairness``: see `glial.evaluation.audit`.

    Raises:
        InputError: If columns are missing, no row has a target, or no interval can be made of
            so few replicates.

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
    if way_of(run).answer is None and not fair:
        note = f"rows of the task {run.task} are not independent answers, and are not resampled"
        told = _bootstrap_told(confidence, 0, "nothing", 0, note)
        return {**judge_source(run, source), "intervals": {}, "differences": {}, **told}
    found = answer(run, source)
    result = found.judged()
    answers = answers_of(run.decoder, found.outputs, found.frame)
    if answers is not None:
        result["details"] |= answer_details(answers, found.weight)
    result |= _intervals(found, result, confidence, replicates, seed)
    if fair:
        audits = audit_answers(found, fair, confidence=confidence, replicates=replicates, seed=seed)
        result["fairness"] = [one.to_dict() for one in audits]
    return result


def clusters_of(found: Answered) -> NDArray[np.generic] | None:
    """The group of each row, where the plan names a column of groups and the rows have it.

    Args:
        found: What a run says of rows.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> clusters_of(answer(run, "iris")) is None
        True
    """
    group = found.run.plan.data.split.group
    if group is None or group not in found.frame.columns:
        return None
    return found.frame[group].rank("dense").fill_null(0).to_numpy()


def _bootstrap_told(
    confidence: float, replicates: int, resampled: str, units: int, note: str | None = None
) -> dict[str, Any]:
    told = {"confidence": confidence, "replicates": replicates, "resampled": resampled}
    return {"bootstrap": {**told, "units": units, "note": note}}


def _intervals(
    found: Answered, result: dict[str, Any], confidence: float, replicates: int, seed: int
) -> dict[str, Any]:
    """Intervals of metrics and of how far they lie above the baseline's."""
    frame, task = found.frame, found.run.decoder
    group, clusters = found.run.plan.data.split.group, clusters_of(found)
    units = frame.height if clusters is None else len(np.unique(clusters))
    kind = "rows" if clusters is None else f"groups of {group}"
    score = replicates_of(task, found.outputs, frame) if replicates else None
    note = "asked for none" if not replicates else None
    if replicates and score is None:
        note = f"rows of the task {task.name} are not independent answers"
    if score is not None and units < 2:
        score, note = None, f"one {'row' if clusters is None else 'group'} alone says nothing"
    if score is None:
        told = _bootstrap_told(confidence, 0, kind, units, note)
        return {"intervals": {}, "differences": {}, **told}
    plain = undecided(task)
    trivial_score = replicates_of(plain, plain.trivial_outputs(frame.height), frame)
    assert trivial_score is not None  # noqa: S101 - it is of the same task
    weight = None if found.weight is None else np.asarray(found.weight, dtype=np.float64)
    values, base = (
        replicate(each, frame.height, replicates, seed, clusters=clusters, weight=weight)
        for each in (score, trivial_score)
    )
    differences = {
        name: {
            "value": result["metrics"][name] - result["baseline"][name],
            "interval": list(interval(values[name] - base[name], confidence)),
        }
        for name in result["metrics"]
        if name in values and name in base
    }
    told = _bootstrap_told(confidence, replicates, kind, units)
    ordered = {name: values[name] for name in result["metrics"] if name in values}
    return {"intervals": intervals(ordered, confidence), "differences": differences, **told}
