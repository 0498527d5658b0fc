"""The way of the tasks ``generate`` and ``reduce``."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch

from glial.core.errors import InputError
from glial.core.seeds import torch_generator
from glial.data import read, to_kind_of
from glial.data.sources import is_of_files
from glial.runs.prediction import notice_differences, read_for
from glial.runs.run import Run
from glial.runs.unlabelled.judging import judged, judged_samples, told
from glial.runs.unlabelled.ready import make_ready
from glial.runs.ways import Way


def _evaluate(run: Run, source: Any) -> dict[str, Any]:
    """``metrics``, ``baseline`` and ``details`` of a run on a source."""
    frame = _read(run, source)
    order = torch.randperm(frame.height, generator=torch_generator(0, "two halves")).numpy()
    # Training rows are not at hand: samples are judged beside one half, the other is the yardstick.
    halves = [frame[part] for part in np.array_split(order, 2)]
    found = judged(run, frame, baseline=True)
    quality = judged_samples(run, *halves)
    if quality is None:
        return {"metrics": found.metrics, "baseline": found.baseline, "details": {}}
    return {
        "metrics": {**found.metrics, **quality.samples},
        "baseline": {**found.baseline, **quality.baseline},
        "details": {"reference": quality.reference, "rows_of_each": quality.num_rows},
    }


def _predict(run: Run, source: Any) -> Any:
    """The embedding of each row where the network reduces, and its figures."""
    frame, paths = read_for(run, source)
    if frame.height == 0:
        raise InputError("there are no rows to predict", expected="at least one row", got="none")
    notice_differences(run, frame)
    table = run.decoder.decode(told(run, frame), frame).frame()
    return to_kind_of(table, source) if paths is None else pl.DataFrame([paths, *table])


def _read(run: Run, source: Any) -> pl.DataFrame:
    frame = read(source, run.plan.data.names if is_of_files(source) else None)
    if frame.height == 0:
        raise InputError("there are no rows to judge", expected="at least one row", got="none")
    notice_differences(run, frame)
    return frame


UNLABELLED_WAY = Way(make_ready, _predict, _evaluate)
