"""What all networks of windows of series have in common: their sizes, and where they start from.

Each forecasts how far the values to come are from those of the last season, and begins as a
regression of that on a few features of the past, which is hard to beat where little is known.
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
DECAYS = (1e-6, 0.5, 0.8, 0.93)  # of the weight of a change, a step; the first is the last alone
RATES = [  # of level, trend and season, by which a step's past is smoothed
    (level, trend, season)
    for level in (0.15, 0.4, 0.8)
    for trend, season in ((0.0, 0.15), (0.0, 0.4), (0.1, 0.2))
]
DAMPING = 0.95  # of a trend, a step
MANY_WINDOWS = 2_000
PRIOR = 30  # windows that the regression at the start is held back by
SMALL = 0.01  # of the usual size: last layers at the start, so that a network begins as naive


class ForecastSettings(ModelSettings):
    """A network of windows of series.

    Example:
        >>> ForecastSettings().takes_series
        True
    """

    tasks: ClassVar[tuple[str, ...]] = ("forecasting", "anomaly")
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
        >>> sizes.levels, sizes.views().shape
        (3, torch.Size([7, 12, 24]))
    """

    def __init__(self, windows: Mapping[str, int], covariates: int, outputs: int) -> None:
        self.context = windows["context"]
        self.horizon = windows["horizon"]
        self.season = windows["season"]
        self.targets = windows["targets"]
        self.covariates = covariates
        self.levels = outputs // (self.horizon * self.targets)
        self._views: Tensor | None = None

    @property
    def features(self) -> int:
        """Numbers that each step sees of its own, beside what all see."""
        return self.targets * len(self.views()) + 2 * self.covariates

    def views(self) -> Float[Tensor, "feature horizon context"]:
        """What each step sees of the past, as weights of the past's steps: see `SeasonalView`."""
        if self._views is None:
            # On the processor: these are thousands of steps of a few numbers.
            with torch.device("cpu"):
                self._views = self._seen()
        return self._views.to(torch.get_default_device())

    def _seen(self) -> Tensor:
        past = torch.eye(self.context, dtype=torch.float64)
        season, found = self.season, []
        naive = self._season_before(past, 1)
        changes = past[season:] - past[:-season]
        if changes.shape[0]:
            decays = [torch.tensor(decay).double() for decay in DECAYS]
            ages = torch.arange(changes.shape[0] - 1, -1, -1)
            weights = [decay**ages for decay in decays] + [(ages < season).double()]
            found += [(weight / weight.sum()) @ changes for weight in weights]
        found = [change.expand(self.horizon, -1) for change in found]
        found.append(past[-1:] - naive)
        level = past[-season:].mean(dim=0)
        for ago in range(2, min(MOST_SEASONS, self.context // season) + 1):
            end = self.context - (ago - 1) * season
            earlier = past[end - season : end].mean(dim=0)
            found.append(self._season_before(past, ago) - earlier - (naive - level))
        if self.context >= 2 * season + 1:
            found += [
                smoothing_weights(self.context, self.horizon, season, *rates) - naive
                for rates in RATES
            ]
        return torch.stack(found).float()

    def _season_before(self, past: Tensor, ago: int) -> Tensor:
        """The values at the same places of a season so many ago, a row for each step to come."""
        steps = torch.arange(self.horizon) % self.season
        return past[self.context + steps - self.season * ago]


def smoothing_weights(
    context: int, horizon: int, season: int, level_rate: float, trend_rate: float, rate: float
) -> Float[Tensor, "horizon context"]:
    """The forecasts of additive exponential smoothing as weights of the past's steps.

    With its rates fixed and its first season for a start, exponential smoothing is linear.

    Args:
        context: Steps of the past, at least two seasons and one.
        horizon: Steps to come.
        season: Steps of a season; of 1 there is none.
        level_rate: How much of a new value the level takes.
        trend_rate: How much of a new change of level the trend takes; 0 is without a trend.
        rate: How much of a new value its place in the season takes.

    Source:
        Holt (1957), reprinted as doi:10.1016/j.ijforecast.2003.09.015; Winters (1960),
        doi:10.1287/mnsc.6.3.324; with the damped trend of Gardner and McKenzie (1985),
        doi:10.1287/mnsc.31.10.1237.

    Example:
        >>> smoothing_weights(3, 1, 1, 0.5, 0.0, 0.0).tolist()  # a half, a fourth, and the rest
        [[0.25, 0.25, 0.5]]
    """
    past = torch.eye(context, dtype=torch.float64)
    level = past[:season].mean(dim=0)
    trend = torch.zeros_like(level)
    if trend_rate > 0:
        trend = (past[season : 2 * season].mean(dim=0) - level) / season
    places = [past[step] - level if season > 1 else trend * 0 for step in range(season)]
    level = level + trend * (season - 1) / 2
    for step in range(season, context):
        before, place = level, places[step % season]
        level = level_rate * (past[step] - place) + (1 - level_rate) * (level + DAMPING * trend)
        trend = trend_rate * (level - before) + (1 - trend_rate) * DAMPING * trend
        if season > 1:
            places[step % season] = rate * (past[step] - level) + (1 - rate) * place
    ahead = torch.tensor([DAMPING**step for step in range(1, horizon + 1)]).double().cumsum(0)
    return torch.stack(
        [level + ahead[k] * trend + places[(context + k) % season] for k in range(horizon)]
    )


class SeasonalView(nn.Module):
    """What a window shows of each step to come: where it begins, and what its decoder sees.

    Features of a step are linear in the past: how the last seasons' changes were, weighted by age;
    the last value, and the same place of seasons before, each as it differs from the last season's;
    the forecasts of exponential smoothing at several fixed rates; and the covariates of a season
    before and of the step.

    Args:
        sizes: Of the windows.

    Source:
        Exponential smoothing inside a network: Smyl (2020), "A hybrid method of exponential
        smoothing and recurrent neural networks for time series forecasting",
        doi:10.1016/j.ijforecast.2019.03.017.

    Example:
        >>> windows = {"context": 4, "horizon": 3, "season": 2, "targets": 1}
        >>> view = SeasonalView(WindowSizes(windows, 0, 3))
        >>> view(torch.tensor([[[1.0], [2.0], [3.0], [4.0]]]))[0].flatten().tolist()
        [3.0, 4.0, 3.0]
    """

    views: Tensor
    lag: Tensor

    def __init__(self, sizes: WindowSizes) -> None:
        super().__init__()
        self.sizes = sizes
        steps = torch.arange(sizes.horizon) % sizes.season
        self.register_buffer("lag", sizes.context + steps - sizes.season, persistent=False)
        self.register_buffer("views", sizes.views(), persistent=False)

    def forward(self, history: History, known: Known | None = None) -> tuple[Tensor, Tensor]:
        """The last season's values, [row, step, target], and features, [row, step, feature]."""
        naive = history[:, self.lag]
        seen = torch.einsum("fhc,rct->rhtf", self.views.to(history.dtype), history)
        parts = [seen.flatten(2)]
        if known is not None:
            parts += [known[:, self.sizes.context :], known[:, self.lag]]
        return naive, torch.cat(parts, dim=2)

    @torch.no_grad()
    def fit(
        self, inputs: Sequence[Tensor], target: Tensor, observed: Tensor
    ) -> tuple[Float[Tensor, "feature target"], Float[Tensor, " target"]]:
        """The ridge regression of what came, less the last season, on the features of steps.

        Args:
            inputs: Some windows, as a network is called with them.
            target: What came, [row, step, target].
            observed: Which of it is known.

        Returns:
            Weights and intercepts; the penalty is what `PRIOR` windows of features of size 1 weigh.
        """
        naive, features = self(*inputs)
        rows = features.flatten(0, 1).double()
        whole = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)
        penalty = torch.full((whole.shape[1],), float(PRIOR * self.sizes.horizon)).double()
        penalty[-1] = 1e-6
        found = []
        for number in range(target.shape[2]):
            mask = observed[..., number].flatten().double()[:, None]
            wanted = (target - naive)[..., number].flatten().double()
            squares = whole.T @ (whole * mask) + penalty.diag()
            found.append(torch.linalg.solve(squares, (whole * mask).T @ wanted))
        weights = torch.stack(found, dim=1).float()
        return weights[:-1], weights[-1]


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
    def start_from(
        self, weights: Float[Tensor, "feature target"], levels: Float[Tensor, "target level"]
    ) -> None:
        """Begin as a regression on the features of steps, and these quantiles around it.

        Args:
            weights: Of the features.
            levels: How far each quantile of what came was from them.
        """
        self.direct.weight.copy_(weights.T)
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


class DecodedForecast(nn.Module):
    """A network of windows whose steps are forecast by one decoder.

    Attributes:
        decoder: What is given each window's features.

    Example:
        >>> network = DecodedForecast()
        >>> windows = {"context": 4, "horizon": 3, "season": 2, "targets": 1}
        >>> network.decoder = StepDecoder(WindowSizes(windows, 0, 3), 4, 4, 0.0)
        >>> network.view is network.decoder.view
        True
    """

    decoder: StepDecoder

    @property
    def view(self) -> SeasonalView:
        """What each step sees of a window."""
        return self.decoder.view

    def start_from(
        self, weights: Float[Tensor, "feature target"], levels: Float[Tensor, "target level"]
    ) -> None:
        """Begin as a regression on the features of steps, and these quantiles around it.

        Args:
            weights: Of the features.
            levels: How far each quantile of what came was from them.
        """
        self.decoder.start_from(weights, levels)


def forecast_recipe(
    num_rows: int, *, lr: float, steps: int, batch_size: int = 64
) -> dict[str, Any]:
    """AdamW with one cosine fall over about so many steps, the more slowly the fewer windows.

    Few windows are soon known by heart: from the start, which is good, each step is then short.

    Args:
        num_rows: Windows to learn from.
        lr: Learning rate from `MANY_WINDOWS` on.
        steps: Steps of training; at least five epochs.
        batch_size: Windows of a batch.

    Example:
        >>> forecast_recipe(640, lr=0.01, steps=100)["epochs"]
        10
        >>> forecast_recipe(500, lr=0.01, steps=100)["lr"]
        0.005
    """
    batches = max(1, math.ceil(num_rows / batch_size))
    return {
        "optimizer": "adamw",
        "lr": float(f"{lr * math.sqrt(min(1.0, num_rows / MANY_WINDOWS)):.2g}"),
        "batch_size": batch_size,
        "epochs": max(5, round(steps / batches)),
        "schedule": "cosine",
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "monitor": "loss",
    }
