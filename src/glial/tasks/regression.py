"""Numbers to be predicted, one or several a row, scaled while they are learnt."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from glial.core.errors import InputError
from glial.functional import losses
from glial.tasks.metrics import regression_scores
from glial.tasks.settings import TaskSettings
from glial.tasks.task import Decoded, Loss, averaged_members, expanded_to_members


class Regression:
    """Predict one number or several.

    Args:
        targets: Name of each output's column.
        mean: Mean of each target in training.
        std: What each target is divided by: its standard deviation, or 1.
        settings: Loss and range.
        custom_loss: The user's own ``loss(outputs, target)``, when the settings name it.
    """

    name = "regression"
    monitored = ("loss", "rmse")

    def __init__(
        self,
        targets: list[str],
        mean: list[float],
        std: list[float],
        settings: TaskSettings,
        custom_loss: Loss | None = None,
    ) -> None:
        self.targets = targets
        self.settings = settings
        self.mean = torch.tensor(mean, dtype=torch.float64)
        self.std = torch.tensor(std, dtype=torch.float64)
        self._custom_loss = custom_loss

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        targets: list[str],
        settings: TaskSettings,
        loss: Loss | None,
        *,
        scale: bool = True,
    ) -> Regression:
        """The task for the training rows of a table."""
        values = _values(frame, targets)
        std = values.std(axis=0) if scale else np.ones(len(targets))
        # A constant's standard deviation is not 0 but the rounding error of its mean.
        std = np.where(std > 1e-12 * np.abs(values).max(axis=0), std, 1)
        task = cls(
            targets,
            values.mean(axis=0).tolist(),
            std.tolist(),
            settings,
            loss,
        )
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
        values = torch.from_numpy(_values(frame, self.targets))
        return ((values - self.mean) / self.std).float()

    def _bounded(self, outputs: Tensor) -> Tensor:
        ends = self.settings.output_range
        if ends is None:
            return outputs
        low, high = ((end - self.mean) / self.std for end in ends)
        return low.to(outputs) + (high - low).to(outputs) * outputs.sigmoid()

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

    def values(self, outputs: Tensor) -> Tensor:
        """Predicted numbers in the targets' units, [row, output], averaged over members."""
        scaled = averaged_members(self._bounded(outputs.double().cpu()))
        return scaled * self.std + self.mean

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """The loss on scaled targets, and the root mean squared error in the targets' units."""
        scaled = averaged_members(self._bounded(outputs.float()))
        errors = (scaled - target).double().cpu() * self.std
        rmse = errors.square().mean(dim=0).sqrt().mean()
        return {"loss": float(self._loss(scaled, target)), "rmse": float(rmse)}

    def decode(self, outputs: Tensor) -> Decoded:
        """The predicted numbers."""
        values = self.values(outputs).numpy()
        if len(self.targets) == 1:
            return Decoded({"prediction": values[:, 0]})
        return Decoded({f"prediction_{name}": values[:, i] for i, name in enumerate(self.targets)})

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """Metrics of a regression."""
        return regression_scores(_values(frame, self.targets), self.values(outputs).numpy(), weight)

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Nothing beyond the metrics."""
        return {}

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """Outputs that stand for the training mean."""
        row = torch.zeros(self.num_outputs, dtype=torch.float64)
        ends = self.settings.output_range
        if ends is not None:
            row = ((self.mean - ends[0]) / (ends[1] - ends[0])).logit(eps=1e-9)
        return row.expand(num_rows, -1)

    def state(self) -> dict[str, Any]:
        """Means and scales of the targets."""
        return {
            "task": self.name,
            "targets": self.targets,
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> Regression:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        if not len(held.targets) == len(held.mean) == len(held.std):
            raise ValueError("the targets, their means and their scales do not match")
        return cls(held.targets, held.mean, held.std, settings)


class _State(BaseModel):
    """What ``decoding.json`` holds of a regression."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["regression"]
    targets: list[str] = Field(min_length=1)
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


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
