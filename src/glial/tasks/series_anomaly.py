"""Telling which steps of series are anomalies, by how far they are from what was to be expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from glial.core.errors import InputError
from glial.functional.tails import Largest
from glial.tasks.anomaly import Anomaly
from glial.tasks.forecasting import Forecasting
from glial.tasks.marks import Marks
from glial.tasks.settings import TaskSettings
from glial.tasks.task import Loss

Floats = NDArray[np.float64]
SURPRISES = 2  # how far from the forecast, and from the mean of all before


class Surprise:
    """How anomalous the steps of one series are, one after the other, in bounded memory.

    A step's surprise in a column is how far it is from the forecast of the step before, and how far
    from the mean of all before, each beside what one of 200 steps so far exceeded; half of each.
    The score is the root of the mean of their squares over the columns.

    Args:
        largest: The largest of both before, for each column: [column][2].
        adapts: Whether what is seen is learnt from.

    Source:
        Errors of a recurrent network's forecasts as scores: Malhotra et al. (2015), "Long short
        term memory networks for anomaly detection in time series", ESANN.

    Example:
        >>> surprise = Surprise([[Largest(), Largest()]])
        >>> for step in range(40):
        ...     _ = surprise.see(np.array([1.0 + step % 2]), np.array([1.0]))
        >>> score, parts = surprise.see(np.array([4.0]), np.array([1.0]))
        >>> round(score, 2), parts.round(2).tolist()
        (2.75, [7.56])
    """

    def __init__(self, largest: Sequence[Sequence[Largest]], *, adapts: bool = True) -> None:
        self.largest = [[one.copy() for one in column] for column in largest]
        self.adapts = adapts
        self.count = np.zeros(len(self.largest), dtype=np.int64)
        self.total = np.zeros(len(self.largest))

    def see(self, values: Floats, expected: Floats, *, learns: bool = True) -> tuple[float, Floats]:
        """The score of a step, and what each column adds to its square, [column].

        Args:
            values: The step's values, [column]; NaN where missing.
            expected: What was forecast, likewise; NaN of the first steps.
            learns: Whether the step may be learnt from.

        Returns:
            NaN where nothing can be told yet.
        """
        parts = np.full(len(values), np.nan)
        for column, value in enumerate(values):
            if math.isnan(value):
                continue
            mean = self.total[column] / self.count[column] if self.count[column] else math.nan
            errors = (abs(value - expected[column]), abs(value - mean))
            levels = [largest.level() for largest in self.largest[column]]
            if not any(map(math.isnan, (*errors, *levels))):
                shares = [_beside(*pair) for pair in zip(errors, levels, strict=True)]
                parts[column] = (sum(shares) / SURPRISES) ** 2
            if not learns:
                continue
            if self.adapts or any(map(math.isnan, levels)):
                for largest, error in zip(self.largest[column], errors, strict=True):
                    largest.see(float(error))
            self.count[column] += 1
            self.total[column] += value
        known = ~np.isnan(parts)
        if not known.any():
            return math.nan, parts
        parts = np.where(known, parts, 0.0) / known.sum()
        return math.sqrt(parts.sum()), parts


def _beside(error: float, level: float) -> float:
    if error == 0:
        return 0.0
    return error / level if level > 0 else math.inf


class SeriesAnomaly(Anomaly):
    """Forecast each step; the farther it is from that, the more of an anomaly it is.

    Args:
        forecasting: What the network learns.
        target: The column that marks known anomalies; None of none.
        labels: Its values, and which of them are anomalies; None of none.
        settings: The plan's ``task`` part.
        threshold: The score above which a step is an anomaly; None before it is fitted.
        usual: What each column adds to the score of a normal step, in the mean.
        largest: The largest surprises of each series of training, by its name, [column][2].

    Example:
        >>> from glial.data.series import Frequency, WindowForm
        >>> series = (WindowForm(4, 1), Frequency("row", 1.0), False, [])
        >>> forecasting = Forecasting(["y"], *series, TaskSettings())
        >>> SeriesAnomaly(forecasting, None, None, TaskSettings()).columns
        ['y']
    """

    monitored: tuple[str, ...] = Forecasting.monitored

    def __init__(
        self,
        forecasting: Forecasting,
        target: str | None,
        labels: Marks | None,
        settings: TaskSettings,
        *,
        threshold: float | None = None,
        usual: Sequence[float] = (),
        largest: Mapping[str, Sequence[Sequence[Largest]]] | None = None,
    ) -> None:
        columns = forecasting.targets
        super().__init__(
            target, labels, settings, threshold=threshold, columns=columns, usual=usual
        )
        self.forecasting = forecasting
        self.largest = dict(largest or {})

    def surprise(self, name: str = "") -> Surprise:
        """What scores the steps of one series: it knows the surprises that training had there.

        Args:
            name: The series; one that training had not is known nothing of.
        """
        fresh = [[Largest() for _ in range(SURPRISES)] for _ in self.columns]
        known = self.largest.get(name, fresh)
        return Surprise(known, adapts=self.settings.anomaly_adapts or name not in self.largest)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss of forecasts."""
        return self.forecasting.loss(outputs, target, weight)

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """How many values are known."""
        return self.forecasting.mass(target, weight)

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """The figures of forecasts."""
        return self.forecasting.monitor(outputs, target)

    def state(self) -> dict[str, Any]:
        """What was fitted."""
        largest = {
            name: [[{"seen": one.seen, "held": one.held} for one in column] for column in columns]
            for name, columns in self.largest.items()
        }
        return {
            "task": "series-anomaly",
            "anomaly": super().state(),
            "forecasting": self.forecasting.state(),
            "largest": largest,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> SeriesAnomaly:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        anomaly = Anomaly.from_state(held.anomaly, settings)
        forecasting = Forecasting.from_state(held.forecasting, settings)
        if anomaly.columns != forecasting.targets:
            raise ValueError("scores are not told for the columns that are forecast")
        if any(len(columns) != len(forecasting.targets) for columns in held.largest.values()):
            raise ValueError("there are not the surprises of each column")
        try:
            largest = {
                name: [[Largest(seen=o.seen, held=o.held) for o in column] for column in columns]
                for name, columns in held.largest.items()
            }
        except InputError as error:
            raise ValueError(str(error)) from error
        return cls(
            forecasting,
            anomaly.targets[0] if anomaly.targets else None,
            anomaly.marks,
            settings,
            threshold=anomaly.threshold,
            usual=anomaly.usual,
            largest=largest,
        )

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, targets: list[str], settings: TaskSettings, loss: Loss | None
    ) -> SeriesAnomaly:
        """Is not fitted on a table of rows: series have windows, which a plan decides.

        Raises:
            InputError: Always.
        """
        raise InputError(
            "steps of series are not rows of a table",
            expected="a column of times: --time, or data.split.time",
            got="none",
            do="name it, or choose a model of rows",
        )


class _Seen(BaseModel):
    """What ``decoding.json`` holds of the largest surprises of one kind."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    seen: int = Field(ge=0)
    held: list[float]


_Surprises = Annotated[list[_Seen], Field(min_length=SURPRISES, max_length=SURPRISES)]


class _State(BaseModel):
    """What ``decoding.json`` holds of the task."""

    model_config = ConfigDict(extra="forbid", strict=True)

    task: Literal["series-anomaly"]
    anomaly: dict[str, Any]
    forecasting: dict[str, Any]
    largest: dict[str, list[_Surprises]]
