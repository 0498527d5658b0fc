"""Where a run errs: its surest mistakes, what it confuses, labels that look wrong, copies."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data import read
from glial.data.cells import missing
from glial.data.quality.duplicates import find_duplicates
from glial.data.quality.labels import confident_errors, confident_joint, far_residuals
from glial.data.quality.sheet import SPLITS, Sheet
from glial.data.sources import is_of_files
from glial.evaluation.metrics.answers import ClassAnswers, NumberAnswers, answers_of
from glial.runs import Answered, Run, answer, load

RowNumbers = NDArray[np.int64]
MOST = 10
SHOWN = 6  # columns beside each mistake
FIFTHS = 5


@dataclass(frozen=True)
class Mistakes:
    """Where a run errs on rows whose targets are known.

    Attributes:
        rows: Number of rows.
        wrong: Of classes, how many are answered wrongly; of numbers None.
        table: All wrong rows (of numbers all rows), the surest or largest mistakes first:
            ``row`` counted from 0 in the source, ``truth``, ``prediction``, ``probability`` of
            it and ``probability_of_truth``, or ``error`` (prediction less truth); ``doubtful``,
            whether the label looks wrong; and the columns that are shown.
        confusions: Pairs of classes: ``truth``, ``prediction``, ``rows`` and ``share`` of the
            rows of that truth, the commonest first.
        regions: Of numbers, fifths by the truth: ``from``, ``to``, ``rows``, ``mean_error``
            and ``mean_absolute_error``.
        doubts: Rows whose labels look wrong, the most doubtful first: ``row``, ``given`` and
            ``suggested``.
        joint: The confident joint: ``labels`` and ``counts`` [given][class]; None of numbers.
        copies: Rows that stand there more than once, and those among the other rows:
            ``repeated``, ``conflicting``, ``among_others`` and ``examples``; None of what is no
            table.

    Example:
        >>> Mistakes(3, 1, pl.DataFrame({"row": [2]}), [], [], [], None, None).to_dict()["wrong"]
        1
    """

    rows: int
    wrong: int | None
    table: pl.DataFrame
    confusions: list[dict[str, Any]]
    regions: list[dict[str, Any]]
    doubts: list[dict[str, Any]]
    joint: dict[str, Any] | None
    copies: dict[str, Any] | None = field(default=None)

    def to_dict(self, most: int = MOST) -> dict[str, Any]:
        """The attributes as JSON, of the mistakes the first ones.

        Args:
            most: How many mistakes and doubts.
        """
        return {
            "rows": self.rows,
            "wrong": self.wrong,
            "mistakes": self.table.head(most).rows(named=True),
            "confusions": self.confusions,
            "regions": self.regions,
            "doubtful": len(self.doubts),
            "doubts": self.doubts[:most],
            "confident_joint": self.joint,
            "copies": self.copies,
        }


def find_mistakes(run: Run | str | Path, source: Any, others: Any = None) -> Mistakes:
    """Look at where a run errs, on rows that it has not learnt from.

    Labels look wrong where the run contradicts them with confidence; it must not have been shown
    them, or it may have learnt them. Numbers look wrong more than six robust spreads away.

    Args:
        run: A run of classes or of one number, or its folder.
        source: Rows with their targets.
        others: Rows in which copies of these are looked for, such as those of training.

    Raises:
        InputError: If the task is another, or the rows cannot be read.

    Source:
        Northcutt, Jiang and Chuang 2021, arXiv 1911.00068 (confident learning); Hampel 1974.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=5, out=False)
        >>> found = find_mistakes(run, "iris")
        >>> found.wrong == found.table.height, found.confusions[0]["truth"]
        (True, 'versicolor')
    """
    run = run if isinstance(run, Run) else load(run)
    if run.takes_batches:
        raise InputError(
            "this run was trained on a loader: its rows have no columns to show",
            expected="a run that takes a table",
            got=f"the run {run.path or 'in memory'}",
        )
    frame = _read(run, source)
    found = answer(run, frame)
    answers = answers_of(run.decoder, found.outputs, found.frame)
    numbers = _with_targets(frame, run.decoder.targets)
    copies = _copies(run, found, numbers, None if others is None else _read(run, others))
    if isinstance(answers, ClassAnswers):
        return _of_classes(answers, found, numbers, copies)
    if isinstance(answers, NumberAnswers) and len(answers.names) == 1:
        return _of_numbers(answers, found, numbers, copies)
    raise InputError(
        f"the mistakes of a run of the task {run.task} are not told row by row",
        expected="a run of the task classification, or regression of one target",
        got=f"{run.task} of {', '.join(run.decoder.targets)}",
        do="leave --errors out",
    )


def _read(run: Run, source: Any) -> pl.DataFrame:
    return read(source, run.plan.data.names if is_of_files(source) else None)


def _with_targets(frame: pl.DataFrame, targets: list[str]) -> RowNumbers:
    """The rows that are judged, those whose targets are all known, by their number."""
    gone = np.zeros(frame.height, dtype=bool)
    for name in targets:
        gone |= missing(frame[name]).to_numpy()
    return np.flatnonzero(~gone)


def _shown(found: Answered) -> pl.DataFrame:
    """The columns that tell people which row it is: those set aside first, then inputs."""
    run, frame = found.run, found.frame
    plain = [name for name in frame.columns if not frame[name].dtype.is_nested()]
    rest = [name for name in plain if name not in run.decoder.targets]
    aside = [name for name in rest if name not in run.encoding.columns]
    return frame.select([*aside, *(name for name in rest if name not in aside)][:SHOWN])


def _of_classes(
    answers: ClassAnswers, found: Answered, numbers: RowNumbers, copies: dict[str, Any] | None
) -> Mistakes:
    names, rows = np.array(answers.names), np.arange(len(answers.truth))
    given = found.frame[found.run.decoder.targets[0]].cast(pl.String)
    sure = answers.shares[rows, answers.guess]
    known = answers.truth >= 0
    truth = np.maximum(answers.truth, 0)
    own = np.where(known, answers.shares[rows, truth], 0.0)
    # A class that training never showed has no probability, and cannot be judged by it.
    judged = np.flatnonzero(known)
    doubtful, suggested = confident_errors(truth[judged], answers.shares[judged])
    doubtful = judged[doubtful]
    wrong = np.flatnonzero(answers.guess != answers.truth)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")]
    table = pl.DataFrame(
        {
            "row": numbers,
            "truth": given,
            "prediction": names[answers.guess],
            "probability": sure,
            "probability_of_truth": own,
            "doubtful": np.isin(rows, doubtful),
        }
    )
    doubts = [
        {"row": int(numbers[row]), "given": str(names[truth[row]]), "suggested": str(names[code])}
        for row, code in zip(doubtful, suggested, strict=True)
    ]
    joint = confident_joint(truth[judged], answers.shares[judged])
    return Mistakes(
        len(rows),
        len(wrong),
        _beside(table, _shown(found))[wrong],
        _confusions(table),
        [],
        doubts,
        {"labels": answers.names, "counts": joint.tolist()},
        copies,
    )


def _beside(table: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """The columns shown beside a table, but for names that it has."""
    return table.hstack(shown.select([n for n in shown.columns if n not in table.columns]))


def _confusions(table: pl.DataFrame) -> list[dict[str, Any]]:
    sizes = table.group_by("truth").len("all")
    pairs = table.filter(pl.col("truth") != pl.col("prediction"))
    pairs = pairs.group_by("truth", "prediction").len("rows").join(sizes, on="truth")
    pairs = pairs.with_columns(share=pl.col("rows") / pl.col("all")).drop("all")
    return pairs.sort("rows", "truth", "prediction", descending=[True, False, False]).rows(
        named=True
    )


def _of_numbers(
    answers: NumberAnswers, found: Answered, numbers: RowNumbers, copies: dict[str, Any] | None
) -> Mistakes:
    truth, predicted = answers.truth[:, 0], answers.predicted[:, 0]
    errors = predicted - truth
    far, _ = far_residuals(truth - predicted)
    table = pl.DataFrame(
        {
            "row": numbers,
            "truth": truth,
            "prediction": predicted,
            "error": errors,
            "doubtful": np.isin(np.arange(len(truth)), far),
        }
    )
    doubts = [
        {"row": int(numbers[row]), "given": float(truth[row]), "suggested": float(predicted[row])}
        for row in far
    ]
    order = np.argsort(-np.abs(errors), kind="stable")
    regions = _regions(truth, errors)
    table = _beside(table, _shown(found))[order]
    return Mistakes(len(truth), None, table, [], regions, doubts, None, copies)


def _regions(truth: NDArray[np.float64], errors: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Errors by fifths of the truth; equal truths stay together."""
    ends = np.unique(np.quantile(truth, np.arange(1, FIFTHS) / FIFTHS))
    part = np.searchsorted(ends, truth, side="left")
    return [
        {
            "from": float(truth[chosen].min()),
            "to": float(truth[chosen].max()),
            "rows": int(chosen.sum()),
            "mean_error": float(errors[chosen].mean()),
            "mean_absolute_error": float(np.abs(errors[chosen]).mean()),
        }
        for chosen in (part == number for number in np.unique(part))
    ]


