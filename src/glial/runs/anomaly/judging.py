"""What a network that learnt normal rows says of others, and how right it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from glial.runs.preparation import weights_of
from glial.runs.run import Run
from glial.runs.unlabelled.judging import in_parts
from glial.runs.ways import Judged, tune
from glial.tasks.anomaly import Anomaly
from glial.tasks.task import trivial_scores


def scored(run: Run, frame: pl.DataFrame, *, reasons: bool = False) -> Tensor:
    """The scores of rows, and what their columns add to them.

    Args:
        run: The run.
        frame: The rows.
        reasons: Whether the columns are asked for; rows of images and sequences have none.

    Returns:
        [row, 1], or [row, 1 + column], in the task's terms.
    """
    network: Any = run.model
    places = torch.tensor(places_of(run))

    def told(rows: tuple[Tensor, ...], _: torch.Generator) -> Tensor:
        scores: Tensor = network.scores(*rows).double()[:, None]
        if not reasons or not len(places):
            return scores
        parts = network.parts(*rows).double()
        columns = parts.new_zeros(len(parts), int(places.max()) + 1)
        return torch.cat([scores, columns.index_add(1, places.to(parts.device), parts)], dim=1)

    return in_parts(run, frame, told)


def places_of(run: Run) -> list[int]:
    """The place among the task's columns of each number of a row."""
    task: Any = run.decoder
    if not task.columns:
        return []
    places = {name: place for place, name in enumerate(task.columns)}
    return [places[name] for name in run.encoding.origins[0]]


def fit_threshold(run: Run, train: pl.DataFrame, val: pl.DataFrame) -> None:
    """Fit what the task asks for to rows that were not learnt from.

    These are the validation rows, and the anomalies among the training rows. An anomaly weighs so
    much less that both kinds are as common as among all these rows.

    Args:
        run: The run.
        train: The training rows, anomalies included.
        val: The validation rows; where there are none the training rows stand in for them.
    """
    task: Any = run.decoder
    found = [task.marked(frame) for frame in (train, val)]
    normal = [
        frame.height if marked is None else int((~marked).sum())
        for frame, marked in zip((train, val), found, strict=True)
    ]
    if not normal[1]:
        tune(task, scored(run, train, reasons=True), train, None)
        return
    if found[0] is None or found[1] is None:
        tune(task, scored(run, val, reasons=True), val, None)
        return
    rows = pl.concat([val, train.filter(pl.Series(found[0]))], how="vertical_relaxed")
    weight = np.where(task.marked(rows), normal[1] / sum(normal), 1.0)
    tune(task, scored(run, rows, reasons=True), rows, weight)


def judged(run: Run, frame: pl.DataFrame, *, baseline: bool) -> Judged:
    """How right a run's scores and threshold are for rows.

    Args:
        run: The run, its threshold fitted.
        frame: The rows.
        baseline: Whether the trivial predictor is judged too, which gives all rows one score.
    """
    task = run.decoder
    assert isinstance(task, Anomaly)  # noqa: S101 - narrows the type
    weight = weights_of(frame, run.plan.data.weight)
    metrics = task.scores(scored(run, frame), frame, weight)
    trivial = trivial_scores(task, frame, weight) if baseline else {}
    return Judged(metrics, trivial)
