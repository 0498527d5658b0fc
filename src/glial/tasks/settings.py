"""The plan's ``task`` part: what is to be learnt and what counts as an error."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from glial.core.settings import Settings

TaskName = Literal["auto", "classification", "multilabel", "regression"]
LossName = Literal[
    "auto",
    "cross_entropy",
    "focal",
    "mean_squared_error",
    "half_squared_error",
    "mean_absolute_error",
    "huber",
    "custom",
]


class TaskSettings(Settings):
    """What is learnt.

    Example:
        >>> TaskSettings().loss
        'auto'
    """

    name: TaskName = "auto"
    loss: LossName = "auto"
    class_weights: Literal["none", "balanced"] | dict[str, Annotated[float, Field(ge=0)]] = "none"
    label_smoothing: float | None = Field(default=None, ge=0, lt=1)
    focal_gamma: float = Field(default=2.0, ge=0)
    huber_delta: float = Field(default=1.0, gt=0)
    output_range: list[float] | None = None

    @field_validator("output_range")
    @classmethod
    def _two_ends(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and (len(value) != 2 or value[0] >= value[1]):
            raise ValueError("two numbers, the lower end first, such as [0, 100]")
        return value
