"""One class of several for each row: a sigmoid head for two classes, softmax for more."""

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
from glial.data.sensitive import FairnessSettings
from glial.tasks.calibration import Calibrator, calibrated, checked_calibration, fit_calibration
from glial.tasks.class_loss import class_loss
from glial.tasks.conformal import Sets, set_scores
from glial.tasks.decisions import (
    check_threshold,
    checked_thresholds,
    cost_matrix,
    decide,
    mean_cost,
    tuned_threshold,
    tuned_thresholds,
)
from glial.tasks.fitted import halves
from glial.tasks.group_thresholds import GroupThresholds
from glial.tasks.labels import Labels, LabelType
from glial.tasks.metrics import Codes, Floats, class_details, class_scores
from glial.tasks.pooling import deviation, side_by_side
from glial.tasks.refusal import Refusal, refusal_scores
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
from glial.tasks.weights import class_weight

logger = logging.getLogger(__name__)
PARTS = ("calibration", "by_group", "sets", "refusal")  # what is fitted, beside thresholds


class Classification:
    """Classify each row.

    Args:
        target: Name of the target column.
        labels: The classes.
        shares: Share of each class in training; its logarithm is the trivial predictor.
        settings: Loss, weights and smoothing.
        custom_loss: The user's own ``loss(outputs, target)``, when the settings name it.

    Attributes:
        thresholds: What decides between classes, see :func:`glial.tasks.decisions.decide`; None
            predicts the likeliest.
        calibration: What makes probabilities say how often they are right; None leaves them.
        fairness: Which groups are to be treated alike by their own thresholds; None asks for none.
        by_group: These thresholds, which decide where they were fitted.
        sets: Sets of classes that hold the right one as often as was asked; None says none.
        refusal: Which rows are not answered; None answers all.
        costs: What predicting a class (column) costs where another (row) is true.
    """

    name = "classification"
    monitored = ("loss", "accuracy")

    def __init__(
        self,
        target: str,
        labels: Labels,
        shares: list[float],
        settings: TaskSettings,
        custom_loss: Loss | None = None,
    ) -> None:
        self.targets = [target]
        self.labels = labels
        self.shares = shares
        self.settings = settings
        self._custom_loss = custom_loss
        check_threshold(settings, len(labels.names))
        given = settings.threshold
        self.thresholds = [given] if isinstance(given, float) else None
        self.calibration: Calibrator | None = None
        self.fairness: FairnessSettings | None = None
        self.by_group: GroupThresholds | None = None
        self.sets: Sets | None = None
        self.refusal: Refusal | None = None
        self.costs = cost_matrix(settings.costs, labels.names)
        self._class_weight = class_weight(labels.names, shares, settings, self.costs)

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        targets: list[str],
        settings: TaskSettings,
        loss: Loss | None,
        *,
        fairness: FairnessSettings | None = None,
    ) -> Classification:
        """The task for the training rows of a table.

        Raises:
            InputError: If there are not at least two classes, or a row has none.
        """
        labels = Labels.of(frame[targets[0]])
        codes = labels.codes(frame[targets[0]])
        if len(labels.names) < 2 or (codes < 0).any():
            raise InputError(
                f"the target {targets[0]!r} cannot be learnt",
                expected="a class in every training row, and at least two different ones",
                got=f"{len(labels.names)} classes, {int((codes < 0).sum())} rows without one",
                do="give rows of another class, or drop the rows without one",
            )
        counts = np.bincount(codes, minlength=len(labels.names))
        task = cls(targets[0], labels, (counts / counts.sum()).tolist(), settings, loss)
        task.fairness = fairness if fairness and fairness.how == "thresholds" else None
        return task

    @property
    def num_outputs(self) -> int:
        """One for two classes (the score of the last), else one a class."""
        return 1 if len(self.labels.names) == 2 else len(self.labels.names)

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """Class indices; -1 where the label was never seen in training."""
        return torch.from_numpy(self.labels.codes(frame[self.targets[0]]))

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Cross-entropy or focal loss of all members, weighted by row and class."""
        outputs, target, weight = expanded_to_members(outputs, target, weight)
        if self._custom_loss is not None:
            return self._custom_loss(outputs, target)
        outputs = self._one_score(outputs)
        weight = self._row_weight(target, weight)
        return class_loss(outputs, target, weight, self.settings)

    def _row_weight(self, target: Tensor, weight: Tensor | None) -> Tensor | None:
        """The weight of each row, that of its class included."""
        if self._class_weight is None:
            return weight
        by_class = self._class_weight.to(target.device)[target]
        return by_class if weight is None else weight * by_class

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The number of rows, or the sum of their weights, those of classes included."""
        if self._custom_loss is not None:
            return count_of(target)
        weight = self._row_weight(target, weight)
        return count_of(target) if weight is None else weight.sum()

    def _one_score(self, outputs: Tensor) -> Tensor:
        """The score of the last of two classes, where a network of one's own has one for each."""
        two = self.num_outputs == 1 and outputs.shape[-1] == 2
        return outputs[..., 1:] - outputs[..., :1] if two else outputs

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Probability of each class, [row, class], averaged over members, before calibration."""
        outputs = self._one_score(outputs)
        shares = torch.cat([-outputs, outputs], dim=-1).sigmoid()
        if self.num_outputs > 1:
            shares = outputs.softmax(dim=-1)
        return averaged_members(shares)

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """Log loss and accuracy, rows of unknown classes left out of the first."""
        shares = self.probabilities(outputs.float())
        known = target >= 0
        chosen = shares[known].gather(1, target[known, None]).clamp_min(1e-12)
        guess = shares.argmax(dim=1)
        if self.num_outputs == 1:
            guess = (shares[:, 1] >= shares[:, 0]).long()
        correct = (guess == target).float().mean()
        return {"loss": float(-chosen.log().mean()), "accuracy": float(correct)}

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Fit what the plan asks for: calibration, thresholds by it, then refusal and sets.

        Where refusal or sets are to keep a promise, they are fitted on one half of the rows, and
        what they rest on, on the other.

        Raises:
            InputError: If one of them cannot be fitted; all others have been.
        """
        truth, settings = self._codes(frame), self.settings
        every = np.arange(len(truth))
        split = settings.promises and (settings.chooses or self.fairness)
        choosing, promising = halves(len(truth)) if split else (every, every)
        weight = None if weight is None else np.asarray(weight, dtype=np.float64)[choosing]
        chosen = (outputs[choosing], truth[choosing], weight)
        promised = (outputs[promising], truth[promising])
        try_each(
            [
                partial(self._fit_calibration, *chosen),
                partial(self._fit_thresholds, *chosen),
                partial(self._fit_by_group, *chosen, frame[choosing]),
                partial(self._fit_refusal, *promised, frame[promising]),
                partial(self._fit_sets, *promised),
            ]
        )

    def _fit_calibration(self, outputs: Tensor, truth: Codes, weight: Floats | None) -> None:
        self.calibration, name = None, self.settings.calibration
        if name != "none":
            self.calibration = fit_calibration(name, self._shares(outputs), truth, weight)

    def _fit_thresholds(self, outputs: Tensor, truth: Codes, weight: Floats | None) -> None:
        metric = self.settings.threshold
        if not isinstance(metric, str):
            return
        shares, known = self._shares(outputs), truth >= 0
        weight = None if weight is None else weight[known]
        if self.num_outputs == 1:
            self.thresholds = [tuned_threshold(shares[known, 1], truth[known], metric, weight)]
        else:
            self.thresholds = tuned_thresholds(shares[known], truth[known], metric, weight)
        texts = ", ".join(f"{value:.4g}" for value in self.thresholds)
        logger.info("threshold %s, tuned for %s on %d rows", texts, metric, known.sum())

    def _fit_by_group(
        self, outputs: Tensor, truth: Codes, weight: Floats | None, frame: pl.DataFrame
    ) -> None:
        self.by_group = None
        if self.fairness is not None:
            positive = self._shares(outputs)[:, 1]
            self.by_group = GroupThresholds.fit(self.fairness, positive, truth, frame, weight)

    def _fit_refusal(self, outputs: Tensor, truth: Codes, frame: pl.DataFrame) -> None:
        self.refusal, settings = None, self.settings
        if settings.refuse is not None or settings.risk is not None:
            shares = self._shares(outputs)
            guess = self._decide(shares, frame)
            sure, wrong = _confidence(shares, guess), guess != truth
            self.refusal = Refusal.fit(sure, wrong, risk=settings.risk, share=settings.refuse)

    def _fit_sets(self, outputs: Tensor, truth: Codes) -> None:
        self.sets, coverage = None, self.settings.coverage
        if coverage is not None:
            shares = self._shares(outputs)
            self.sets = Sets.fit(self.settings.conformal, coverage, shares, truth)

    def _shares(self, outputs: Tensor) -> Floats:
        """Calibrated probabilities, [row, class]."""
        shares = np.asarray(self.probabilities(outputs.double().cpu()).numpy())
        return calibrated(self.calibration, shares)

    def _codes(self, frame: pl.DataFrame) -> Codes:
        return self.labels.codes(frame[self.targets[0]])

    def _decide(self, shares: Floats, frame: pl.DataFrame | None) -> Codes:
        """The class of each row, by thresholds or costs where the plan has them."""
        if self.by_group is not None:
            return self.by_group.decide(shares[:, 1], frame)
        by_cost = self.settings.cost_use == "decision"
        return decide(shares, self.thresholds, self.costs if by_cost else None)

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The class that thresholds or costs choose, else the likeliest; each one's probability.

        Beside it, where they were fitted, the set of classes that may be, and whether the row is
        refused.
        """
        shares = self._shares(outputs)
        guess = self._decide(shares, frame)
        told: dict[str, Any] = {"prediction": self.labels.values(guess)}
        if self.sets is not None:
            told["prediction_set"] = self.labels.lists(self.sets.hold(shares))
        if self.refusal is not None:
            told["refused"] = self.refusal.refused(_confidence(shares, guess))
        names = self.labels.names
        return Decoded(told, {f"probability_{name}": shares[:, i] for i, name in enumerate(names)})

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """Metrics of a classifier, with the mean cost of a row where the plan has costs."""
        shares, truth = self._shares(outputs), self._codes(frame)
        guess = self._decide(shares, frame)
        scores = class_scores(truth, shares, weight, guess)
        if self.costs is not None:
            scores["cost"] = mean_cost(truth, guess, self.costs, weight)
        if self.sets is not None:
            scores |= set_scores(self.sets.hold(shares), truth, weight)
        if self.refusal is not None:
            refused = self.refusal.refused(_confidence(shares, guess))
            scores |= refusal_scores(refused, guess != truth, weight)
        return scores

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Confusion matrix and curves."""
        shares = self._shares(outputs)
        guess = self._decide(shares, frame)
        return class_details(self._codes(frame), shares, self.labels.names, guess)

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """Scores of the mean probabilities; a class that a member never saw has 0 from it."""
        shares = self._member_shares(members).mean(axis=0)
        logs = torch.from_numpy(shares).clamp_min(torch.finfo(torch.float64).tiny).log()
        return logs[:, 1:] - logs[:, :1] if self.num_outputs == 1 else logs

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Standard deviation over members of the predicted class's probability."""
        predicted = self.decode(self.pool(members), frame).predictions["prediction"]
        chosen = self.labels.codes(pl.Series(predicted.tolist()))
        found = deviation(self._member_shares(members))
        return {"spread": found[np.arange(len(chosen)), chosen]}

    def _member_shares(self, members: Sequence[tuple[Task, Tensor]]) -> NDArray[np.float64]:
        """Probabilities of each member, [member, row, class]."""
        return side_by_side(members, [f"probability_{name}" for name in self.labels.names])

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """Scores whose probabilities are the class shares of training."""
        logs = torch.tensor(self.shares, dtype=torch.float64).clamp_min(1e-12).log()
        row = (logs[1] - logs[0])[None] if self.num_outputs == 1 else logs
        return row.expand(num_rows, -1)

    def state(self) -> dict[str, Any]:
        """Classes and shares, and what was fitted on validation rows."""
        fitted: dict[str, Any] = {}
        if self.thresholds is not None:
            fitted["thresholds"] = self.thresholds
        for name in PARTS:
            if (part := getattr(self, name)) is not None:
                fitted[name] = part.model_dump()
        return {
            "task": self.name,
            "targets": self.targets,
            "classes": self.labels.names,
            "label_type": self.labels.kind,
            "shares": self.shares,
            **fitted,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> Classification:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        labels = Labels(held.classes, held.label_type)
        labels.typed()
        if len(held.shares) != len(held.classes) or len(set(held.classes)) != len(held.classes):
            raise ValueError("the classes and their shares do not match")
        task = cls(held.targets[0], labels, held.shares, settings)
        task.thresholds = checked_thresholds(held.thresholds, task.num_outputs, settings)
        task.calibration = checked_calibration(held.calibration, len(labels.names))
        task.sets, task.refusal, task.by_group = held.sets, held.refusal, held.by_group
        task.fairness = None if held.by_group is None else held.by_group.settings
        return task


class _State(BaseModel):
    """What ``decoding.json`` holds of a classification."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["classification"]
    targets: list[str] = Field(min_length=1, max_length=1)
    classes: list[str] = Field(min_length=2)
    label_type: LabelType
    shares: list[Annotated[float, Field(ge=0, le=1)]]
    thresholds: list[Annotated[float, Field(ge=0, le=1)]] | None = None
    calibration: Calibrator | None = None
    by_group: GroupThresholds | None = None
    sets: Sets | None = None
    refusal: Refusal | None = None


def _confidence(shares: Floats, guess: Codes) -> Floats:
    """The probability of the class that each row is given, [row]."""
    return np.asarray(shares[np.arange(len(guess)), guess])
