"""What a trained network says of new rows, and how well it says it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import polars as pl

from glial.core.errors import InputError
from glial.data import check_target, read, to_kind_of
from glial.data.cells import missing
from glial.data.encoders import CategoryEncoder
from glial.runs.preparation import model_inputs, weights_of
from glial.runs.run import Run, load
from glial.tasks.classification import Classification, unseen_labels
from glial.training import outputs_of

logger = logging.getLogger(__name__)


def predict(run: Run | str | Path, source: Any) -> Any:
    """Predictions for the rows of a table, in their order.

    Args:
        run: The run, or its folder.
        source: A file, glob pattern, data set or table in memory; it needs no target.

    Returns:
        A table of the caller's kind (polars for files): ``prediction``
        (``prediction_<name>`` with several outputs) and, for classes, ``probability_<class>``.

    Raises:
        InputError: If columns are missing, or the source cannot be read.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> predict(run, "iris").shape
        (150, 4)
    """
    run = run if isinstance(run, Run) else load(run)
    return to_kind_of(predictions(run, read(source)), source)


def predictions(run: Run, frame: pl.DataFrame) -> pl.DataFrame:
    """Predictions for a table that has been read.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> predictions(run, read("iris").head(2)).height
        2
    """
    if frame.height == 0:
        raise InputError("there are no rows to predict", expected="at least one row", got="none")
    notice_differences(run, frame)
    outputs = outputs_of(run.model, model_inputs(run.encoding, frame))
    return run.decoder.decode(outputs).frame()


def notice_differences(run: Run, frame: pl.DataFrame) -> None:
    """Say how a table differs from the training table where that can be mended.

    Args:
        run: The run.
        frame: A table to predict or evaluate.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> notice_differences(run, read("iris"))
    """
    used = list(run.encoding.encoders)
    data = run.plan.data
    aside = {*run.decoder.targets, data.weight, data.split.group, data.split.time, *data.types}
    new = [name for name in frame.columns if name not in used and name not in aside]
    if new:
        logger.warning("new columns are ignored: %s", ", ".join(new[:10]))
    found = [name for name in frame.columns if name in used]
    if sorted(found) == sorted(used) and found != used:
        logger.warning("the columns stand in another order than in training: matched by name")
    for name, encoder in run.encoding.encoders.items():
        if isinstance(encoder, CategoryEncoder) and name in frame.columns:
            unseen = (encoder.codes(frame[name]) == 0) & ~missing(frame[name]).to_numpy()
            if unseen.any():
                logger.warning(
                    "column %r: %d cells hold values that training never showed, such as %r",
                    name,
                    int(unseen.sum()),
                    frame[name][int(unseen.argmax())],
                )


def evaluate(run: Run | str | Path, source: Any) -> dict[str, Any]:
    """Metrics on rows whose targets are known, beside the trivial predictor's.

    Args:
        run: The run, or its folder.
        source: A file, glob pattern, data set or table in memory, targets included.

    Returns:
        ``metrics``, ``baseline`` and ``details`` (confusion matrix and curves).

    Raises:
        InputError: If columns are missing, or no row has a target.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> sorted(evaluate(run, "iris"))
        ['baseline', 'details', 'metrics']
    """
    run = run if isinstance(run, Run) else load(run)
    frame = check_target(read(source), run.decoder.targets, run.task, varied=False)
    decoder: Any = run.decoder
    if isinstance(decoder, Classification):
        unseen = unseen_labels(decoder, frame)
        if unseen:
            logger.warning(
                "classes that training never showed count as errors: %s", ", ".join(unseen[:10])
            )
    notice_differences(run, frame)
    weight = weights_of(frame, run.plan.data.weight)
    outputs = outputs_of(run.model, model_inputs(run.encoding, frame))
    trivial = run.decoder.trivial_outputs(frame.height)
    return {
        "metrics": run.decoder.scores(outputs, frame, weight),
        "baseline": run.decoder.scores(trivial, frame, weight),
        "details": run.decoder.details(outputs, frame),
    }