def _copies(
    run: Run, found: Answered, numbers: RowNumbers, others: pl.DataFrame | None
) -> dict[str, Any] | None:
    """Rows that are equal in all columns that the network takes."""
    columns, targets = run.encoding.columns, run.decoder.targets
    kinds = {name: kind for name, kind in run.plan.data.types.items() if name in columns}
    if not kinds or any(kind in ("sequence", "words") for kind in kinds.values()):
        return None
    wanted = [*kinds, *targets]
    own = found.frame.select(wanted)
    within = find_duplicates(Sheet.of([own], targets, kinds, run.task, [numbers]))
    told = {"repeated": within.repeated, "conflicting": within.conflicting}
    if others is None:
        return {**told, "among_others": None, "examples": _places(within.examples, ["source"])}
    for name in wanted:
        if name not in others.columns:
            raise InputError(
                f"the column {name!r} is not in the other rows",
                expected=f"the columns that the run takes: {', '.join(kinds)}",
                got=", ".join(others.columns[:30]),
            )
    parts, given = [others.select(wanted), own], [np.arange(others.height), numbers]
    across = find_duplicates(Sheet.of(parts, targets, kinds, run.task, given))
    places = _places(across.examples, ["others", "source"])
    return {**told, "among_others": across.val, "examples": places}


def _places(examples: list[list[dict[str, Any]]], names: list[str]) -> list[list[dict[str, Any]]]:
    """Sets of equal rows, each told by the table where it stands and its number there."""
    splits = dict(zip(SPLITS, names, strict=False))
    return [[{"in": splits[one["split"]], "row": one["row"]} for one in same] for same in examples]
