"""Windows over series: what went before a moment, and what came after it.

A window is a place in tensors that hold all series one after the other, and is gathered when it is
learnt from: memory holds each step once, however many windows see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glial.core.seeds import torch_generator
from glial.data.batches import Batch, num_batches_of

FARTHEST = 1000.0  # scaled values are cut here: a series that stood still has no scale
LEAST_SCALE = 1e-4  # of the level


@dataclass(frozen=True)
class WindowForm:
    """What a window is.

    Attributes:
        context: Steps before the moment.
        horizon: Steps from it on.
        season: Steps of a season.
        scaling: What the scale of a window is measured on: its series' whole past, or its context.

    Example:
        >>> WindowForm(context=24, horizon=12, season=12).least
        18
    """

    context: int
    horizon: int
    season: int = 1
    scaling: Literal["series", "window"] = "series"

    @property
    def least(self) -> int:
        """Steps that a series must have had for a window to be learnt from."""
        return min(self.context, max(4, self.season + max(1, self.season // 2)))


class Gathered(NamedTuple):
    """Some windows, scaled.

    Attributes:
        history: The values before, [row, context, target].
        known: What is known of steps before and after, [row, context + horizon, covariate].
        target: The values after, [row, horizon, target].
        observed: Which of them are known.
        level: What was taken off, [row, 1, target].
        scale: What was divided by, [row, 1, target].

    Example:
        >>> Gathered._fields[:2]
        ('history', 'known')
    """

    history: Float[Tensor, "row context target"]
    known: Float[Tensor, "row step covariate"]
    target: Float[Tensor, "row horizon target"]
    observed: Bool[Tensor, "row horizon target"]
    level: Float[Tensor, "row 1 target"]
    scale: Float[Tensor, "row 1 target"]


class Windows:
    """Windows over some series.

    A window's values are less their level, the mean of its last season, in units of how much its
    past changed from season to season, on average. Nothing of what comes after the moment enters
    either. Where a series began later than the window, its first season stands for what was before.

    Args:
        values: All series one after the other, without gaps, in 64-bit floats.
        observed: Which values are no fillings.
        covariates: What is known of each step.
        edges: Where each series begins.
        form: What a window is.

    Source:
        Taking off a window's own level and putting it back: Kim et al. (2022), "Reversible instance
        normalization for accurate time-series forecasting against distribution shift", ICLR. The
        scale: Hyndman and Koehler (2006), doi:10.1016/j.ijforecast.2006.03.001, section 3.

    Example:
        >>> values = torch.arange(10.0, dtype=torch.float64)[:, None]
        >>> edges = torch.tensor([0, 10])
        >>> form = WindowForm(context=3, horizon=2)
        >>> windows = Windows(values, values > -1, torch.zeros(10, 0), edges, form)
        >>> found = windows.gather(torch.tensor([5]))
        >>> found.history[0, :, 0].tolist(), found.target[0, :, 0].tolist()
        ([-2.0, -1.0, 0.0], [1.0, 2.0])
    """

    def __init__(
        self,
        values: Float[Tensor, "step target"],
        observed: Bool[Tensor, "step target"],
        covariates: Float[Tensor, "step covariate"],
        edges: Int[Tensor, " edge"],
        form: WindowForm,
    ) -> None:
        self.form = form
        self.edges = edges
        self._values = values
        self._observed = observed
        self._covariates = covariates
        season = form.season
        changes = torch.zeros_like(values)
        changes[season:] = (values[season:] - values[:-season]).abs() if season else 0.0
        counts = torch.zeros_like(observed)
        counts[season:] = observed[season:] & observed[:-season]
        within = torch.arange(len(values), device=values.device)
        starts = edges[self.series_of(within)]
        counts &= (within - starts >= season)[:, None]
        none = values.new_zeros(1, values.shape[1])
        self._changes = torch.cat([none, (changes * counts).cumsum(0)])
        self._counts = torch.cat([none, counts.to(values.dtype).cumsum(0)])

    @property
    def device(self) -> torch.device:
        """Where the series are held."""
        return self._values.device

    def to(self, device: torch.device) -> Windows:
        """The same windows over series that are held there."""
        parts = (self._values, self._observed, self._covariates, self.edges)
        values, observed, covariates, edges = (part.to(device) for part in parts)
        return Windows(values, observed, covariates, edges, self.form)

    def formed(self, form: WindowForm) -> Windows:
        """Windows of another form over the same series."""
        return Windows(self._values, self._observed, self._covariates, self.edges, form)

    def series_of(self, steps: Int[Tensor, " row"]) -> Int[Tensor, " row"]:
        """The number of each step's series."""
        return torch.searchsorted(self.edges, steps, right=True) - 1

    def past(self, moments: Int[Tensor, " row"], count: int) -> Int[Tensor, "row step"]:
        """The steps before moments, the first season's where a series began later."""
        start = self.edges[self.series_of(moments)][:, None]
        steps = moments[:, None] + torch.arange(-count, 0, device=moments.device)
        early = start + (steps - start) % self.form.season
        return torch.where(steps < start, early, steps).minimum(moments[:, None] - 1)

    def future(self, moments: Int[Tensor, " row"]) -> Int[Tensor, "row step"]:
        """The steps from moments on, within their series."""
        end = self.edges[self.series_of(moments) + 1][:, None]
        steps = moments[:, None] + torch.arange(self.form.horizon, device=moments.device)
        return steps.minimum(end - 1)

    def gather(self, moments: Int[Tensor, " row"]) -> Gathered:
        """The windows at moments, each the step of its first value after."""
        past, future = self.past(moments, self.form.context), self.future(moments)
        values = self._values[past]
        level = values[:, -self.form.season :].mean(dim=1, keepdim=True)
        scale = self._scale(moments)[:, None].maximum(LEAST_SCALE * level.abs())
        scale = scale.where(scale > 0, torch.ones_like(scale))
        history = ((values - level) / scale).clamp(-FARTHEST, FARTHEST)
        target = ((self._values[future] - level) / scale).clamp(-FARTHEST, FARTHEST)
        known = self._covariates[torch.cat([past, future], dim=1)]
        return Gathered(
            history.float(), known, target.float(), self._observed[future], level, scale
        )

    def rows(self, moments: Int[Tensor, " row"]) -> Batch:
        """The windows at moments as rows to learn from.

        The target holds values and, behind them, 1 for those that are known and 0 for others,
        [row, 2 * horizon * target].
        """
        found = self.gather(moments)
        target = torch.cat([found.target.flatten(1), found.observed.float().flatten(1)], dim=1)
        inputs = (found.history, found.known) if found.known.shape[2] else (found.history,)
        return Batch(inputs, target)

    def naive(self, moments: Int[Tensor, " row"]) -> Float[Tensor, "row horizon target"]:
        """The values of the last season before each moment, over and over, unscaled."""
        last = self._values[self.past(moments, self.form.season)]
        steps = torch.arange(self.form.horizon, device=moments.device) % self.form.season
        return last[:, steps]

    def _scale(self, moments: Tensor) -> Tensor:
        """The mean change from season to season before moments, [row, target]; 0 without one."""
        start = self.edges[self.series_of(moments)]
        if self.form.scaling == "window":
            start = start.maximum(moments - self.form.context)
        changes = self._changes[moments] - self._changes[start]
        counts = self._counts[moments] - self._counts[start]
        return changes / counts.clamp_min(1.0)


