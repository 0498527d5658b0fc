"""A learning rate measured on the very network and data: losses while the rate rises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from glial.core.seeds import seeded
from glial.data.batches import Batch
from glial.training.schedules import Moment, Schedule

FALLBACK_LR = 1e-3
NEARLY = 0.05


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw.

    Attributes:
        lr: The suggestion.
        rates: The rates tried, rising on a log scale.
        losses: The loss at each, as measured; the test ends early where it diverges.
        reason: Why this rate.

    Example:
        >>> RangeTest(0.01, np.array([0.1]), np.array([1.0]), "given").lr
        0.01
    """

    lr: float
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    reason: str


def suggest_lr(rates: NDArray[np.float64], losses: NDArray[np.float64]) -> tuple[float, str]:
    """The rate to train with, from the losses of a rising rate.

    A running median takes out spikes and a centred mean evens out noise; the suggestion is a fifth
    of the first rate at which the smoothed loss has made 95 % of its fall, since behind that the
    curve may be flat over decades. Where the loss never falls by more
    than its own noise nothing can be read off, and 0.001 is returned.

    Source: Smith 2017, arXiv 1506.01186, section 3.3, for the test; the smoothing is our own.

    Args:
        rates: Rising rates.
        losses: Loss at each; not finite counts as diverged.

    Returns:
        The rate, and the reason in words.

    Example:
        >>> rates = np.logspace(-6, 1, 100)
        >>> losses = np.where(rates < 0.1, 1 - 8 * np.minimum(rates, 0.1), 5.0)
        >>> 0.005 < suggest_lr(rates, losses)[0] < 0.011
        True
    """
    if len(losses) < 10 or not np.isfinite(losses).any():
        return FALLBACK_LR, "the loss diverged at once: a usual rate was taken"
    finite = np.where(np.isfinite(losses), losses, np.max(losses[np.isfinite(losses)]))
    smooth = _smoothed(finite)
    head = max(5, len(losses) // 5)
    start = float(np.median(finite[:head]))
    noise = float(np.median(np.abs(finite[:head] - start)))
    lowest = int(np.argmin(smooth))
    if lowest < 7 or start - smooth[lowest] <= max(noise, 1e-3 * abs(start)):
        return FALLBACK_LR, "the loss never fell by more than its noise: a usual rate was taken"
    near = smooth[lowest] + NEARLY * (start - smooth[lowest])
    first = int(np.argmax(smooth <= near))
    return float(rates[first] / 5), "a fifth of the first rate at which the loss was nearly lowest"


def _smoothed(losses: NDArray[np.float64], half: int = 3) -> NDArray[np.float64]:
    padded = np.pad(losses, half, mode="reflect")
    medians = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    padded = np.pad(medians, half, mode="reflect")
    return np.asarray(np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), "valid"))


def lr_range_test(
    model: nn.Module,
    make_step: Callable[[Schedule], Callable[[Batch, Moment], Tensor]],
    epochs: Callable[[int], Iterator[Batch]],
    *,
    seed: int,
    low: float = 1e-6,
    high: float = 10.0,
    num_steps: int = 120,
) -> RangeTest:
    """Train for a few steps with a rate that rises on a log scale, then undo all of it.

    Args:
        model: The network; its weights and buffers are restored afterwards.
        make_step: Given a schedule of absolute rates, a function that learns from a batch.
        epochs: The batches of each epoch.
        seed: Seed of what is random in the network's steps.
        low: First rate.
        high: Last rate.
        num_steps: Most steps.

    Returns:
        The measured curve and the rate it suggests.

    Example:
        >>> from glial.training.objective import Descent
        >>> from glial.training.settings import TrainSettings
        >>> import torch
        >>> model, x = nn.Linear(1, 1), torch.linspace(-1, 1, 32)[:, None]
        >>> squared = lambda outputs, target, weight: (outputs - target).square().mean()
        >>> make = lambda schedule: Descent(model, squared, TrainSettings(), 1.0, schedule).step
        >>> found = lr_range_test(model, make, lambda epoch: iter([Batch((x,), 3 * x)]), seed=0)
        >>> 1e-3 < found.lr < 1.0
        True
    """
    before = {name: value.detach().clone() for name, value in model.state_dict().items()}
    rates = np.geomspace(low, high, num_steps)
    losses: list[float] = []
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    try:
        with seeded(seed, "range test"):
            step = make_step(lambda moment: float(rates[moment.step]))
            batches = (batch for epoch in count() for batch in epochs(epoch))
            for number, batch in zip(range(num_steps), batches, strict=False):
                losses.append(float(step(batch, Moment(number, 0, number / num_steps))))
                if _diverged(losses):
                    break
    finally:
        model.load_state_dict(before)
        for module, mode in modes:
            module.training = mode
        for parameter in model.parameters():
            parameter.grad = None
    measured = np.array(losses)
    lr, reason = suggest_lr(rates[: len(losses)], measured)
    return RangeTest(lr, rates[: len(losses)], measured, reason)


def _diverged(losses: list[float]) -> bool:
    """Whether three losses in a row are not finite or far above the first ones."""
    if len(losses) < 8:
        return False
    ceiling = 4 * max(abs(float(np.median(losses[:5]))), 1e-8)
    return all(not np.isfinite(value) or value > ceiling for value in losses[-3:])


__all__ = ["RangeTest", "lr_range_test", "suggest_lr"]
