"""What a trained network says of new rows, and how well it says it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data import check_target, read, to_kind_of
from glial.data.conll import TOKENS
from glial.data.encoders import (
    ColumnEncoder,
    ImageEncoder,
    SequenceEncoder,
    SoundEncoder,
    TensorEncoder,
    WordFeaturesEncoder,
)
from glial.data.files import read_lines
from glial.data.folders import PATH
from glial.data.lists import check_same_lengths, num_steps, split_words
from glial.data.names import NamePattern
from glial.data.sources import files_of, is_of_files
from glial.runs.handing import check_takes_answers, refused_rows, with_answers
from glial.runs.loading import load
from glial.runs.preparation import weights_of
from glial.runs.ready import make_ready
from glial.runs.run import Run
from glial.runs.uncertainty import check_doubts, doubts
from glial.runs.ways import Answered as Answered
from glial.runs.ways import Way, way_of
from glial.tasks.classification import Classification
from glial.tasks.tagging import Tagging, unseen_tags

logger = logging.getLogger(__name__)


def predict(
    run: Run | str | Path,
    source: Any,
    *,
    uncertainty: str | None = None,
    draws: int | None = None,
    answers: Any = None,
) -> Any:
    """Predictions for the rows of a table, in their order.

    Args:
        run: The run, or its folder.
        source: A file, glob pattern, folder of images or sounds, data set or table in memory; it
            needs no target. For a run that was trained on a loader, a loader or the inputs as
            tensors.
        uncertainty: Adds how unsure the network is, told from how far ``members`` differ,
            ``snapshots`` of its training, or draws of its ``dropout``: see `doubts`.
        draws: How often dropout is drawn; 30 by default.
        answers: A table of a person's answers, which stand in place of the network's: see
            `hand_over`.

    Returns:
        A table of the caller's kind (polars for files): ``prediction``
        (``prediction_<name>`` with several outputs) and, for classes, ``probability_<class>``;
        for images and sounds and folders of them ``path`` before these, which it is sorted by.
        Where several networks predict, these are their average, and ``spread``
        (``spread_<name>``) is the standard deviation over them of the number, or of the
        predicted class's probability.

    Raises:
        InputError: If columns are missing, or the source cannot be read.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> predict(run, "iris").shape
        (150, 4)
    """
    run = run if isinstance(run, Run) else load(run)
    doubted = uncertainty is not None or draws is not None
    if not doubted and answers is None:
        return way_of(run).predict(run, source)
    if doubted:
        check_doubts(run, uncertainty, draws)
    if answers is not None:
        check_takes_answers(run)
    frame, paths = read_for(run, source)
    told = predictions(run, frame)
    if doubted:
        told = told.with_columns(**doubts(run, frame, str(uncertainty), draws))
    if answers is not None:
        told = with_answers(run, frame, paths, told, answers)
    return _for_caller(told, paths, source)


def hand_over(run: Run | str | Path, source: Any) -> pl.DataFrame:
    """The rows that a run refuses, for a person to answer.

    Args:
        run: A run that refuses some (``task.refuse`` or ``task.risk``), or its folder.
        source: The rows, as for `predict`.

    Returns:
        ``row``, the number of a refused row in the source from 1 on; the columns of the source
        that a cell can hold; what the network would say; and ``answer``, empty. Filled in, it is
        what `predict` takes as ``answers``.

    Raises:
        InputError: If the run refuses nothing, or the source cannot be read.

    Example:
        >>> import glial
        >>> frame = pl.DataFrame({"a": [1.0, 2.0] * 60, "y": ["n", "p", "p"] * 40})
        >>> options = {"model": "linear", "epochs": 1, "out": False, "set": {"task.refuse": 0.5}}
        >>> run = glial.train(frame, "y", **options)
        >>> [hand_over(run, frame).columns[i] for i in (0, -1)]
        ['row', 'answer']
    """
    run = run if isinstance(run, Run) else load(run)
    check_takes_answers(run)
    frame, paths = read_for(run, source)
    return refused_rows(frame, paths, predictions(run, frame))


def _predict_rows(run: Run, source: Any) -> Any:
    frame, paths = read_for(run, source)
    return _for_caller(predictions(run, frame), paths, source)


def _for_caller(told: pl.DataFrame, paths: pl.Series | None, source: Any) -> Any:
    """Predictions as the caller's kind of table; those of files behind their paths."""
    return to_kind_of(told, source) if paths is None else pl.DataFrame([paths, *told])


def read_for(run: Run, source: Any) -> tuple[pl.DataFrame, pl.Series | None]:
    """The rows of a source as a run takes them, and their paths where they are files.

    Args:
        run: The run.
        source: As for `predict`.

    Returns:
        The rows, those of images and sounds sorted by path, and the column ``path``, or None; of
        plain text for a network that tags words, these in the column ``tokens``.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> frame, paths = read_for(run, "iris")
        >>> frame.height, paths
        (150, None)
    """
    words = [n for n, e in run.encoding.encoders.items() if isinstance(e, WordFeaturesEncoder)]
    if words:
        return _read_sentences(words[0], source)
    frame = read(source, _names_read(run) if is_of_files(source) else None)
    if not is_of_files(source) or PATH not in frame.columns:
        return frame, None
    frame = frame.sort(PATH)
    media = (ImageEncoder, SoundEncoder)
    known = [name for name, e in run.encoding.encoders.items() if isinstance(e, media)]
    # A network of one column of files takes those of a folder, whatever its column was called.
    named = frame.rename({PATH: known[0]}) if len(known) == 1 else frame
    return named, frame[PATH]