class WindowBatches:
    """Batches of windows, in a new seeded order every epoch, each gathered when its turn comes.

    The order depends on the seed and the epoch alone, so training can go on from any batch.

    Args:
        windows: The series.
        moments: The windows of an epoch.
        batch_size: Windows of a batch.
        seed: Seed of the orders.

    Example:
        >>> values = torch.arange(10.0, dtype=torch.float64)[:, None]
        >>> form = WindowForm(context=3, horizon=2)
        >>> edges = torch.tensor([0, 10])
        >>> windows = Windows(values, values > -1, torch.zeros(10, 0), edges, form)
        >>> batches = WindowBatches(windows, torch.arange(3, 9), batch_size=4, seed=0)
        >>> [len(batch.target) for batch in batches.epoch(0)]
        [4, 2]
    """

    def __init__(
        self, windows: Windows, moments: Int[Tensor, " row"], batch_size: int, seed: int
    ) -> None:
        self.windows = windows
        self.moments = moments
        self.num_rows = moments.shape[0]
        self.batch_size = min(batch_size, self.num_rows)
        self.num_batches = num_batches_of(self.num_rows, self.batch_size)
        self._seed = seed

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            epoch: Number of the epoch, from 0.
            start: Number of the first batch wanted, to go on in mid-epoch.

        Yields:
            Each batch in turn.
        """
        generator = torch_generator(self._seed, "shuffle", epoch)
        order = torch.randperm(self.num_rows, generator=generator).to(self.moments.device)
        for index in range(start, self.num_batches):
            last = index == self.num_batches - 1
            end = self.num_rows if last else (index + 1) * self.batch_size
            yield self.windows.rows(self.moments[order[index * self.batch_size : end]])
