"""The way of rows of which most are normal: learnt, judged and told apart."""

from __future__ import annotations

from typing import Any

import polars as pl

from glial.core.errors import InputError
from glial.data import check_target, read, to_kind_of
from glial.data.sources import is_of_files
from glial.runs.anomaly.judging import scored
from glial.runs.anomaly.ready import make_ready
from glial.runs.prediction import notice_differences, read_for
from glial.runs.preparation import weights_of
from glial.runs.run import Run
from glial.runs.ways import Way
from glial.tasks.task import trivial_scores


def _evaluate(run: Run, source: Any) -> dict[str, Any]:
    """``metrics``, ``baseline`` and ``details`` of a run on a source."""
    frame = read(source, run.plan.data.names if is_of_files(source) else None)
    marks = [name for name in run.decoder.targets if name in frame.columns]
    frame = check_target(frame, marks, run.task, varied=False)
    notice_differences(run, frame)
    outputs, weight = scored(run, frame), weights_of(frame, run.plan.data.weight)
    return {
        "metrics": run.decoder.scores(outputs, frame, weight),
        "baseline": trivial_scores(run.decoder, frame, weight),
        "details": run.decoder.details(outputs, frame),
    }


def _predict(run: Run, source: Any) -> Any:
    """Whether each row is an anomaly, its score, and because of which columns."""
    frame, paths = read_for(run, source)
    if frame.height == 0:
        raise InputError("there are no rows to predict", expected="at least one row", got="none")
    notice_differences(run, frame)
    table = run.decoder.decode(scored(run, frame, reasons=True), frame).frame()
    return to_kind_of(table, source) if paths is None else pl.DataFrame([paths, *table])


ANOMALY_WAY = Way(make_ready, _predict, _evaluate)
