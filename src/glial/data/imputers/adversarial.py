"""Missing numbers made up so that a second network cannot tell them from those that are there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from glial.data.imputers.drawing import Floats, ends_of, noise_of, sampled
from glial.data.imputers.learning import (
    DenseLayer,
    as_layers,
    falling,
    filled_by,
    first_weights,
    learn,
    near,
    passed,
    passed_arrays,
)

MAX_FITTED_ROWS = 20_000
HIDDEN_SIZE = 128
LEARNING_RATE = 1e-3
HINT_SHARE, HIDDEN_SHARE = 0.9, 0.2
ERROR_WEIGHT = 10.0
NUM_SAMPLES = 16


@dataclass(frozen=True)
class AdversarialImputer:
    """What a generator puts there, trained against a discriminator of real and made-up numbers.

    The generator sees noise where a number is missing or hidden. It learns to give back the hidden
    ones, and to leave the discriminator, which is told of most places whether they are real, in the
    dark about the others. A missing number is the mean over several draws of the noise.

    Attributes:
        generator: Layers from numbers and what is there of them to numbers.
        ends: The least and the greatest training value of each number, which no filled one
            leaves, [2, number].
        spreads: Standard deviation of each number around what the generator puts there, [number].
        draw: Which draw this is, from 1: a number is then one draw, and an error of that spread
            with it, not a mean; 0 is the mean.

    Source:
        Yoon, Jordon, van der Schaar (2018), "GAIN: missing data imputation using generative
        adversarial nets", arXiv 1806.02920, algorithm 1. There the error is of numbers that the
        generator is shown; here also of hidden ones.

    Example:
        >>> rows = np.outer(np.linspace(-2, 2, 200), [1.0, -1.0, 0.5])
        >>> rows[20, 1] = np.nan
        >>> filled = AdversarialImputer.fit(rows).fill(rows)
        >>> bool(abs(filled[20, 1] + rows[20, 0]) < 0.3)
        True
    """

    generator: list[DenseLayer]
    ends: Floats
    spreads: Floats
    draw: int

    def __post_init__(self) -> None:
        numbers = self.ends.shape[-1]
        first, last = self.generator[0].weight, self.generator[-1].bias
        fit = self.ends.shape == (2, numbers) and self.spreads.shape == last.shape == (numbers,)
        if not fit or len(first) != 2 * numbers:
            raise ValueError("the layers of an imputer do not fit together")

    @classmethod
    def fit(cls, rows: Floats, draw: int | None = None, seed: int = 0) -> AdversarialImputer:
        """Trains the two networks.

        Args:
            rows: Training rows, [row, number].
            draw: Which of several imputations this is; None fills with a mean of draws.
            seed: Of first weights, orders and noise.
        """
        rows = sampled(rows, MAX_FITTED_ROWS, seed)
        sizes = [2 * rows.shape[1], HIDDEN_SIZE, HIDDEN_SIZE, rows.shape[1]]
        random = np.random.default_rng([seed, draw or 0])
        maker, judge = first_weights(sizes, random), first_weights(sizes, random)
        made_by, judged_by = (
            torch.optim.Adam([p for pair in player for p in pair], lr=LEARNING_RATE)
            for player in (maker, judge)
        )

        def step(
            values: Tensor, there: Tensor, seen: Tensor, generator: torch.Generator, done: float
        ) -> None:
            noise = torch.randn(values.shape, generator=generator)
            made = passed(maker, torch.cat([torch.where(seen == 1, values, noise), seen], dim=1))
            whole = torch.where(seen == 1, values, made)
            told = torch.rand(values.shape, generator=generator) < HINT_SHARE
            hint = torch.where(told, seen, 0.5)
            said = passed(judge, torch.cat([whole.detach(), hint], dim=1))
            _descend(judged_by, _entropy(said, seen, ~told), done)
            judged = passed(judge, torch.cat([whole, hint], dim=1))
            fooled = _entropy(judged, torch.ones_like(seen), (seen == 0) & ~told)
            error = ((made - values).square() * there).sum() / there.sum().clamp_min(1)
            _descend(made_by, fooled + ERROR_WEIGHT * error, done)

        learn(rows, step, int(random.integers(2**62)), "fitting the imputer gan")
        fitted = cls(as_layers(maker), ends_of(rows), np.zeros(rows.shape[1]), 0)
        return replace(fitted, spreads=fitted._errors(rows, random), draw=draw or 0)

    def _errors(self, rows: Floats, random: np.random.Generator) -> Floats:
        """Root mean squared error of each number where it is hidden, a fifth of them at a time."""
        hidden = ~np.isnan(rows) & (random.random(rows.shape) < HIDDEN_SHARE)
        away = self.fill(np.where(hidden, np.nan, rows)) - np.nan_to_num(rows)
        squares = (np.where(hidden, away, 0.0) ** 2).sum(axis=0)
        errors: Floats = np.sqrt(squares / np.maximum(hidden.sum(axis=0), 1))
        return errors

    def fill(self, rows: Floats) -> Floats:
        """The rows with every NaN replaced."""
        return filled_by(self._said, rows, self.ends)

    def _said(self, rows: Floats) -> Floats:
        """What the generator puts there, over several draws or in one."""
        there = np.repeat(~np.isnan(rows)[:, None], 1 if self.draw else NUM_SAMPLES, axis=1)
        count = (there.shape[1] + 1) * rows.shape[1]
        *noise, error = np.split(noise_of(rows, self.draw, count), there.shape[1] + 1, axis=1)
        inputs = np.where(there, near(rows)[:, None], np.stack(noise, axis=1))
        both = np.concatenate([inputs, there], axis=2).reshape(-1, 2 * rows.shape[1])
        said: Floats = passed_arrays(self.generator, both).reshape(there.shape).mean(axis=1)
        return said + (self.spreads * error if self.draw else 0.0)


def _entropy(said: Tensor, real: Tensor, places: Tensor) -> Tensor:
    """Mean cross-entropy of what is said to be real, over some places."""
    losses = functional.binary_cross_entropy_with_logits(said, real, reduction="none")
    return (losses * places).sum() / places.sum().clamp_min(1)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, done: float) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.param_groups[0]["lr"] = LEARNING_RATE * falling(done)
    optimizer.step()
