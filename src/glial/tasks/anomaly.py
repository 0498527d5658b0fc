"""Learning what is normal, and telling by how far, and in what, a row is not."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from glial.core.errors import InputError
from glial.functional.extremes import LEAST_EXCESSES, extreme_quantile
from glial.tasks.decisions import tuned_threshold
from glial.tasks.labels import LabelType
from glial.tasks.marks import Marks
from glial.tasks.settings import TaskSettings
from glial.tasks.task import Decoded, Loss
from glial.tasks.unlabelled import Generation

logger = logging.getLogger(__name__)

NORMAL, ANOMALY = "normal", "anomaly"
NAMED_COLUMNS, LEAST_SHARE = 3, 0.05  # of what made a row anomalous

Floats = NDArray[np.float64]


class Anomaly(Generation):
    """Learn normal rows; a row's score is the higher, the less it is one of them.

    Outputs are the score of each row and behind it, where reasons are asked for, what each column
    adds to it, [row, 1 + column].

    Args:
        target: The column that marks known anomalies; None of none.
        labels: Its values, and which of them are anomalies; None of none.
        settings: The plan's ``task`` part.
        threshold: The score above which a row is an anomaly; None before it is fitted.
        columns: The columns that outputs are told for.
        usual: What each of them adds to the score of a normal row, in the mean.

    Example:
        >>> task = Anomaly(None, None, TaskSettings(), threshold=1.0, columns=["a", "b"])
        >>> task.decode(torch.tensor([[0.5, 0.3, 0.2], [4.0, 1.0, 3.0]])).frame().rows()
        [('normal', 0.5, ''), ('anomaly', 4.0, 'b 0.75, a 0.25')]
    """

    name = "anomaly"

    def __init__(
        self,
        target: str | None,
        labels: Marks | None,
        settings: TaskSettings,
        *,
        threshold: float | None = None,
        columns: Sequence[str] = (),
        usual: Sequence[float] = (),
    ) -> None:
        super().__init__(None, [], settings)
        self.targets = [] if target is None else [target]
        self.marks = labels
        self.threshold = threshold
        self.columns = list(columns)
        self.usual = list(usual)

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, targets: list[str], settings: TaskSettings, loss: Loss | None
    ) -> Anomaly:
        """The task of training rows, of which one column may mark known anomalies.

        Of two values the rarer marks anomalies; where there is one, every other does, which
        training has not seen; of more ``task.anomaly_labels`` names them.

        Args:
            frame: The training rows, anomalies included.
            targets: The column that marks anomalies, or none.
            settings: The plan's ``task`` part.
            loss: Is not used: the network says what it learns.

        Raises:
            InputError: If the column does not say which rows are anomalies.
        """
        if settings.anomaly_threshold == "labels" and not targets:
            raise InputError(
                "a threshold cannot be fitted to known anomalies without a column that marks them",
                expected="a target, such as --target is_anomaly",
                got="no target",
                do="name the column, or set task.anomaly_threshold=quantile",
            )
        if not targets:
            return cls(None, None, settings)
        return cls(targets[0], Marks.of(frame[targets[0]], settings.anomaly_labels), settings)

    @property
    def num_outputs(self) -> int:
        """0: the network is told nothing beside the rows."""
        return 0

    def learns_from(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that are not marked as anomalies."""
        marked = self.marked(frame)
        return frame if marked is None else frame.filter(~pl.Series(marked))

    def marked(self, frame: pl.DataFrame) -> NDArray[np.bool_] | None:
        """Which rows are marked as anomalies, [row]; None where no column says so."""
        if self.marks is None or self.targets[0] not in frame.columns:
            return None
        return self.marks.of_rows(frame[self.targets[0]])

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """Zeros, [row]: there is nothing to be told of normal rows."""
        return torch.zeros(frame.height, dtype=torch.int64)

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Fit the threshold, and what each column usually adds, to rows not learnt from.

        ``quantile`` is the least score that no more than ``task.anomaly_share`` of normal rows
        exceed, new ones counted in: of n rows the k-th smallest score, k being (n + 1) (1 - share),
        rounded up. ``extreme`` fits a generalised Pareto distribution to the largest tenth of the
        scores, and can so go beyond the largest. ``labels`` has the largest F1.

        Args:
            outputs: Of these rows.
            frame: The rows, marks included where there are any.
            weight: Of each row, for ``labels``.

        Raises:
            InputError: If the rows do not suffice.

        Source:
            Vovk, Gammerman, Shafer (2005), "Algorithmic learning in a random world", chapter 2;
            Bates, Candès, Lei, Romano, Sesia (2023), doi:10.1214/22-AOS2244, section 2.
        """
        marked = self.marked(frame)
        scores = outputs[:, 0].double().numpy()
        normal = np.ones(len(scores), dtype=bool) if marked is None else ~marked
        if not normal.any():
            raise InputError(
                "a threshold needs normal rows",
                expected="at least one that is not marked as an anomaly",
                got="none",
            )
        self.usual = outputs[torch.from_numpy(normal), 1:].double().mean(dim=0).tolist()
        how, share = self.settings.anomaly_threshold, self.settings.anomaly_share
        if isinstance(how, float):
            self.threshold = how
        elif how == "labels":
            self.threshold = _best_f1(scores, ~normal, weight)
        elif how == "extreme" and normal.sum() > LEAST_EXCESSES:
            self.threshold = extreme_quantile(torch.from_numpy(scores[normal]), share)
        else:
            if how == "extreme":
                logger.warning("too few rows for a tail: the threshold is the largest score")
            self.threshold = _conformal_quantile(scores[normal], share)
        told = "as asked" if isinstance(how, float) else how
        logger.info("a score above %.4g is an anomaly (%s)", self.threshold, told)

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """Whether each row is an anomaly, its score and, of an anomaly, which columns made it so.

        The columns are those that add more than to a normal row, the one that adds most first,
        each with its share of all that is added so; up to three of at least a twentieth.
        """
        values = outputs.double().numpy()
        flagged = self.flags(values[:, 0])
        found: dict[str, Any] = {"prediction": self._spelt(flagged), "score": values[:, 0]}
        if self.columns and values.shape[1] > 1:
            beyond = values[:, 1:] - (np.array(self.usual) if self.usual else 0.0)
            told = [
                _reasons(row, self.columns) if is_one else ""
                for row, is_one in zip(beyond, flagged, strict=True)
            ]
            found["because"] = pl.Series(told, dtype=pl.String)
        return Decoded(found)

    def flags(self, scores: Floats) -> NDArray[np.bool_]:
        """Which scores are above the threshold."""
        level = math.inf if self.threshold is None else self.threshold
        return np.asarray(scores > level)

    def _spelt(self, flagged: NDArray[np.bool_]) -> Any:
        if self.marks is not None and len(self.marks.normal) == len(self.marks.anomalous) == 1:
            return self.marks.labels.values(flagged.astype(np.int64))
        return np.where(flagged, ANOMALY, NORMAL)

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """How many rows are told to be anomalies and, where they are marked, how rightly.

        ``roc_auc`` and ``average_precision`` are of scores, ``f1``, ``precision`` and ``recall`` of
        what lies above the threshold.
        """
        values = outputs[:, 0].double().numpy()
        flagged = self.flags(values)
        found = {"flagged_share": float(np.average(flagged, weights=weight))}
        if (marked := self.marked(frame)) is not None:
            found |= anomaly_scores(marked, values, flagged, weight)
        return found

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """The same score for every row, below any threshold."""
        return torch.full((num_rows, 1), -math.inf, dtype=torch.float64)

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """The threshold, and where rows are marked how many of each kind lie above it."""
        found: dict[str, Any] = {"threshold": self.threshold}
        if (marked := self.marked(frame)) is not None:
            flagged = self.flags(outputs[:, 0].double().numpy())
            counts = [[int((marked == a)[flagged == b].sum()) for b in (0, 1)] for a in (0, 1)]
            found["confusion_matrix"] = {"labels": [NORMAL, ANOMALY], "counts": counts}
        return found

    def state(self) -> dict[str, Any]:
        """What was fitted."""
        marks = self.marks
        return {
            "task": self.name,
            "targets": self.targets,
            "normal": [] if marks is None else marks.normal,
            "anomalous": [] if marks is None else marks.anomalous,
            "label_type": None if marks is None else marks.kind,
            "threshold": self.threshold,
            "columns": self.columns,
            "usual": self.usual,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> Anomaly:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        marks = None
        if held.targets:
            if held.label_type is None or not held.normal:
                raise ValueError("there is no value of normal rows")
            marks = Marks(held.normal, held.anomalous, held.label_type)
            marks.labels.typed()
            if len(set(marks.labels.names)) != len(marks.labels.names):
                raise ValueError("a value is both normal and anomalous")
        if held.usual and len(held.usual) != len(held.columns):
            raise ValueError("there is not one usual part a column")
        return cls(
            held.targets[0] if held.targets else None,
            marks,
            settings,
            threshold=held.threshold,
            columns=held.columns,
            usual=held.usual,
        )


def anomaly_scores(
    marked: NDArray[np.bool_],
    scores: Floats,
    flagged: NDArray[np.bool_],
    weight: NDArray[Any] | None = None,
) -> dict[str, float]:
    """How well scores tell marked rows from others.

    Args:
        marked: Which rows are anomalies.
        scores: The higher, the more anomalous.
        flagged: Which rows are told to be anomalies.
        weight: Of each row.

    Returns:
        ``roc_auc``, ``average_precision``, ``f1``, ``precision`` and ``recall``; the first two are
        NaN where all rows are of one kind.

    Example:
        >>> marked, scores = np.array([False, True, False]), np.array([0.1, 0.9, 0.5])
        >>> anomaly_scores(marked, scores, scores > 0.4)["precision"]
        0.5
    """
    from sklearn import metrics

    options = {"zero_division": 0, "sample_weight": weight, "average": "binary"}
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(marked, flagged, **options)
    found = {"roc_auc": math.nan, "average_precision": math.nan}
    if marked.any() and not marked.all():
        finite = np.nan_to_num(scores, nan=1e300, posinf=1e300, neginf=-1e300)
        found = {
            "roc_auc": metrics.roc_auc_score(marked, finite, sample_weight=weight),
            "average_precision": metrics.average_precision_score(
                marked, finite, sample_weight=weight
            ),
        }
    found |= {"f1": f1, "precision": precision, "recall": recall}
    return {name: float(value) for name, value in found.items()}


def _conformal_quantile(scores: Floats, share: float) -> float:
    """The score that at most a share of new rows exceed, if they are like these."""
    place = math.ceil((len(scores) + 1) * (1 - share))
    if place > len(scores):
        logger.warning(
            "%d rows are too few to flag a share of %g: the threshold is the largest score, which "
            "%.2g of new rows are to be expected to exceed",
            len(scores),
            share,
            1 / (len(scores) + 1),
        )
    return float(np.sort(scores)[min(place, len(scores)) - 1])


def _best_f1(scores: Floats, marked: NDArray[np.bool_], weight: NDArray[Any] | None) -> float:
    """The threshold with the largest F1, half way between two scores."""
    if not marked.any():
        raise InputError(
            "a threshold cannot be fitted to known anomalies where there are none",
            expected="marked rows among those for training and validation",
            got="none",
            do="set task.anomaly_threshold=quantile",
        )
    levels, places = np.unique(scores, return_inverse=True)
    # By their order, as what is tuned takes shares.
    chances = (places + 1) / (len(levels) + 1)
    cut = tuned_threshold(chances, marked.astype(np.int64), "f1", weight)
    above = int(np.searchsorted((np.arange(len(levels)) + 1) / (len(levels) + 1), cut))
    if above == 0:
        return float(np.nextafter(levels[0], -np.inf))
    return float(levels[-1] if above == len(levels) else (levels[above - 1] + levels[above]) / 2)


def _reasons(beyond: Floats, columns: list[str]) -> str:
    added = np.maximum(beyond, 0.0)
    if not np.isfinite(added).all():
        added = (~np.isfinite(added)).astype(np.float64)
    total = added.sum()
    if total == 0:
        return ""
    most = np.argsort(-added, kind="stable")[:NAMED_COLUMNS]
    kept = [place for place in most if added[place] >= LEAST_SHARE * total]
    return ", ".join(f"{columns[place]} {added[place] / total:.2f}" for place in kept)


class _State(BaseModel):
    """What ``decoding.json`` holds of the task."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["anomaly"]
    targets: list[str] = Field(max_length=1)
    normal: list[str]
    anomalous: list[str]
    label_type: LabelType | None
    threshold: float | None
    columns: list[str]
    usual: list[Annotated[float, Field()]]
