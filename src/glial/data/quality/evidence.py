"""What was measured of a table and its splits."""

from __future__ import annotations

from dataclasses import dataclass

from glial.data.quality.columns import ColumnQuality
from glial.data.quality.duplicates import Duplicates
from glial.data.quality.groups import GroupHint, TimeHint
from glial.data.quality.labels import LabelCheck
from glial.data.quality.leaks import Giveaway
from glial.data.quality.shift import Shift, Unseen


@dataclass(frozen=True)
class QualityEvidence:
    """What was measured of a table and its splits. Rows are counted from 0.

    Attributes:
        task: What is to be learnt.
        targets: The columns to be predicted.
        rows: Number of rows of each split.
        columns: Every input: kind, missing cells, commonest value, verdict.
        duplicates: Rows that are equal in all inputs, within the table and across splits.
        giveaways: Columns that predict the target nearly perfectly by themselves.
        label_checks: For each target that could be judged, the rows where it looks wrong.
        shifts: Columns spread otherwise in validation or test than in training.
        unseen: Categories with values that training never showed.
        groups: Columns by which rows seem to belong together, across the splits.
        times: Columns by which training rows do not come first.
    """

    task: str
    targets: list[str]
    rows: dict[str, int]
    columns: list[ColumnQuality]
    duplicates: Duplicates
    giveaways: list[Giveaway]
    label_checks: list[LabelCheck]
    shifts: list[Shift]
    unseen: list[Unseen]
    groups: list[GroupHint]
    times: list[TimeHint]
