"""Partition functions of restricted Boltzmann machines, and long chains from them.

Source:
    Salakhutdinov, Murray (2008), "On the quantitative analysis of deep belief networks",
    doi:10.1145/1390156.1390266.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from glial.functional.rbm import Hidden, PerRow, RBMWeights, Visible, below, drawn, rbm_hidden_sums

MOST_ENUMERATED = 25  # units: thirty million states
STATES_AT_ONCE = 1 << 12


class PartitionEstimate(NamedTuple):
    """What annealed importance sampling says of the logarithm of a partition function.

    Attributes:
        log_partition: The estimate, in nats.
        low: Three standard errors of the mean weight below; minus infinity where these exceed it.
        high: Three above.
        log_weights: The logarithms of the chains' weights, [chain].

    Example:
        >>> machine = RBMWeights(torch.zeros(2, 3), torch.zeros(3), torch.zeros(2))
        >>> found = annealed_log_partition(machine, generator=torch.Generator(), temperatures=10)
        >>> abs(found.log_partition - 5 * math.log(2)) < 1e-5
        True
    """

    log_partition: float
    low: float
    high: float
    log_weights: Float[Tensor, " chain"]


def exact_log_partition(machine: RBMWeights) -> float:
    """The logarithm of the partition function, by a sum over all states of the smaller layer.

    Computed with 64 bits. Visible units that are numbers are integrated over in closed form, so
    that hidden states are summed over.

    Args:
        machine: The machine, with at most 25 units in the layer that is summed over.

    Raises:
        ValueError: If there are more.

    Example:
        >>> machine = RBMWeights(torch.zeros(2, 3), torch.zeros(3), torch.zeros(2))
        >>> round(exact_log_partition(machine), 4)  # five units that are free to be 0 or 1
        3.4657
    """
    weight, visible_bias, hidden_bias = (part.detach().double() for part in machine[:3])
    variance = None if machine.variance is None else machine.variance.detach().double()
    if variance is None and len(visible_bias) < len(hidden_bias):
        weight, visible_bias, hidden_bias = weight.t(), hidden_bias, visible_bias
    units = len(hidden_bias)
    if units > MOST_ENUMERATED:
        raise ValueError(f"{units} units have too many states: at most {MOST_ENUMERATED}")
    places = torch.arange(units, device=weight.device)
    found = []
    for states in torch.split(torch.arange(2**units, device=weight.device), STATES_AT_ONCE):
        hidden = (states[:, None] >> places & 1).double()
        sums = torch.addmm(visible_bias, hidden, weight)
        if variance is None:
            inner = functional.softplus(sums).sum(dim=1)
        else:
            own = (2 * math.pi * variance).log() + (
                sums.square() - visible_bias.square()
            ) / variance
            inner = 0.5 * own.sum(dim=1)
        found.append((hidden @ hidden_bias + inner).logsumexp(dim=0))
    return float(torch.stack(found).logsumexp(dim=0))


class _Path:
    """From independent units (share 0) to the machine (share 1), whose free energies lie between.

    Source:
        Salakhutdinov and Murray (2008), section 4.
    """

    def __init__(self, machine: RBMWeights, base: Float[Tensor, " visible"]) -> None:
        self.machine = machine
        self.base = base

    def log_weight(self, visible: Visible, hidden_sums: Hidden, share: float) -> PerRow:
        """The logarithm of the unnormalised probability of visible states."""
        machine = self.machine
        hidden = functional.softplus(share * hidden_sums).sum(dim=1)
        if machine.variance is None:
            return visible @ torch.lerp(self.base, machine.visible_bias, share) + hidden
        away = (visible - self.base).square() * (1 - share)
        squares = away + (visible - machine.visible_bias).square() * share
        return hidden - 0.5 * (squares / machine.variance).sum(dim=1)

    def step(self, hidden_sums: Hidden, share: float, generator: torch.Generator) -> Visible:
        """One Gibbs step that leaves the distribution at a share as it is."""
        machine = self.machine
        chances = (share * hidden_sums).sigmoid_()
        hidden = below(drawn(chances, generator), chances)
        sums = share * (hidden @ machine.weight)
        return self._drawn(sums + torch.lerp(self.base, machine.visible_bias, share), generator)

    def start(self, count: int, generator: torch.Generator) -> Visible:
        """States of independent units."""
        return self._drawn(self.base.expand(count, -1), generator)

    def _drawn(self, sums: Tensor, generator: torch.Generator) -> Tensor:
        if self.machine.variance is None:
            chances = sums.sigmoid()
            return below(drawn(chances, generator), chances)
        noise = torch.randn(sums.shape, generator=generator, dtype=sums.dtype).to(sums.device)
        return sums + self.machine.variance.sqrt() * noise

    def log_partition_of_base(self) -> float:
        """Of share 0."""
        hidden = self.machine.weight.shape[0] * math.log(2)
        if self.machine.variance is None:
            return hidden + float(functional.softplus(self.base.double()).sum())
        return hidden + 0.5 * float((2 * math.pi * self.machine.variance.double()).log().sum())


@torch.no_grad()
def annealed_log_partition(
    machine: RBMWeights,
    *,
    generator: torch.Generator,
    chains: int = 100,
    temperatures: int = 1000,
    base: Float[Tensor, " visible"] | None = None,
) -> PartitionEstimate:
    """An estimate of the logarithm of the partition function, with an interval.

    Chains go from independent visible units, whose partition function is known, to the machine in
    many small steps, and are weighed by what each step changes. The mean weight is right on
    average; its logarithm tends to be low where chains are few or steps are large, and the
    interval knows only of what the chains have met.

    Args:
        machine: The machine.
        generator: Draws, on the processor.
        chains: How many.
        temperatures: Steps of each, evenly spaced.
        base: Log odds of the independent units, or their means where they are numbers, [visible];
            the machine's own biases by default. Those of the data make better estimates.

    Source:
        Neal (2001), doi:10.1023/A:1008923215028; Salakhutdinov and Murray (2008), section 4.

    Example:
        >>> machine = RBMWeights(torch.ones(2, 2), torch.zeros(2), torch.zeros(2))
        >>> found = annealed_log_partition(machine, generator=torch.Generator().manual_seed(0))
        >>> found.low < exact_log_partition(machine) < found.high
        True
    """
    path = _Path(machine, machine.visible_bias if base is None else base.to(machine.weight))
    shares = torch.linspace(0, 1, temperatures + 1, dtype=torch.float64).tolist()
    visible = path.start(chains, generator)
    log_weights = torch.zeros(chains, dtype=torch.float64, device=visible.device)
    for before, after in itertools.pairwise(shares):
        sums = rbm_hidden_sums(machine, visible)
        log_weights += path.log_weight(visible, sums, after)
        log_weights -= path.log_weight(visible, sums, before)
        visible = path.step(sums, after, generator)
    log_weights = log_weights.cpu() + path.log_partition_of_base()
    highest = log_weights.max()
    weights = (log_weights - highest).exp()
    mean = float(weights.mean())
    error = 3 * float(weights.std()) / math.sqrt(chains)
    low = math.log(mean - error) if mean > error else -math.inf
    top = float(highest)
    return PartitionEstimate(
        top + math.log(mean), top + low, top + math.log(mean + error), log_weights
    )


@torch.no_grad()
def rbm_chain(
    machine: RBMWeights,
    count: int,
    *,
    generator: torch.Generator,
    steps: int = 500,
    base: Float[Tensor, " visible"] | None = None,
) -> Visible:
    """Visible states at the end of chains that start from independent units.

    The first half of the steps goes over from these to the machine, which leads chains to more of
    its modes than a start from noise at once; the others are Gibbs steps.

    Args:
        machine: The machine.
        count: How many chains.
        generator: Draws, on the processor.
        steps: Of each chain.
        base: As for `annealed_log_partition`.

    Example:
        >>> machine = RBMWeights(torch.zeros(1, 2), torch.tensor([50.0, -50.0]), torch.zeros(1))
        >>> rbm_chain(machine, 1, generator=torch.Generator(), steps=2)
        tensor([[1., 0.]])
    """
    path = _Path(machine, machine.visible_bias if base is None else base.to(machine.weight))
    visible = path.start(count, generator)
    for number in range(steps):
        sums = rbm_hidden_sums(machine, visible)
        visible = path.step(sums, min(1.0, 2 * (number + 1) / steps), generator)
    return visible
