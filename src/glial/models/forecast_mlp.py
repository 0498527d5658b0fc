"""Dense layers over a window and over each step, several members trained as one.

Source:
    Das et al. (2023), "Long-term forecasting with TiDE: time-series dense encoder", arXiv
    2304.08424: a dense encoder, a decoder that all steps share, and a linear way around both; the
    linear way over what is left of the last value: Zeng et al. (2023), "Are transformers effective
    for time series forecasting?", arXiv 2205.13504 (NLinear). Several networks' mean: Oreshkin et
    al. (2020), "N-BEATS", arXiv 1905.10437, section 3.4.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.functional import dropout
from glial.models.forecast import (
    MANY_WINDOWS,
    SMALL,
    ForecastSettings,
    History,
    Known,
    SeasonalView,
    WindowSizes,
    forecast_recipe,
)
from glial.nn.members import MemberDense


class ForecastMLPSettings(ForecastSettings):
    """Dense layers over windows of series.

    Attributes:
        width: Hidden units; None is 64, and 128 from 2,000 windows on.
        members: Networks trained as one, whose mean forecasts.
        dropout: Share of hidden outputs dropped in training.

    Example:
        >>> windows = {"context": 24, "horizon": 12, "season": 12, "targets": 1}
        >>> network = ForecastMLPSettings().build(0, 36, windows=windows)
        >>> network(torch.zeros(2, 24, 1)).shape
        torch.Size([2, 4, 36])
    """

    description: ClassVar[str] = "series: dense layers from the last season on, several members"
    source: ClassVar[str] = "Das et al. (2023), arXiv 2304.08424"

    name: Literal["forecast_mlp"] = "forecast_mlp"
    width: Annotated[int, Field(ge=1)] | None = None
    members: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall.

        Example:
            >>> ForecastMLPSettings.train_defaults("forecasting")["optimizer"]
            'adamw'
        """
        return forecast_recipe(num_rows, lr=0.002, steps=300)

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "forecasting"
    ) -> ForecastMLPSettings:
        """More units where there are many windows."""
        width = self.width or (64 if num_rows < MANY_WINDOWS else 128)
        return self.model_copy(update={"width": width})

    def network(self, sizes: WindowSizes) -> nn.Module:
        """The network of windows of these sizes."""
        return ForecastMLP(self, sizes)


class ForecastMLP(nn.Module):
    """The last season, and what dense layers over the window and each step add to it.

    Args:
        settings: The settings.
        sizes: Of the windows.

    Example:
        >>> windows = {"context": 4, "horizon": 3, "season": 2, "targets": 1}
        >>> network = ForecastMLP(ForecastMLPSettings(members=2), WindowSizes(windows, 0, 9))
        >>> network(torch.zeros(5, 4, 1)).shape
        torch.Size([5, 2, 9])
    """

    def __init__(self, settings: ForecastMLPSettings, sizes: WindowSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.num_members = members = settings.members
        self.dropout = settings.dropout
        width = settings.width or 64
        inputs = sizes.context * sizes.targets
        points = sizes.horizon * sizes.targets
        self.view = SeasonalView(sizes)
        self.linear = MemberDense(members, inputs, points)
        self.encoder = nn.ModuleList(
            [MemberDense(members, inputs, width), MemberDense(members, width, width)]
        )
        self.decoder = MemberDense(members, width, points * sizes.levels)
        self.step_linear = MemberDense(members, sizes.features, sizes.targets)
        self.step_hidden = MemberDense(members, sizes.features, width)
        self.step_head = MemberDense(members, width, sizes.targets * sizes.levels)
        with torch.no_grad():
            for layer in (self.linear, self.decoder, self.step_linear, self.step_head):
                layer.weight.mul_(SMALL)

    @torch.no_grad()
    def start_from(
        self, weights: Float[Tensor, "feature target"], levels: Float[Tensor, "target level"]
    ) -> None:
        """Begin as a regression on the features of steps, and these quantiles around it.

        Args:
            weights: Of the features.
            levels: How far each quantile of what came was from them.
        """
        self.step_linear.weight.copy_(
            (weights / self.step_linear.factor).expand_as(self.step_linear.weight)
        )
        self.step_head.bias.copy_(levels.flatten().expand_as(self.step_head.bias))

    def forward(
        self, history: History, known: Known | None = None
    ) -> Float[Tensor, "row member output"]:
        """The numbers that each member forecasts."""
        sizes, rows = self.sizes, history.shape[0]
        naive, steps = self.view(history, known)
        window = (history - history[:, -1:]).flatten(1).expand(self.num_members, rows, -1)
        state = self._dropped(torch.relu(self.encoder[0](window)))
        state = state + self._dropped(torch.relu(self.encoder[1](state)))
        each = steps.flatten(0, 1).expand(self.num_members, -1, -1)
        hidden = self._dropped(torch.relu(self.step_hidden(each)))
        shape = (self.num_members, rows, sizes.horizon, sizes.targets, -1)
        points = self.linear(window).reshape(shape) + self.step_linear(each).reshape(shape)
        spread = self.decoder(state).reshape(shape) + self.step_head(hidden).reshape(shape)
        outputs: Tensor = naive[..., None] + points + spread
        return outputs.flatten(2).transpose(0, 1)

    def _dropped(self, values: Tensor) -> Tensor:
        return dropout(values, self.dropout, training=self.training)
