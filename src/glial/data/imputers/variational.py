"""Missing numbers expected, or drawn, under a variational autoencoder of those that are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
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
HIDDEN_SIZE, MAX_LATENT = 128, 16
LEARNING_RATE = 2e-3
LEAST_VARIANCE = 1e-3
HIDDEN_WEIGHT, WARMUP = 1.0, 0.3
NUM_SAMPLES = 50
LOG_VARIANCES = (-12.0, 6.0)


@dataclass(frozen=True)
class VariationalImputer:
    """What rows like this one have there, by a variational autoencoder of incomplete rows.

    The bound is of the numbers that are seen. In training some of those that are there are hidden,
    and what is decoded of the mean code is held against them too; that is what a missing number is
    filled with. A draw decodes one of several codes, each as likely as it explains what is there
    (self-normalised importance sampling), and adds an error.

    Attributes:
        encoder: Layers from numbers and what is there of them to mean and log-variance of a code.
        decoder: Layers from a code to numbers.
        variances: Of each number around what is decoded, [number].
        ends: The least and the greatest training value of each number, which no filled one
            leaves, [2, number].
        draw: Which draw this is, from 1: a number is then drawn, not expected; 0 draws nothing.

    Source:
        Mattei, Frellsen (2019), "MIWAE: deep generative modelling and imputation of incomplete
        data sets", arXiv 1812.02633, equations 4 and 12; hidden numbers: Ivanov, Figurnov, Vetrov
        (2019), "Variational autoencoder with arbitrary conditioning", arXiv 1806.02382. Measured,
        the error of hidden numbers and the mean code filled better than the mean over codes.

    Example:
        >>> rows = np.outer(np.linspace(-2, 2, 200), [1.0, -1.0, 0.5])
        >>> rows[20, 1] = np.nan
        >>> filled = VariationalImputer.fit(rows).fill(rows)
        >>> bool(abs(filled[20, 1] + rows[20, 0]) < 0.3)
        True
    """

    encoder: list[DenseLayer]
    decoder: list[DenseLayer]
    variances: Floats
    ends: Floats
    draw: int

    def __post_init__(self) -> None:
        numbers = len(self.variances)
        latent = len(self.decoder[0].weight)
        fit = len(self.encoder[0].weight) == 2 * numbers and self.ends.shape == (2, numbers)
        fit &= len(self.encoder[-1].bias) == 2 * latent
        if not (fit and len(self.decoder[-1].bias) == numbers and (self.variances > 0).all()):
            raise ValueError("the layers of an imputer do not fit together")

    @classmethod
    def fit(cls, rows: Floats, draw: int | None = None, seed: int = 0) -> VariationalImputer:
        """Trains the networks.

        Args:
            rows: Training rows, [row, number].
            draw: Which of several imputations this is; None fills with what is to be expected.
            seed: Of first weights, orders and noise.
        """
        rows = sampled(rows, MAX_FITTED_ROWS, seed)
        numbers = rows.shape[1]
        latent = max(1, min(MAX_LATENT, numbers))
        random = np.random.default_rng([seed, draw or 0])
        encoder = first_weights([2 * numbers, HIDDEN_SIZE, HIDDEN_SIZE, 2 * latent], random)
        decoder = first_weights([latent, HIDDEN_SIZE, HIDDEN_SIZE, numbers], random)
        raw = torch.zeros(numbers, requires_grad=True)
        parts = [part for pair in encoder + decoder for part in pair]
        optimizer = torch.optim.Adam([*parts, raw], lr=LEARNING_RATE)

        def step(
            values: Tensor, there: Tensor, seen: Tensor, generator: torch.Generator, done: float
        ) -> None:
            given = passed(encoder, torch.cat([values * seen, seen], dim=1))
            mean, log_variance = given[:, :latent], given[:, latent:].clamp(*LOG_VARIANCES)
            noise = torch.randn(mean.shape, generator=generator)
            codes = torch.cat([mean + (0.5 * log_variance).exp() * noise, mean])
            drawn, expected = passed(decoder, codes).chunk(2)
            spread = functional.softplus(raw) + LEAST_VARIANCE
            errors = 0.5 * ((values - drawn).square() / spread + spread.log()) * seen
            hidden = (values - expected).square() / spread.detach() * (there - seen)
            divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
            loss = errors + HIDDEN_WEIGHT * hidden, min(1.0, done / WARMUP) * divergence
            total = (loss[0].sum(dim=1) + loss[1].sum(dim=1)).mean()
            optimizer.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * falling(done)
            optimizer.step()

        learn(rows, step, int(random.integers(2**62)), "fitting the imputer vae")
        variances = (functional.softplus(raw.detach()) + LEAST_VARIANCE).double().numpy()
        layers = as_layers(encoder), as_layers(decoder)
        return cls(*layers, variances, ends_of(rows), draw or 0)

    def fill(self, rows: Floats) -> Floats:
        """The rows with every NaN replaced."""
        return filled_by(self._said, rows, self.ends)

    def _said(self, rows: Floats) -> Floats:
        """What each row is expected to hold, or drawn to."""
        there = (~np.isnan(rows)).astype(np.float64)
        values, latent = near(rows), len(self.decoder[0].weight)
        given = passed_arrays(self.encoder, np.concatenate([values, there], axis=1))
        mean, log_variance = given[:, :latent], np.clip(given[:, latent:], *LOG_VARIANCES)
        if not self.draw:
            return passed_arrays(self.decoder, mean)
        noise = noise_of(rows, self.draw, NUM_SAMPLES * latent + rows.shape[1] + 1)
        normal = noise[:, : NUM_SAMPLES * latent].reshape(len(rows), NUM_SAMPLES, latent)
        codes = mean[:, None] + np.exp(0.5 * log_variance)[:, None] * normal
        flat = passed_arrays(self.decoder, codes.reshape(-1, latent))
        decoded = flat.reshape(len(rows), NUM_SAMPLES, -1)
        away = (values[:, None] - decoded) ** 2 / self.variances
        logs = -0.5 * (away * there[:, None]).sum(axis=2)
        logs -= 0.5 * (codes**2 - normal**2).sum(axis=2)
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        shares = weights / weights.sum(axis=1, keepdims=True)
        picked = _picked(shares, noise[:, -1])
        errors = noise[:, -1 - rows.shape[1] : -1] * np.sqrt(self.variances)
        drawn: Floats = decoded[np.arange(len(rows)), picked] + errors
        return drawn


def _picked(shares: Floats, normal: Floats) -> NDArray[np.int64]:
    """Which sample each row takes, by their shares and one standard normal number a row."""
    from scipy.special import ndtr

    places = ndtr(normal)
    below = (np.cumsum(shares, axis=1) < places[:, None]).sum(axis=1)
    picked: NDArray[np.int64] = np.minimum(below, shares.shape[1] - 1)
    return picked