def _names_read(run: Run) -> str | None:
    """What the names of files say, where the network was given some of it."""
    names = run.plan.data.names
    fields = [] if names is None else NamePattern.read(names).fields
    return names if set(fields) & set(run.encoding.columns) else None


def _read_sentences(name: str, source: Any) -> tuple[pl.DataFrame, pl.Series | None]:
    """Rows of words: of a table, or of plain text with a sentence a line, which is cut into words.

    Args:
        name: The column of words that training read.
        source: As for `predict`.
    """
    files = files_of(source)
    if files and all(path.suffix.lower() == ".txt" for path in files):
        words = pl.concat([split_words(read_lines(path)) for path in files]).alias(TOKENS)
        return pl.DataFrame({name: words}), words
    frame = read(source)
    if name not in frame.columns and TOKENS in frame.columns:
        frame = frame.rename({TOKENS: name})
    return frame, None


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
    if not run.members:
        return _within(run, frame, run.decoder.decode(run.outputs(frame), frame).frame())
    votes = run.votes(frame)
    table = _within(run, frame, run.decoder.decode(run.decoder.pool(votes), frame).frame())
    return table.with_columns(**run.decoder.spread(votes, frame))


def _within(run: Run, frame: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """Labels of steps, none for a row without any, of which a network sees one that is missing."""
    encoders = run.encoding.encoders
    steps = [name for name, e in encoders.items() if isinstance(e, SequenceEncoder)]
    if run.task != "tagging" or not steps:
        return table
    return table.with_columns(pl.col("prediction").list.head(pl.lit(num_steps(frame[steps[0]]))))


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
    encodings = [one.encoding for one in run.members or [run]]
    used = list(dict.fromkeys(name for encoding in encodings for name in encoding.columns))
    data = run.plan.data
    aside = {*run.decoder.targets, data.weight, data.split.group, data.split.time, *data.types}
    aside |= {*data.fairness.columns}
    new = [name for name in frame.columns if name not in used and name not in aside]
    if new:
        logger.warning("new columns are ignored: %s", ", ".join(new[:10]))
    found = [name for name in frame.columns if name in used]
    if sorted(found) == sorted(used) and found != used:
        logger.warning("the columns stand in another order than in training: matched by name")
    for name in found:
        encoders = [encoding.encoders.get(name) for encoding in encodings]
        unseen = _unseen(frame[name], [encoder for encoder in encoders if encoder is not None])
        if unseen.any():
            logger.warning(
                "column %r: %d cells hold values that training never showed, such as %r",
                name,
                int(unseen.sum()),
                frame[name][int(unseen.argmax())],
            )


def _unseen(column: pl.Series, encoders: list[ColumnEncoder | TensorEncoder]) -> NDArray[np.bool_]:
    """Which cells hold a category that none of these encoders was shown."""
    unseen = np.full(len(column), bool(encoders))
    for encoder in encoders:
        unknown = getattr(encoder, "unknown", None)
        unseen &= False if unknown is None else unknown(column)
    return unseen


def evaluate(run: Run | str | Path, source: Any) -> dict[str, Any]:
    """Metrics on rows whose targets are known, beside the trivial predictor's.

    Args:
        run: The run, or its folder.
        source: A file, glob pattern, data set or table in memory, targets included; for a run
            that was trained on a loader, a loader.

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
    return way_of(run).evaluate(run, source)


def answer(run: Run, source: Any) -> Answered:
    """Read rows with known targets and put them to a run.

    Args:
        run: The run.
        source: As for `evaluate`.

    Raises:
        InputError: If columns are missing, no row has a target, or the run takes no table.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> answer(run, "iris").frame.height
        150
    """
    asked = way_of(run).answer
    if asked is None:
        raise InputError(
            f"a run of the task {run.task} has no answers row by row",
            expected="a run that was trained on a table, on images, sounds, texts or a loader",
            got=f"a run of {run.sizes.get('source', run.task)}",
        )
    return asked(run, source)


def _answer_rows(run: Run, source: Any) -> Answered:
    found = read(source, run.plan.data.names if is_of_files(source) else None)
    frame = check_target(found, run.decoder.targets, run.task, varied=False)
    decoder: Any = run.decoder
    unseen: list[str] = []
    if isinstance(decoder, Classification):
        unseen = decoder.labels.unseen(frame[decoder.targets[0]])
    elif isinstance(decoder, Tagging):
        unseen = unseen_tags(decoder, frame)
        for name, encoder in run.encoding.encoders.items():
            if name in frame.columns:
                steps = isinstance(encoder, SequenceEncoder)
                check_same_lengths(frame[name], frame[decoder.targets[0]], steps=steps)
    if unseen:
        logger.warning(
            "classes that training never showed count as errors: %s", ", ".join(unseen[:10])
        )
    notice_differences(run, frame)
    weight = weights_of(frame, run.plan.data.weight)
    return Answered(run, frame, run.outputs(frame), weight)


def _evaluate_rows(run: Run, source: Any) -> dict[str, Any]:
    return _answer_rows(run, source).judged()


TABLE_WAY = Way(make_ready, _predict_rows, _evaluate_rows, _answer_rows)
