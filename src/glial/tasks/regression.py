"""Numbers to be predicted, one or several a row, scaled while they are learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from glial.core.errors import InputError
from glial.data.scaling import Scaling
from glial.data.settings import ScalingName
from glial.functional import losses
from glial.tasks.conformal import Intervals, interval_scores
from glial.tasks.metrics import regression_scores
from glial.tasks.pooling import deviation, side_by_side
from glial.tasks.settings import TaskSettings
from glial.tasks.task import (
    Decoded,
    Loss,
    Task,
    averaged_members,
    count_of,
    expanded_to_members,
)


class Regression:
    """Predict one number or several.

    Args:
        targets: Name of each output's column.
        mean: Mean of each target in training.
        scalings: How each target is scaled while it is learnt.
        settings: Loss and range.
        custom_loss: The user's own ``loss(outputs, target)``, when the settings name it.

    Attributes:
        intervals: Intervals that hold the truth as often as was asked; None says none.
        noise: Root mean squared error of each output on the validation rows; None where there
            were none.
    """

    name = "regression"
    monitored = ("loss", "rmse")
    thresholds: list[float] | None = None

    def __init__(
        self,
        targets: list[str],
        mean: list[float],
        scalings: list[Scaling],
        settings: TaskSettings,
        custom_loss: Loss | None = None,
    ) -> None:
        self.targets = targets
        self.settings = settings
        self.mean = mean
        self.scalings = scalings
        self._custom_loss = custom_loss
        self.intervals: Intervals | None = None
        self.noise: list[float] | None = None

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        targets: list[str],
        settings: TaskSettings,
        loss: Loss | None,
        *,
        scale: bool | ScalingName = True,
    ) -> Regression:
        """The task for the training rows of a table."""
        values = _values(frame, targets)
        how: ScalingName = "standard" if scale is True else scale or "none"
        scalings = [_scaling(column, how) for column in values.T]
        task = cls(targets, values.mean(axis=0).tolist(), scalings, settings, loss)
        task.check_range(values)
        return task

    def check_range(self, values: NDArray[np.float64]) -> None:
        """Refuse an output range that the training targets leave.

        Raises:
            InputError: If a target lies outside ``task.output_range``.
        """
        ends = self.settings.output_range
        if ends and (values.min() < ends[0] or values.max() > ends[1]):
            raise InputError(
                "the targets leave task.output_range",
                expected=f"targets between {ends[0]} and {ends[1]}",
                got=f"from {values.min():g} to {values.max():g}",
                do="widen task.output_range, or leave it out",
            )

    @property
    def num_outputs(self) -> int:
        """One a target."""
        return len(self.targets)

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """Scaled targets, [row, output]."""
        return torch.from_numpy(self._scaled(_values(frame, self.targets))).float()

    def _scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers in the targets' units, [row, output], as they are learnt."""
        return np.stack([s.apply(v) for s, v in zip(self.scalings, values.T, strict=True)], axis=1)

    def _unscaled(self, scaled: Tensor) -> NDArray[np.float64]:
        values = scaled.double().cpu().numpy()
        return np.stack([s.undo(v) for s, v in zip(self.scalings, values.T, strict=True)], axis=1)

    def _ends(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The scaled ends of the output range, [output] each."""
        ends = np.array(self.settings.output_range)[:, None].repeat(len(self.targets), axis=1)
        low, high = torch.from_numpy(self._scaled(ends)).to(outputs)
        return low, high

    def _bounded(self, outputs: Tensor) -> Tensor:
        if self.settings.output_range is None:
            return outputs
        low, high = self._ends(outputs)
        return low + (high - low) * outputs.sigmoid()

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean loss of all members on scaled targets."""
        return self._loss(*expanded_to_members(self._bounded(outputs), target, weight))

    def _loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        if self._custom_loss is not None:
            return self._custom_loss(outputs, target)
        name = self.settings.loss
        if name == "huber":
            return losses.huber(outputs, target, delta=self.settings.huber_delta, weight=weight)
        functions = {
            "mean_absolute_error": losses.mean_absolute_error,
            "half_squared_error": losses.half_squared_error,
        }
        return functions.get(name, losses.mean_squared_error)(outputs, target, weight=weight)

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The number of rows, or the sum of their weights."""
        own = self._custom_loss is not None
        return count_of(target) if weight is None or own else weight.sum()

    def truth(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """True numbers in the targets' units, [row, output]."""
        return _values(frame, self.targets)

    def values(self, outputs: Tensor) -> NDArray[np.float64]:
        """Predicted numbers in the targets' units, [row, output], averaged over members."""
        return self._unscaled(averaged_members(self._bounded(outputs.double().cpu())))

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """The loss on scaled targets, and the root mean squared error in the targets' units."""
        scaled = averaged_members(self._bounded(outputs.float()))
        errors = self._unscaled(scaled) - self._unscaled(target)
        rmse = np.sqrt((errors**2).mean(axis=0)).mean()
        return {"loss": float(self._loss(scaled, target)), "rmse": float(rmse)}

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Fit intervals where the plan asks for them, and note how large errors are.

        Raises:
            InputError: If there are too few rows for intervals.
        """
        values, truth = self.values(outputs), _values(frame, self.targets)
        errors = np.sqrt((np.square(values - truth)).mean(axis=0))
        self.noise = errors.tolist() if np.isfinite(errors).all() else None
        self.intervals, coverage = None, self.settings.coverage
        if coverage is not None:
            self.intervals = Intervals.fit(coverage, values, truth, self._deviation(outputs))

    def _deviation(self, outputs: Tensor) -> NDArray[np.float64] | None:
        """Standard deviation over members of each number; None where one network has no members."""
        if outputs.ndim != 3 or outputs.shape[1] < 2:
            return None
        return deviation(np.stack([self.values(one) for one in outputs.unbind(dim=1)]))

    def _ends_of_intervals(
        self, values: NDArray[np.float64], outputs: Tensor
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        if self.intervals is None:
            return None
        low, high = self.intervals.ends(values, self._deviation(outputs))
        ends = self.settings.output_range
        if ends is not None:
            low, high = np.clip(low, ends[0], ends[1]), np.clip(high, ends[0], ends[1])
        return low, high

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The predicted numbers, and their intervals where there are any."""
        values = self.values(outputs)
        parts = {"prediction": values}
        if (ends := self._ends_of_intervals(values, outputs)) is not None:
            parts |= {"prediction_low": ends[0], "prediction_high": ends[1]}
        return Decoded(
            {
                name: numbers[:, i]
                for kind, numbers in parts.items()
                for i, name in enumerate(self._columns(kind))
            }
        )

    def _columns(self, kind: str) -> list[str]:
        """Names of columns with a number for each output."""
        several = len(self.targets) > 1
        return [f"{kind}_{name}" for name in self.targets] if several else [kind]

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """Metrics of a regression, and of its intervals where there are any."""
        truth, values = self.truth(frame), self.values(outputs)
        scores = regression_scores(truth, values, weight)
        if (ends := self._ends_of_intervals(values, outputs)) is not None:
            scores |= interval_scores(*ends, truth, weight)
        return scores

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Nothing beyond the metrics."""
        return {}

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """Outputs that stand for the mean of the predicted numbers."""
        values = side_by_side(members, self._columns("prediction")).mean(axis=0)
        scaled = torch.from_numpy(self._scaled(values))
        if self.settings.output_range is None:
            return scaled
        low, high = self._ends(scaled)
        return ((scaled - low) / (high - low)).logit(eps=1e-12)

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Standard deviation over members of each predicted number."""
        found = deviation(side_by_side(members, self._columns("prediction")))
        return {name: found[:, i] for i, name in enumerate(self._columns("spread"))}

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """Outputs that stand for the training mean."""
        row = torch.from_numpy(self._scaled(np.array([self.mean])))[0]
        if self.settings.output_range is not None:
            low, high = self._ends(row)
            row = ((row - low) / (high - low)).logit(eps=1e-9)
        return row.expand(num_rows, -1)

    def state(self) -> dict[str, Any]:
        """Means and scalings of the targets, and what was fitted on validation rows."""
        fitted: dict[str, Any] = {} if self.noise is None else {"noise": self.noise}
        if self.intervals is not None:
            fitted["intervals"] = self.intervals.model_dump()
        return {
            "task": self.name,
            "targets": self.targets,
            "mean": self.mean,
            "scalings": [{**vars(s), "knots": s.knots.tolist()} for s in self.scalings],
            **fitted,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> Regression:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        if not len(held.targets) == len(held.mean) == len(held.scalings):
            raise ValueError("the targets, their means and their scalings do not match")
        scalings = [
            Scaling(s.how, s.shift, s.factor, s.power, np.array(s.knots, dtype=np.float64))
            for s in held.scalings
        ]
        task = cls(held.targets, held.mean, scalings, settings)
        parts = [held.noise]
        if held.intervals is not None:
            parts += [held.intervals.widths, held.intervals.floors]
        if any(part is not None and len(part) != len(held.targets) for part in parts):
            raise ValueError("the intervals are those of other outputs")
        task.noise, task.intervals = held.noise, held.intervals
        return task


class _ScalingState(BaseModel):
    """What ``decoding.json`` holds of a scaling."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    how: ScalingName
    shift: float
    factor: float
    power: float
    knots: list[float]


class _State(BaseModel):
    """What ``decoding.json`` holds of a regression."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["regression"]
    targets: list[str] = Field(min_length=1)
    mean: list[float]
    scalings: list[_ScalingState]
    noise: list[Annotated[float, Field(ge=0)]] | None = None
    intervals: Intervals | None = None


def _scaling(values: NDArray[np.float64], how: ScalingName) -> Scaling:
    """A target's scaling; a robust one without its bend, which outputs might pass."""
    fitted = Scaling.fit(values, how)
    return replace(fitted, how="standard") if how == "robust" else fitted


def _values(frame: pl.DataFrame, targets: list[str]) -> NDArray[np.float64]:
    columns = []
    for name in targets:
        column = frame[name]
        if column.dtype == pl.String:
            column = column.str.strip_chars()
        values = column.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
        if not np.isfinite(values).all():
            place = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(
                f"the target {name!r} is not a finite number in every row",
                expected="a finite number",
                got=f"{frame[name][place]!r} in row {place + 1}",
                do="mend or drop these rows, or choose --task classification",
            )
        columns.append(values)
    return np.stack(columns, axis=1)
