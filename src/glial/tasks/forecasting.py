"""What comes next in series of numbers: a point for each step to come, and quantiles around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from glial.data.cells import numbers
from glial.data.series.times import Frequency, Unit
from glial.data.series.windows import WindowForm
from glial.functional import losses
from glial.functional.quantiles import quantile_loss
from glial.tasks.forecast_metrics import forecast_scores, quantile_scores
from glial.tasks.pooling import deviation, side_by_side
from glial.tasks.settings import TaskSettings
from glial.tasks.task import Decoded, Loss, Task, averaged_members, count_of

Floats = NDArray[np.float64]


class Forecasting:
    """Forecast one number or several for each step of a horizon.

    A network's outputs for a window, [row, output], are a number for each step, target and
    quantile, in this order, in the window's own scale: `loss` and `monitor` take these. What is
    decoded and scored are outputs back in the targets' units, a row for each step of each window,
    [row, target * quantile].

    Args:
        targets: The columns that are forecast.
        form: What a window is.
        frequency: The grid of times.
        logarithm: Whether the logarithms of values are learnt.
        known: The columns that are known in advance.
        settings: Loss and quantiles.
        custom_loss: The user's own ``loss(outputs, target)``, when the settings name it; it sees
            [row, step, target].

    Example:
        >>> form = WindowForm(context=4, horizon=2)
        >>> task = Forecasting(["y"], form, Frequency("row", 1.0), False, [], TaskSettings())
        >>> task.num_outputs, list(task.decode(torch.zeros(1, 3)).predictions)
        (6, ['prediction', 'prediction_0.1', 'prediction_0.5', 'prediction_0.9'])
    """

    name = "forecasting"
    monitored: tuple[str, ...] = ("loss", "scaled_mae")
    thresholds: list[float] | None = None

    def __init__(
        self,
        targets: list[str],
        form: WindowForm,
        frequency: Frequency,
        logarithm: bool,
        known: list[str],
        settings: TaskSettings,
        custom_loss: Loss | None = None,
    ) -> None:
        self.targets = targets
        self.form = form
        self.frequency = frequency
        self.logarithm = logarithm
        self.known = known
        self.settings = settings
        self._custom_loss = custom_loss
        by_quantiles = settings.loss in ("auto", "quantile")
        self.quantiles = sorted(settings.quantiles) if by_quantiles else []
        self._quantiles = torch.tensor(self.quantiles)

    @property
    def num_per_step(self) -> int:
        """Numbers that are forecast for each step."""
        return len(self.targets) * max(1, len(self.quantiles))

    @property
    def num_outputs(self) -> int:
        """One for each step, target and quantile."""
        return self.form.horizon * self.num_per_step

    @property
    def middle(self) -> int:
        """Which quantile is the point forecast: the one nearest the median."""
        return int(np.abs(np.array(self.quantiles or [0.5]) - 0.5).argmin())

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """The targets of a long table, [row, target]; NaN where missing."""
        return torch.from_numpy(_values(frame, self.targets))

    def split(self, outputs: Tensor) -> Tensor:
        """A window's outputs as [row, member, step, target, quantile]."""
        members = outputs.shape[1] if outputs.ndim == 3 else 1
        levels = max(1, len(self.quantiles))
        shape = (outputs.shape[0], members, -1, len(self.targets), levels)
        return outputs.reshape(shape)

    def known_of(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled values and which are known, [row, step, target] each.

        Args:
            target: As `loss` takes it.
        """
        values, observed = target.chunk(2, dim=1)
        shape = (target.shape[0], -1, len(self.targets))
        return values.reshape(shape), observed.reshape(shape)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean loss of all members on scaled values that are known."""
        values, observed = self.known_of(target)
        parts = self.split(outputs)
        values = values[:, None].expand(parts.shape[:-1])
        mask = observed[:, None].expand(parts.shape[:-1])
        if self.quantiles:
            return quantile_loss(parts, values, self._quantiles, weight=mask)
        point = parts[..., 0]
        if self._custom_loss is not None:
            return self._custom_loss(point.flatten(0, 1), values.flatten(0, 1))
        if self.settings.loss == "huber":
            return losses.huber(point, values, delta=self.settings.huber_delta, weight=mask)
        functions = {
            "mean_squared_error": losses.mean_squared_error,
            "half_squared_error": losses.half_squared_error,
        }
        loss = functions.get(self.settings.loss, losses.mean_absolute_error)
        return loss(point, values, weight=mask)

    def spread_around(self, points: Tensor, target: Tensor) -> Tensor:
        """How far each quantile of what came was from points, [target, quantile].

        Args:
            points: Forecasts of some windows, [row, step, target].
            target: What came, as `loss` takes it.
        """
        values, observed = self.known_of(target)
        residuals = values - points
        shares = self._quantiles if self.quantiles else torch.tensor([0.5])
        found = []
        for number in range(residuals.shape[2]):
            known = residuals[..., number][observed[..., number] > 0]
            found.append(torch.quantile(known[:100_000], shares) if len(known) else shares * 0)
        return torch.stack(found)

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """How many values are known."""
        if self._custom_loss is not None:
            return count_of(target)
        return self.known_of(target)[1].sum()

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """The loss, and the mean absolute error of the point forecast on scaled values."""
        mean = averaged_members(outputs.float())
        values, observed = self.known_of(target)
        point = self.split(mean)[:, 0, ..., self.middle]
        error = losses.mean_absolute_error(point, values, weight=observed)
        return {"loss": float(self.loss(mean, target)), "scaled_mae": float(error)}

    def unscaled(self, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """A window's outputs in the targets' units, members averaged and quantiles in order.

        Args:
            outputs: [row, output] or [row, member, output].
            level: As `glial.data.series.Gathered` holds it.
            scale: Likewise.

        Returns:
            A row for each step of each window, [row, target * quantile].
        """
        parts = self.split(averaged_members(outputs.double()))[:, 0]
        values = parts.sort(dim=-1).values * scale[..., None] + level[..., None]
        if self.logarithm:
            values = values.exp()
        return values.reshape(-1, self.num_per_step).cpu()

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Nothing: numbers are not decided between."""

    def values(self, outputs: Tensor) -> Floats:
        """Forecasts of steps, [row, target, quantile]."""
        return outputs.double().cpu().numpy().reshape(len(outputs), len(self.targets), -1)

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The point forecast and the quantiles of each step."""
        values = self.values(outputs)
        columns: dict[str, NDArray[Any]] = {}
        for number, name in enumerate(self._columns("prediction")):
            columns[name] = values[:, number, self.middle]
            for place, share in enumerate(self.quantiles):
                columns[f"{name}_{share:g}"] = values[:, number, place]
        return Decoded(columns)

    def _columns(self, kind: str) -> list[str]:
        several = len(self.targets) > 1
        return [f"{kind}_{name}" for name in self.targets] if several else [kind]

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """Metrics of steps.

        Args:
            outputs: Forecasts of steps.
            frame: The targets of the steps; ``mase`` also needs ``scale_<target>``, what it
                divides by.
            weight: Nothing; steps count alike.
        """
        truth, values = _values(frame, self.targets), self.values(outputs)
        scales = [f"scale_{name}" for name in self.targets]
        scale = np.full(truth.shape, np.nan)
        if set(scales) <= set(frame.columns):
            scale = _values(frame, scales)
        scores = forecast_scores(truth, values[:, :, self.middle], scale)
        return scores | (quantile_scores(truth, values, self.quantiles) if self.quantiles else {})

    def point_scores(self, predicted: Floats, truth: Floats, scale: Floats) -> dict[str, float]:
        """The metrics of forecasts without quantiles, such as the seasonal naive one's.

        Args:
            predicted: [row, target], which stands for each quantile too.
            truth: Likewise.
            scale: Likewise; what ``mase`` divides by.
        """
        scores = forecast_scores(truth, predicted, scale)
        if self.quantiles:
            same = np.repeat(predicted[:, :, None], len(self.quantiles), axis=2)
            found = quantile_scores(truth, same, self.quantiles)
            scores["quantile_loss"] = found["quantile_loss"]
        return scores

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Nothing beyond the metrics."""
        return {}

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """The mean of what several networks forecast."""
        return torch.stack([outputs.double() for _, outputs in members]).mean(dim=0)

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Standard deviation over members of each point forecast."""
        found = deviation(side_by_side(members, self._columns("prediction")))
        return {name: found[:, i] for i, name in enumerate(self._columns("spread"))}

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """Nothing is known of steps without their past: the seasonal naive forecast needs that."""
        return torch.full((num_rows, self.num_per_step), math.nan)

    def state(self) -> dict[str, Any]:
        """Windows, grid of times and columns."""
        return {
            "task": self.name,
            "targets": self.targets,
            "known": self.known,
            "form": vars(self.form),
            "frequency": vars(self.frequency),
            "logarithm": self.logarithm,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> Forecasting:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        form = WindowForm(**held.form.model_dump())
        frequency = Frequency(**held.frequency.model_dump())
        return cls(held.targets, form, frequency, held.logarithm, held.known, settings)


class _Form(BaseModel):
    """What ``decoding.json`` holds of windows."""

    model_config = ConfigDict(extra="forbid", strict=True)

    context: int = Field(ge=1)
    horizon: int = Field(ge=1)
    season: int = Field(ge=1)
    scaling: Literal["series", "window"]


class _Frequency(BaseModel):
    """What ``decoding.json`` holds of a grid of times."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    unit: Unit
    step: float
    origin: float
    day: int = Field(ge=0, le=31)
    form: Literal["ymd", "dmy", "mdy"]


class _State(BaseModel):
    """What ``decoding.json`` holds of forecasts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    task: Literal["forecasting"]
    targets: list[str] = Field(min_length=1)
    known: list[str]
    form: _Form
    frequency: _Frequency
    logarithm: bool


def _values(frame: pl.DataFrame, names: list[str]) -> Floats:
    columns = [numbers(frame[name]).cast(pl.Float64).fill_null(float("nan")) for name in names]
    return np.stack([column.to_numpy() for column in columns], axis=1)
