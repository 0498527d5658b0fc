"""Several yes-or-no questions on each row: a sigmoid for each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from glial.core.errors import InputError
from glial.functional import losses
from glial.tasks.calibration import Calibrator, calibrated, checked_calibration, fit_calibration
from glial.tasks.decisions import check_threshold, checked_thresholds, tuned_threshold
from glial.tasks.labels import Labels, LabelType
from glial.tasks.metrics import Codes, Floats, multilabel_scores
from glial.tasks.pooling import deviation, side_by_side
from glial.tasks.settings import TaskSettings
from glial.tasks.task import (
    Decoded,
    Loss,
    Task,
    averaged_members,
    count_of,
    expanded_to_members,
    try_each,
)

logger = logging.getLogger(__name__)


class Multilabel:
    """Answer several yes-or-no questions on each row.

    Args:
        targets: Name of each question's column.
        labels: The two values of each; the last in sorted order is "yes".
        shares: Share of "yes" in training, a number a column.
        settings: Loss, smoothing and weights.
        custom_loss: The user's own ``loss(outputs, target)``, when the settings name it.

    Attributes:
        thresholds: The least probability of each question at which the answer is yes; None is
            a half for each.
        calibration: What makes the probabilities of each question say how often they are right;
            None leaves those of a question, or of all.
    """

    name = "multilabel"
    monitored = ("loss", "accuracy")

    def __init__(
        self,
        targets: list[str],
        labels: list[Labels],
        shares: list[float],
        settings: TaskSettings,
        custom_loss: Loss | None = None,
    ) -> None:
        self.targets = targets
        self.labels = labels
        self.shares = shares
        self.settings = settings
        self._custom_loss = custom_loss
        check_threshold(settings, 2)
        given = settings.threshold
        self.thresholds = [given] * len(targets) if isinstance(given, float) else None
        self.calibration: list[Calibrator | None] | None = None

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, targets: list[str], settings: TaskSettings, loss: Loss | None
    ) -> Multilabel:
        """The task for the training rows of a table.

        Raises:
            InputError: If a target has not exactly two values.
        """
        labels = [Labels.of(frame[name]) for name in targets]
        for name, found in zip(targets, labels, strict=True):
            if len(found.names) != 2:
                raise InputError(
                    f"the target {name!r} is not a yes-or-no question",
                    expected="two values in the training rows",
                    got=f"{len(found.names)} values",
                    do="leave this target out, or choose another task",
                )
        task = cls(targets, labels, [], settings, loss)
        task.shares = task.encode(frame).mean(dim=0).tolist()
        return task

    @property
    def num_outputs(self) -> int:
        """One a question."""
        return len(self.targets)

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """1.0 for yes and 0.0 for no, [row, question]."""
        columns = [
            torch.from_numpy(labels.codes(frame[name]))
            for name, labels in zip(self.targets, self.labels, strict=True)
        ]
        return torch.stack(columns, dim=1).clamp_min(0).float()

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Binary cross-entropy (or focal loss), the mean over questions, rows and members."""
        outputs, target, weight = expanded_to_members(outputs, target, weight)
        if self._custom_loss is not None:
            return self._custom_loss(outputs, target)
        weight = self._answer_weight(target, weight)
        flat = None if weight is None else weight.flatten()
        if self.settings.loss == "focal":
            gamma = self.settings.focal_gamma
            codes = target.flatten().long()
            return losses.focal(outputs.flatten(), codes, gamma=gamma, weight=flat)
        smoothing = self.settings.label_smoothing or 0.0
        smoothed = target.flatten() * (1 - smoothing) + smoothing / 2
        return losses.binary_cross_entropy(outputs.flatten(), smoothed, weight=flat)

    def _answer_weight(self, target: Tensor, weight: Tensor | None) -> Tensor | None:
        """The weight of each answer, [row, question], that of its class included."""
        if self.settings.class_weights == "balanced":
            shares = torch.tensor(self.shares).to(target)
            by_class = torch.where(target > 0.5, 0.5 / shares, 0.5 / (1 - shares))
            return by_class if weight is None else by_class * weight[:, None]
        return None if weight is None else weight[:, None].expand_as(target)

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The number of rows, or the sum of their answers' weights."""
        if self._custom_loss is not None:
            return count_of(target)
        weight = self._answer_weight(target, weight)
        return count_of(target) if weight is None else weight.sum()

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Probability of yes, [row, question], averaged over members, before calibration."""
        return averaged_members(outputs.sigmoid())

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """Log loss, and the share of rows with every answer right."""
        shares = self.probabilities(outputs.float()).clamp(1e-7, 1 - 1e-7)
        loss = -(target * shares.log() + (1 - target) * (1 - shares).log()).mean()
        correct = ((shares >= 0.5) == (target > 0.5)).all(dim=1).float().mean()
        return {"loss": float(loss), "accuracy": float(correct)}

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Fit what the plan asks for: each question's calibration, then its threshold.

        Raises:
            InputError: If the calibration of a question cannot be fitted; all else has been.
        """
        truth = self.encode(frame).numpy().astype(np.int64)
        weight = None if weight is None else np.asarray(weight, dtype=np.float64)
        shares, name = self._raw(outputs), self.settings.calibration
        self.calibration = None if name == "none" else [None] * len(self.targets)
        questions = range(0 if name == "none" else len(self.targets))
        steps = [partial(self._fit_calibration, i, shares[:, i], truth, weight) for i in questions]
        try_each([*steps, partial(self._fit_thresholds, outputs, truth, weight)])

    def _fit_calibration(self, i: int, yes: Floats, truth: Codes, weight: Floats | None) -> None:
        name = self.settings.calibration
        if self.calibration is not None and name != "none":
            shares = np.stack([1 - yes, yes], axis=1)
            self.calibration[i] = fit_calibration(name, shares, truth[:, i], weight)

    def _fit_thresholds(self, outputs: Tensor, truth: Codes, weight: Floats | None) -> None:
        metric = self.settings.threshold
        if not isinstance(metric, str):
            return
        # The mean of the questions' F1 is largest where each is.
        metric = "f1" if metric == "f1_macro" else metric
        pairs = zip(self._shares(outputs).T, truth.T, strict=True)
        self.thresholds = [tuned_threshold(p, t, metric, weight) for p, t in pairs]
        texts = ", ".join(f"{value:.4g}" for value in self.thresholds)
        logger.info("thresholds %s, tuned for %s on %d rows", texts, metric, len(truth))

    def _raw(self, outputs: Tensor) -> Floats:
        return np.asarray(self.probabilities(outputs.double().cpu()).numpy())

    def _shares(self, outputs: Tensor) -> Floats:
        """Calibrated probabilities of yes, [row, question]."""
        shares = self._raw(outputs)
        if self.calibration is None:
            return shares
        columns = [
            calibrated(one, np.stack([1 - yes, yes], axis=1))[:, 1]
            for one, yes in zip(self.calibration, shares.T, strict=True)
        ]
        return np.stack(columns, axis=1)

    def _decide(self, shares: Floats) -> NDArray[np.bool_]:
        return shares >= (0.5 if self.thresholds is None else np.array(self.thresholds))

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The likelier answer to each question and the probability of yes."""
        shares = self._shares(outputs)
        guess = self._decide(shares).astype(np.int64)
        return Decoded(
            {
                f"prediction_{name}": self.labels[i].values(guess[:, i])
                for i, name in enumerate(self.targets)
            },
            {f"probability_{name}": shares[:, i] for i, name in enumerate(self.targets)},
        )

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """Metrics of a multi-label classifier; rows are not weighted."""
        truth = self.encode(frame).numpy() > 0.5
        shares = self._shares(outputs)
        return multilabel_scores(truth, shares, self._decide(shares))

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Nothing beyond the metrics."""
        return {}

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """Scores of the mean probabilities of yes."""
        return torch.from_numpy(self._member_shares(members).mean(axis=0)).logit(eps=1e-12)

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Standard deviation over members of each answer's probability."""
        found = deviation(self._member_shares(members))
        return {f"spread_{name}": found[:, i] for i, name in enumerate(self.targets)}

    def _member_shares(self, members: Sequence[tuple[Task, Tensor]]) -> NDArray[np.float64]:
        """Probabilities of yes of each member, [member, row, question]."""
        return side_by_side(members, [f"probability_{name}" for name in self.targets])

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """Scores whose probabilities are the shares of yes in training."""
        return torch.tensor(self.shares, dtype=torch.float64).logit(eps=1e-9).expand(num_rows, -1)

    def state(self) -> dict[str, Any]:
        """Values and shares of each question, and what was fitted on validation rows."""
        fitted: dict[str, Any] = {}
        if self.thresholds is not None:
            fitted["thresholds"] = self.thresholds
        if self.calibration is not None:
            fitted["calibration"] = [c and c.model_dump() for c in self.calibration]
        return {
            "task": self.name,
            "targets": self.targets,
            "classes": [labels.names for labels in self.labels],
            "label_types": [labels.kind for labels in self.labels],
            "shares": self.shares,
            **fitted,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> Multilabel:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        pairs = zip(held.classes, held.label_types, strict=True)
        labels = [Labels(names, kind) for names, kind in pairs]
        for one in labels:
            one.typed()
        if len({len(held.targets), len(labels), len(held.shares)}) != 1:
            raise ValueError("the targets, their values and their shares do not match")
        task = cls(held.targets, labels, held.shares, settings)
        task.thresholds = checked_thresholds(held.thresholds, task.num_outputs, settings)
        if held.calibration is not None:
            if len(held.calibration) != task.num_outputs:
                raise ValueError("the calibrations of other questions")
            task.calibration = [checked_calibration(one, 2) for one in held.calibration]
        return task


class _State(BaseModel):
    """What ``decoding.json`` holds of a multi-label classification."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["multilabel"]
    targets: list[str] = Field(min_length=1)
    classes: list[Annotated[list[str], Field(min_length=2, max_length=2)]]
    label_types: list[LabelType]
    shares: list[Annotated[float, Field(ge=0, le=1)]]
    thresholds: list[Annotated[float, Field(ge=0, le=1)]] | None = None
    calibration: list[Calibrator | None] | None = None
