"""What was seen of loaders and of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from glial.core.findings import Place


@dataclass
class LoaderSeen:
    """One ``DataLoader``.

    Attributes:
        name: The variable that holds it, or ``DataLoader``.
        at: Where it was made.
        rows: Of its data set; 0 where that does not tell.
        batch_size: None where batches are made elsewhere.
        shuffles: Whether the order is drawn anew each time.
        workers: Processes that read.
        wait: Seconds that training waited for batches.
        work: Seconds between a batch and the call for the next.
        training: Whether its batches were trained on.
        equal_workers: Whether two of its workers, asked for the same row, draw the same random
            numbers; None where that was not tried or nothing is drawn.

    Example:
        >>> LoaderSeen("loader", rows=100).workers
        0
    """

    name: str
    at: Place | None = None
    rows: int = 0
    batch_size: int | None = None
    shuffles: bool = False
    workers: int = 0
    wait: float = 0.0
    work: float = 0.0
    training: bool = False
    equal_workers: bool | None = None


@dataclass
class RowsSeen:
    """Rows of inputs and targets, kept apart to be compared.

    Attributes:
        train: Number of training rows that were seen.
        evaluated: Number of evaluation rows that were seen.
        distinct: Number of different training rows (inputs only).
        repeated: Training rows that stand twice or more within one pass over the data.
        conflicting: Training rows that equal another and have a different target.
        columns: Number of input columns.
        crossing: Evaluation rows that equal a training row.
        crossing_share: Their share, evaluations of nothing but training rows left out; 0 where
            not all training rows are known.
        score: How well a simple reference predicts held-out training rows, from 0, a constant,
            to 1, perfect; NaN where it was not tried.
        single_column: The input column that alone predicts best.
        single_score: How well, on the same scale.
        copied: Whether that column is the target itself, or a straight line of it.
        suspects: Share of the rows whose label the reference surely contradicts.
        missed: Share of the rows whose label the reference does not find.
        surely_wrong: Likewise, of the quarter of the rows that it is surest of.
        surest_vote: The share of the votes that its answers for these rows have.
        stand_in: A number that stands far from all others in columns of training rows, again and
            again: it may stand for what is missing. NaN where there is none.
        stand_in_share: The share of these columns' values that it is.
        eval_score: How well the reference predicts evaluation rows; NaN without targets.
        eval_fit: The share of the variance of evaluation targets that the network explained, last
            seen; NaN where these are no amounts.
        own_score: How well evaluation rows predict each other, from as many of them as ``peer``
            was measured with; NaN where their targets are not known.
        peer_score: How well as many training rows predict each other.
        contradicted: Share of the training rows whose label a reference of evaluation rows
            surely contradicts, less that share among evaluation rows themselves; NaN if unknown.
        told_apart: How well a forest tells training rows from evaluation rows, as the area under
            the curve: 0.5 not at all, 1 always; NaN where there are too few.
        plain_score: How well the reference predicts held-out training rows as they were before
            random numbers changed them; NaN where nothing changes them so.
        given_score: How well it predicts the very rows as the network was given them.
        unseen_classes: Classes of evaluation rows that training never showed.
        eval_accuracy: The network's own share of right classes in evaluation, last seen.
        confused: The pair of classes that suspects go between most, by their spelling.
        merged: A class that only evaluation has, and the one that its rows look like in training,
            where that has as many rows as two; empty elsewhere.

    Example:
        >>> RowsSeen().train
        0
    """

    train: int = 0
    evaluated: int = 0
    distinct: int = 0
    repeated: int = 0
    conflicting: int = 0
    columns: int = 0
    crossing: int = 0
    crossing_share: float = 0.0
    score: float = math.nan
    single_column: int | None = None
    single_score: float = math.nan
    copied: bool = False
    suspects: float = math.nan
    missed: float = math.nan
    surely_wrong: float = math.nan
    surest_vote: float = math.nan
    stand_in: float = math.nan
    stand_in_share: float = 0.0
    eval_score: float = math.nan
    eval_fit: float = math.nan
    own_score: float = math.nan
    peer_score: float = math.nan
    contradicted: float = math.nan
    told_apart: float = math.nan
    plain_score: float = math.nan
    given_score: float = math.nan
    unseen_classes: list[str] = field(default_factory=list)
    eval_accuracy: float = math.nan
    confused: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
