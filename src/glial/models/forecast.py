"""What all networks of windows of series have in common: their sizes, and where they start from.

Each forecasts how far the values to come are from those of the last season, and so begins as a
seasonal naive forecast, which is hard to beat where little is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.models.settings import ModelSettings, ScalingName

History = Float[Tensor, "row context target"]
Known = Float[Tensor, "row step covariate"]
MOST_SEASONS = 8  # of those before, that each step sees
SMALL = 0.01  # of the usual size: last layers at the start, so that a network begins as naive


class ForecastSettings(ModelSettings):
    """A network of windows of series.

    Example:
        >>> ForecastSettings().takes_series
        True
    """

    tasks: ClassVar[tuple[str, ...]] = ("forecasting",)
    scaling: ClassVar[ScalingName] = "standard"
    takes_numbers: ClassVar[bool] = False
    takes_series: ClassVar[bool] = True

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        windows: Mapping[str, int] | None = None,
    ) -> nn.Module:
        """The network.

        Args:
            num_inputs: What is known of each step, covariates.
            num_outputs: Numbers that are forecast: for each step, target and quantile.
            cardinalities: None.
            windows: ``context``, ``horizon``, ``season`` and ``targets``.

        Raises:
            InputError: If the sizes do not fit each other.
        """
        sizes = dict(windows or {})
        named = {"context", "horizon", "season", "targets"}
        fits = set(sizes) == named and min(sizes.values()) >= 1 and not cardinalities
        if fits:
            per_step = sizes["horizon"] * sizes["targets"]
            fits = sizes["season"] <= sizes["context"] and num_outputs >= 1
            fits = fits and num_outputs % per_step == 0 and num_inputs >= 0
        if not fits:
            raise InputError(
                f"the model {getattr(self, 'name', '')!r} cannot have these sizes",
                expected="windows of context, horizon, season and targets, a season at most as "
                "long as the context, and as many outputs for each step and target",
                got=f"windows {sizes}, {num_outputs} outputs, {num_inputs} inputs",
                do="give windows=, num_inputs= and num_outputs= that fit",
            )
        return self.network(WindowSizes(sizes, num_inputs, num_outputs))

    def network(self, sizes: WindowSizes) -> nn.Module:
        """The network of windows of these sizes."""
        raise NotImplementedError


class WindowSizes:
    """Sizes of windows.

    Args:
        windows: ``context``, ``horizon``, ``season`` and ``targets``.
        covariates: What is known of each step.
        outputs: Numbers that are forecast.

    Example:
        >>> windows = {"context": 24, "horizon": 12, "season": 12, "targets": 1}
        >>> sizes = WindowSizes(windows, 2, 36)
        >>> sizes.levels, sizes.seasons, sizes.features
        (3, 2, 7)
    """

    def __init__(self, windows: Mapping[str, int], covariates: int, outputs: int) -> None:
        self.context = windows["context"]
        self.horizon = windows["horizon"]
        self.season = windows["season"]
        self.targets = windows["targets"]
        self.covariates = covariates
        self.levels = outputs // (self.horizon * self.targets)

    @property
    def seasons(self) -> int:
        """Seasons of the context that each step sees."""
        return min(MOST_SEASONS, self.context // self.season)

    @property
    def features(self) -> int:
        """Numbers that each step sees of its own, beside what all see."""
        return self.targets * (self.seasons + 1) + 2 * self.covariates


class SeasonalView(nn.Module):
    """What a window shows of each step to come: where it begins, and what its decoder sees.

    Args:
        sizes: Of the windows.

    Example:
        >>> windows = {"context": 4, "horizon": 3, "season": 2, "targets": 1}
        >>> view = SeasonalView(WindowSizes(windows, 0, 3))
        >>> view(torch.tensor([[[1.0], [2.0], [3.0], [4.0]]]))[0].flatten().tolist()
        [3.0, 4.0, 3.0]
    """

    places: Tensor
    lag: Tensor

    def __init__(self, sizes: WindowSizes) -> None:
        super().__init__()
        self.sizes = sizes
        steps = torch.arange(sizes.horizon) % sizes.season
        ago = sizes.season * (1 + torch.arange(sizes.seasons))
        self.register_buffer("places", sizes.context + steps[:, None] - ago, persistent=False)
        lag = sizes.context + steps - sizes.season
        self.register_buffer("lag", lag, persistent=False)

    def forward(self, history: History, known: Known | None = None) -> tuple[Tensor, Tensor]:
        """The last season's values, [row, step, target], and features of steps.

        The features are the last value, how the season's values at the same place were before,
        how the level of the last season differs from that of the season before, and the covariates
        then and now.
        """
        rows, sizes = history.shape[0], self.sizes
        before = history[:, self.places]  # [row, step, season, target]
        naive = before[:, :, 0]
        last = history[:, -1:].expand(rows, sizes.horizon, sizes.targets)
        level = history[:, -sizes.season :].mean(dim=1, keepdim=True)
        earlier = history[:, : sizes.context - sizes.season]
        growth = level - earlier[:, -sizes.season :].mean(dim=1, keepdim=True)
        if earlier.shape[1] == 0:
            growth = level
        parts = [last - naive, growth.expand(rows, sizes.horizon, sizes.targets)]
        parts.append((before[:, :, 1:] - before[:, :, :1]).flatten(2))
        if known is not None:
            parts += [known[:, sizes.context :], known[:, self.lag]]
        return naive, torch.cat(parts, dim=2)


class StepDecoder(nn.Module):
    """Forecasts of steps from features of a whole window and of each step: the same for all steps.

    Args:
        sizes: Of the windows.
        num_features: Of a whole window.
        width: Hidden units.
        dropout: Share of them that is dropped in training.

    Source:
        The temporal decoder of Das et al. (2023), "Long-term forecasting with TiDE", arXiv
        2304.08424, section 4.2.

    Example:
        >>> windows = {"context": 4, "horizon": 3, "season": 2, "targets": 1}
        >>> sizes = WindowSizes(windows, 0, 9)
        >>> StepDecoder(sizes, 5, 8)(torch.zeros(2, 5), torch.zeros(2, 4, 1)).shape
        torch.Size([2, 9])
    """

    def __init__(
        self, sizes: WindowSizes, num_features: int, width: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.view = SeasonalView(sizes)
        self.spread = nn.Linear(num_features, sizes.horizon * width)
        self.hidden = nn.Linear(width + sizes.features, width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, sizes.targets * sizes.levels)
        self.direct = nn.Linear(sizes.features, sizes.targets)
        with torch.no_grad():
            for layer in (self.head, self.direct):
                layer.weight.mul_(SMALL)
                layer.bias.zero_()

    @torch.no_grad()
    def start_levels(self, levels: Float[Tensor, "target level"]) -> None:
        """Begin as the last season's values plus these.

        Args:
            levels: How far each quantile of what came was from them.
        """
        self.head.bias.copy_(levels.flatten())

    def forward(
        self,
        features: Float[Tensor, "row feature"],
        history: History,
        known: Known | None = None,
    ) -> Float[Tensor, "row output"]:
        """The numbers that are forecast."""
        sizes = self.sizes
        naive, steps = self.view(history, known)
        spread = self.spread(features).unflatten(1, (sizes.horizon, -1))
        hidden = torch.relu(self.hidden(torch.cat([spread, steps], dim=2)))
        residuals = self.head(self.dropout(hidden)).unflatten(2, (sizes.targets, sizes.levels))
        points: Tensor = naive + self.direct(steps)
        outputs: Tensor = (points[..., None] + residuals).flatten(1)
        return outputs


def forecast_recipe(
    num_rows: int, *, lr: float, steps: int, batch_size: int = 64
) -> dict[str, Any]:
    """AdamW with one cosine fall over about so many steps.

    Args:
        num_rows: Windows to learn from.
        lr: Learning rate.
        steps: Steps of training; at least five epochs.
        batch_size: Windows of a batch.

    Example:
        >>> forecast_recipe(640, lr=0.01, steps=100)["epochs"]
        10
    """
    batches = max(1, math.ceil(num_rows / batch_size))
    return {
        "optimizer": "adamw",
        "lr": lr,
        "batch_size": batch_size,
        "epochs": max(5, round(steps / batches)),
        "schedule": "cosine",
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "monitor": "loss",
    }
