"""A network that learns to take noise from rows, whatever its denoiser is."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.functional.diffusion import (
    ddim_step,
    diffuse,
    guided,
    rows_from_noise,
    rows_from_velocity,
    velocity,
)
from glial.functional.diffusion_bound import (
    pixel_log_probability,
    prior_divergence,
    step_divergence,
    times_by_noise,
)
from glial.functional.losses import reduce
from glial.models.conditioning import ToldClasses
from glial.models.unlabelled import Drawn

logger = logging.getLogger(__name__)

Rows = Float[Tensor, "row *shape"]
Times = Int[Tensor, " row"]
Codes = Int[Tensor, " row"]
Predicts = Literal["noise", "velocity"]

MEASURED_TIMES = 4
MARGIN = 0.5
NUMBERS_AT_ONCE = 1 << 19


class Diffusion(nn.Module):
    """A denoiser, and all that is done with it: learning, a bound, samples.

    Parameters: ``denoiser.*``. Buffers: ``low`` and ``high``, between which denoised rows are kept:
    the least and most of each channel of images in the rows that it started from, and for each
    number half their distance beyond; ``classes.shares``.

    Args:
        denoiser: Called with rows with noise, their times and, where there are classes, codes;
            gives a number for each number.
        shape: Of a row.
        alpha_bars: The schedule; see `glial.functional.cosine_alpha_bars`.
        num_classes: Classes that are told.
        predicts: What the denoiser tells.
        drop_classes: Share of rows that are learnt without their class.
        levels: Values that a pixel may have.

    Attributes:
        num_times: The last time.

    Example:
        >>> from glial.models.diffusion import DiffusionSettings
        >>> network = DiffusionSettings(widths=[8]).build(0, 3, images=[[1, 8, 8]])
        >>> rows = torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
        >>> drawn = network.draw(*rows, generator=torch.Generator().manual_seed(0))
        >>> [list(part.shape) for part in drawn.inputs]  # with noise, times, codes
        [[4, 1, 8, 8], [4], [4]]
        >>> network.loss(network(*drawn.inputs), drawn.target).shape
        torch.Size([])
    """

    low: Tensor
    high: Tensor
    alpha_bars: Tensor

    def __init__(
        self,
        denoiser: nn.Module,
        shape: Sequence[int],
        alpha_bars: Tensor,
        num_classes: int = 0,
        predicts: Predicts = "velocity",
        drop_classes: float = 0.1,
        levels: int = 256,
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.shape = tuple(shape)
        self.alpha_bars = alpha_bars
        self.num_times = len(alpha_bars) - 1
        self.num_classes = num_classes
        self._predicts = predicts
        self._drop_classes = drop_classes
        self._levels = levels
        self.classes = ToldClasses(num_classes)
        bound = torch.full((shape[0], *[1] * (len(shape) - 1)), math.inf)
        self.register_buffer("low", -bound)
        self.register_buffer("high", bound)

    def start(self, *rows: Tensor) -> None:
        """Take in between what the training rows lie, and how common their classes are.

        Args:
            rows: The rows.
        """
        others = [0, *range(2, rows[0].ndim)]
        low, high = rows[0].amin(others), rows[0].amax(others)
        margin = MARGIN * (high - low) if rows[0].ndim == 2 else torch.zeros_like(low)
        self.low.copy_((low - margin).reshape(self.low.shape))
        self.high.copy_((high + margin).reshape(self.high.shape))
        if self.num_classes:
            self.classes.start(rows[1])

    def draw(self, *rows: Tensor, generator: torch.Generator) -> Drawn:
        """Rows with noise at drawn times, their times, and their classes but for a few.

        The times of a batch are spread evenly over all times, in an order that is drawn.

        Args:
            rows: Clean rows, and codes of their classes where the network is told them.
            generator: Draws.
        """
        clean = rows[0]
        num_rows = len(clean)
        order = torch.randperm(num_rows, generator=generator)
        shares = (order + torch.rand(num_rows, generator=generator)) / max(1, num_rows)
        times = (shares * self.num_times).long().clamp_(max=self.num_times - 1).add_(1)
        noisy, target = self._noisy(clean, times, generator)
        inputs = [noisy, times.to(clean.device)]
        if self.num_classes:
            dropped = torch.rand(num_rows, generator=generator) < self._drop_classes
            inputs.append(rows[1].masked_fill(dropped.to(clean.device), self.num_classes))
        return Drawn(tuple(inputs), target)

    def forward(
        self,
        noisy: Rows,
        times: Times,
        codes: Codes | None = None,
    ) -> Rows:
        """The noise or the velocity of rows at times.

        Args:
            noisy: Rows with noise.
            times: From 1 to the last.
            codes: Of classes, where the network is told them; their number where one is not.
        """
        told: Tensor = self.denoiser(noisy, times, codes)
        return told

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean squared error."""
        return reduce(_row_means((outputs - target).square()), weight)

    @torch.no_grad()
    def denoise(
        self,
        noisy: Rows,
        time: int | Times,
        codes: Codes | None = None,
        guidance: float = 1.0,
    ) -> Rows:
        """The clean rows that rows at a time are on average, as the network knows it.

        Args:
            noisy: Rows with noise.
            time: Their time, of all or of each.
            codes: Of classes, where the network is told them.
            guidance: How much is made of them; see `sample`.
        """
        times = torch.as_tensor(time, device=noisy.device).expand(len(noisy))
        told = self(noisy, times, codes)
        if codes is not None and guidance != 1:
            untold = self(noisy, times, torch.full_like(codes, self.num_classes))
            told = guided(told, untold, guidance)
        rows = self._cleared(noisy, told, self.alpha_bars[torch.as_tensor(time).cpu()])
        return rows.clamp(self.low, self.high)

    def _cleared(self, noisy: Tensor, told: Tensor, alpha_bar: Tensor) -> Tensor:
        """Clean rows of what the network tells."""
        clear = rows_from_noise if self._predicts == "noise" else rows_from_velocity
        return clear(noisy, told, alpha_bar)

    @torch.no_grad()
    def measure(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        r"""The error of denoising, and the variational bound, of each row.

        ``denoising_error`` is the loss over all times; ``elbo`` the bound in nats: of the density
        of numbers, of the probability of images whose pixels have ``levels`` values from -1 to 1;
        of these also ``bits_per_dim``. Both stand on a few times, drawn for each row one from each
        part of the range of :math:`\log(\bar\alpha / (1 - \bar\alpha))`.

        Args:
            rows: The rows.
            generator: Draws.

        Source:
            The bound: Ho, Jain, Abbeel (2020), arXiv 2006.11239, equation 5; pixels: equation 13.
        """
        clean, codes = rows[0], rows[1] if self.num_classes else None
        error = bound = torch.zeros(len(clean), device=clean.device)
        for part in range(MEASURED_TIMES):
            shares = (part + torch.rand(len(clean), generator=generator)) / MEASURED_TIMES
            times, chances = times_by_noise(self.alpha_bars, shares)
            weight = (1 / (MEASURED_TIMES * chances)).to(clean)
            noisy, target = self._noisy(clean, times, generator)
            told = self(noisy, times.to(clean.device), codes)
            known = self._within(self._cleared(noisy, told, self.alpha_bars[times]))
            error = error + weight * _row_means((told - target).square()) / (self.num_times - 1)
            bound = bound - weight * step_divergence(
                clean, known, self.alpha_bars, times, wide=len(self.shape) == 1
            )
        bound = bound - prior_divergence(clean, self.alpha_bars[-1])
        bound = bound + self._first_log_likelihood(clean, codes, generator)
        found = {"denoising_error": error, "elbo": bound}
        if len(self.shape) > 1:
            found["bits_per_dim"] = -bound / (math.prod(self.shape) * math.log(2))
        return found

    def _first_log_likelihood(
        self, clean: Tensor, codes: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Of rows, told from those at the first time."""
        times = torch.ones(len(clean), dtype=torch.long)
        noisy, _ = self._noisy(clean, times, generator)
        told = self(noisy, times.to(clean.device), codes)
        mean = self._within(self._cleared(noisy, told, self.alpha_bars[times]))
        deviation = math.sqrt(1 / self.alpha_bars[1] - 1)
        if len(self.shape) > 1:
            return pixel_log_probability(clean, mean, deviation, self._levels)
        scores = ((clean - mean) / deviation).square() / 2
        constant = math.log(deviation * math.sqrt(2 * math.pi))
        likelihood: Tensor = (-scores - constant).sum(dim=1)
        return likelihood

    def _within(self, rows: Tensor) -> Tensor:
        """Pixels kept where pixels are; numbers may be of rows beyond those of training."""
        return rows if len(self.shape) == 1 else rows.clamp(self.low, self.high)

    def _noisy(
        self, clean: Tensor, times: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Rows at times, and what is to be told of them."""
        noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype).to(clean.device)
        alpha_bar = self.alpha_bars[times]
        target = noise if self._predicts == "noise" else velocity(clean, noise, alpha_bar)
        return diffuse(clean, noise, alpha_bar), target

    @torch.no_grad()
    def sample(
        self,
        num_samples: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
        steps: int = 50,
        guidance: float = 1.0,
        eta: float = 0.0,
    ) -> Tensor:
        """New rows, of noise that is taken away step by step.

        Args:
            num_samples: How many.
            generator: Draws.
            classes: Codes of the classes to make, [row]; None draws them by how common they were.
            steps: Steps from noise to rows, at most ``num_times``; more are better and slower.
            guidance: 1 makes rows of a class as it is, more makes them more typical of it.
            eta: Share of new noise at each step: 0 is DDIM, 1 is DDPM.

        Raises:
            InputError: If a number is out of its range, or a class is not known.
        """
        self._check(num_samples, steps, guidance, eta)
        codes = self.classes.codes(num_samples, classes, generator)
        at_once = max(1, NUMBERS_AT_ONCE // math.prod(self.shape))
        tell = share_logger(logger, f"sampling {num_samples} rows")
        made = [self._noise(0, generator)]
        for first in range(0, num_samples, at_once):
            count = min(at_once, num_samples - first)
            part = None if codes is None else codes[first : first + count].to(self.low.device)
            way = self.denoising(count, generator, part, steps, guidance, eta)
            made.append(made[0])
            for number, made[-1] in enumerate(way):
                tell((first + count * number / steps) / num_samples)
        return torch.cat(made)

    @torch.no_grad()
    def denoising(
        self,
        num_samples: int,
        generator: torch.Generator,
        codes: Codes | None = None,
        steps: int = 50,
        guidance: float = 1.0,
        eta: float = 0.0,
    ) -> Iterator[Tensor]:
        """Rows on their way from noise: after each step, the last without any.

        Args:
            num_samples: How many.
            generator: Draws.
            codes: Of their classes, where the network is told them.
            steps: Steps.
            guidance: See `sample`.
            eta: See `sample`.

        Yields:
            All rows, in the shape and the units of the first of the network's rows.
        """
        times = torch.linspace(self.num_times, 0, steps + 1).round().long().tolist()
        noisy = self._noise(num_samples, generator)
        for time, before in itertools.pairwise(times):
            rows = self.denoise(noisy, time, codes, guidance)
            noise = self._noise(num_samples, generator) if eta and before else None
            at = self.alpha_bars[time], self.alpha_bars[before]
            noisy = ddim_step(noisy, rows, *at, noise, eta)
            yield noisy

    def _noise(self, num_rows: int, generator: torch.Generator) -> Tensor:
        return torch.randn(num_rows, *self.shape, generator=generator).to(self.low)

    def _check(self, num_samples: int, steps: int, guidance: float, eta: float) -> None:
        ranges = {
            "num_samples": (num_samples, 1, math.inf),
            "steps": (steps, 1, self.num_times),
            "guidance": (guidance, 0.0, math.inf),
            "eta": (eta, 0.0, 1.0),
        }
        for name, (value, least, most) in ranges.items():
            if not least <= value <= most or value == math.inf:
                raise InputError(
                    f"{name} is out of its range",
                    expected=f"from {least} to {most}" if most < math.inf else f"at least {least}",
                    got=str(value),
                    do=f"choose another {name}",
                )
        if guidance != 1 and not (self.num_classes and self._drop_classes):
            raise InputError(
                "guidance needs a network that learnt rows with and without their class",
                expected="guidance 1, or a network of rows with classes and drop_classes above 0",
                got=f"guidance {guidance} with {self.num_classes} classes"
                f" and drop_classes {self._drop_classes}",
                do="leave guidance out, or train with a target",
            )


def _row_means(values: Tensor) -> Tensor:
    return values.flatten(1).mean(dim=1)
