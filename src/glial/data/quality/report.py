"""The whole report: every check of a table and its splits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import polars as pl

from glial.core.findings import Finding
from glial.data.quality.columns import describe_columns
from glial.data.quality.duplicates import find_duplicates
from glial.data.quality.evidence import QualityEvidence
from glial.data.quality.findings import findings_of
from glial.data.quality.groups import find_groups, find_times
from glial.data.quality.labels import LabelDoubt, check_labels
from glial.data.quality.leaks import find_giveaways
from glial.data.quality.sheet import SPLITS, Sheet
from glial.data.quality.shift import find_shifts, find_unseen
from glial.data.settings import Kind
from glial.data.splits import Rows

logger = logging.getLogger(__name__)
PATIENCE = 2.0


class QualityReport(QualityEvidence):
    """What a table and its splits are like, and what somebody should look at.

    Its attributes are those of :class:`QualityEvidence`.

    Example:
        >>> frame = pl.DataFrame({"a": [1, 2, None], "y": ["u", "v", "u"]})
        >>> parts = [frame[:2], frame[2:], frame[:0]]
        >>> report = inspect_quality(*parts, ["y"], {"a": "number"}, "classification")
        >>> report.rows, report.columns[0].missing
        ({'train': 2, 'val': 1, 'test': 0}, 1)
    """

    @property
    def labels(self) -> list[LabelDoubt]:
        """Rows whose targets look wrong, the most doubtful of each target first."""
        return [doubt for check in self.label_checks for doubt in check.doubts]

    @property
    def findings(self) -> list[Finding]:
        """What somebody should look at, warnings first."""
        return findings_of(self)

    @property
    def healthy(self) -> bool:
        """Whether no finding is a warning."""
        return all(finding.severity != "warning" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as the JSON that the command line prints."""
        return {
            "task": self.task,
            "targets": self.targets,
            "rows": self.rows,
            "healthy": self.healthy,
            "findings": [finding.to_dict() for finding in self.findings],
            "columns": [column.to_dict() for column in self.columns],
            "duplicates": self.duplicates.to_dict(),
            "giveaways": [giveaway.to_dict() for giveaway in self.giveaways],
            "labels": [doubt.to_dict() for doubt in self.labels],
            "label_checks": [check.to_dict() for check in self.label_checks],
            "shifts": [shift.to_dict() for shift in self.shifts],
            "unseen": [unseen.to_dict() for unseen in self.unseen],
            "groups": [hint.to_dict() for hint in self.groups],
            "times": [hint.to_dict() for hint in self.times],
        }


def inspect_quality(
    train: pl.DataFrame,
    val: pl.DataFrame,
    test: pl.DataFrame,
    targets: Sequence[str],
    kinds: Mapping[str, Kind],
    task: str,
    *,
    seed: int = 0,
    split_by: str | None = None,
    row_numbers: Sequence[Rows] | None = None,
) -> QualityReport:
    """Look at a table before training: everything that is cheap to find out and dear to miss.

    Args:
        train: The rows to train on; every target is known, here and in the other splits.
        val: The rows to validate with; may be empty.
        test: The rows to test with; may be empty.
        targets: The columns to be predicted.
        kinds: Kind of each input column.
        task: ``classification``, ``multilabel`` or ``regression``.
        seed: Seed of samples, folds and models: the same seed gives the same report.
        split_by: The column by which the splits were made, which differs by design.
        row_numbers: The numbers by which the rows of each split are to be named, such as those
            of :func:`split_rows`; by default their own in the split.

    Returns:
        The report.

    Example:
        >>> from glial.data import infer_columns, read, split_rows, SplitSettings
        >>> frame = read("iris")
        >>> kinds = infer_columns(frame.drop("species"), {})
        >>> splits = split_rows(frame, SplitSettings())
        >>> parts = [frame[rows] for rows in splits]
        >>> report = inspect_quality(
        ...     *parts, ["species"], kinds, "classification", row_numbers=splits
        ... )
        >>> report.giveaways, report.healthy
        ([], True)
    """
    parts = dict(zip(SPLITS, (train, val, test), strict=True))
    num_rows = sum(part.height for part in parts.values())
    with _note_if_long(f"looking at {num_rows:,} rows; this takes a moment"):
        sheet = Sheet.of(list(parts.values()), targets, kinds, task, row_numbers)
        return QualityReport(
            task=task,
            targets=list(targets),
            rows={name: part.height for name, part in parts.items()},
            columns=describe_columns(sheet),
            duplicates=find_duplicates(sheet),
            giveaways=find_giveaways(sheet, seed=seed),
            label_checks=check_labels(sheet, seed=seed),
            shifts=find_shifts(sheet, passed_over=split_by),
            unseen=find_unseen(sheet),
            groups=find_groups(sheet),
            times=find_times(sheet),
        )


@contextmanager
def _note_if_long(text: str) -> Iterator[None]:
    """Say something when a block takes longer than two seconds."""
    timer = threading.Timer(PATIENCE, logger.info, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
