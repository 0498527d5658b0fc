"""How differently a run treats groups of rows: rates by group, gaps, and how sure they are."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from glial.core.errors import InputError, unknown_name
from glial.core.progress import share_logger
from glial.evaluation.fairness.gaps import MIN_ROWS, Audit, compare_groups
from glial.evaluation.fairness.rates import Measures, of_classes, of_numbers
from glial.evaluation.fairness.sensitive import groupings
from glial.evaluation.metrics.answers import (
    ClassAnswers,
    LabelAnswers,
    NumberAnswers,
    answers_of,
    clusters_of,
)
from glial.evaluation.metrics.bootstrap import check_bootstrap
from glial.runs.loading import load
from glial.runs.prediction import Answered, answer
from glial.runs.run import Run

logger = logging.getLogger(__name__)


def audit(
    run: Run | str | Path,
    source: Any,
    by: str | Sequence[str],
    *,
    outcome: str | None = None,
    bins: int = 4,
    min_rows: int = MIN_ROWS,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> list[Audit]:
    """How differently a run treats groups of rows.

    For classes: selection rate, true and false positive rates, precision, accuracy, calibration
    of each group; gaps are demographic parity, equal opportunity, predictive equality, equalised
    odds and predictive parity. For numbers: mean prediction and mean errors.

    Args:
        run: The run, or its folder.
        source: Rows with their targets and the sensitive columns, which need not be inputs.
        by: The sensitive columns; with several also every combination of them.
        outcome: The class that is looked at; by default the positive (last) one of two, and each
            of several.
        bins: Bins of numbers with many values.
        min_rows: Groups with fewer rows than this behind a measure are not compared by it.
        confidence: Share of the resamples that an interval holds.
        replicates: Resamples of the rows of each group; 0 for no intervals.
        seed: Of the resamples.

    Returns:
        An audit for each set of columns and each outcome.

    Raises:
        InputError: If a column is missing or tells nothing apart, or the run predicts neither
            classes nor numbers.

    Example:
        >>> import glial
        >>> import polars as pl
        >>> run = glial.train("breast-cancer", model="linear", epochs=2, out=False)
        >>> frame = glial.data.read("breast-cancer")
        >>> frame = frame.with_columns(clinic=pl.Series(["a", "b"] * 284 + ["a"]))
        >>> [found] = audit(run, frame, "clinic", replicates=50)
        >>> [(group.group, group.rows) for group in found.groups]
        [({'clinic': 'a'}, 285), ({'clinic': 'b'}, 284)]
        >>> 0 <= found.gaps["demographic_parity_difference"].value < 0.2
        True
    """
    run = run if isinstance(run, Run) else load(run)
    return audit_answers(
        answer(run, source),
        by,
        outcome=outcome,
        bins=bins,
        min_rows=min_rows,
        confidence=confidence,
        replicates=replicates,
        seed=seed,
    )


def audit_answers(
    found: Answered,
    by: str | Sequence[str],
    *,
    outcome: str | None = None,
    bins: int = 4,
    min_rows: int = MIN_ROWS,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> list[Audit]:
    """How differently answers that a run has given treat groups: see :func:`audit`.

    Raises:
        InputError: If a column is missing or tells nothing apart, or the run predicts neither
            classes nor numbers.

    Example:
        >>> import glial
        >>> import polars as pl
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> frame = glial.data.read("iris").with_columns(half=pl.Series(["a", "b"] * 75))
        >>> [one.outcome for one in audit_answers(answer(run, frame), "half", replicates=0)]
        ['setosa', 'versicolor', 'virginica']
    """
    check_bootstrap(confidence, replicates)
    columns = [by] if isinstance(by, str) else list(by)
    sets = groupings(found.frame, columns, bins=bins)
    looked_at, clusters = list(_outcomes(found, outcome)), clusters_of(found)
    tell = share_logger(logger, "resampling groups")
    audits: list[Audit] = []
    for grouping in sets:
        for name, measures in looked_at:
            tell(len(audits) / (len(sets) * len(looked_at)))
            audits.append(
                compare_groups(
                    measures,
                    grouping,
                    outcome=name,
                    min_rows=min_rows,
                    confidence=confidence,
                    replicates=replicates,
                    seed=seed,
                    clusters=clusters,
                )
            )
    return audits


def _outcomes(found: Answered, asked: str | None) -> Iterator[tuple[str, Measures]]:
    """What is looked at, and what is measured of it."""
    answers = answers_of(found.run.decoder, found.outputs, found.frame)
    if isinstance(answers, ClassAnswers):
        names = answers.names
        if asked is not None and asked not in names:
            raise unknown_name("class", asked, names)
        chosen = names[-1:] if len(names) == 2 else names
        for name in [asked] if asked is not None else chosen:
            code = names.index(name)
            truth, guess = answers.truth == code, answers.guess == code
            yield name, of_classes(truth, guess, answers.shares[:, code], found.weight)
    elif isinstance(answers, LabelAnswers):
        columns = zip(answers.truth.T, answers.guess.T, answers.shares.T, strict=True)
        for name, column in zip(answers.names, columns, strict=True):
            yield name, of_classes(*column, found.weight)
    elif isinstance(answers, NumberAnswers):
        pairs = zip(answers.truth.T, answers.predicted.T, strict=True)
        for name, pair in zip(answers.names, pairs, strict=True):
            yield name, of_numbers(*pair, found.weight)
    else:
        raise InputError(
            f"groups cannot be compared by the task {found.run.task}",
            expected="classification, multilabel or regression",
            got=found.run.task,
            do="leave the sensitive columns out",
        )
