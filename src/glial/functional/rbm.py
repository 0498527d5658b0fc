r"""Restricted Boltzmann machines: energies, chains, and the logarithm of the partition function.

A machine gives a pair of visible and hidden units the energy

.. math:: E(v, h) = -b'v - c'h - h'Wv \quad\text{or}\quad
    E(v, h) = \sum_i \frac{(v_i - b_i)^2}{2 \sigma_i^2} - c'h - h'W(v / \sigma^2),

the first where visible units are 0 or 1, the second where they are numbers; hidden units are 0 or
1. No unit is tied to one of its own layer.

Source:
    Smolensky (1986), "Information processing in dynamical systems: foundations of harmony theory";
    Hinton (2002), doi:10.1162/089976602760128018; numbers with learnt variances: Cho, Ilin, Raiko
    (2011), "Improved learning of Gaussian-Bernoulli restricted Boltzmann machines",
    doi:10.1007/978-3-642-21735-7_2; annealing: Salakhutdinov, Murray (2008), "On the
    quantitative analysis of deep belief networks", doi:10.1145/1390156.1390266.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Visible = Float[Tensor, "row visible"]
Hidden = Float[Tensor, "row hidden"]
PerRow = Float[Tensor, " row"]

MOST_ENUMERATED = 25  # units: thirty million states
STATES_AT_ONCE = 1 << 12


class RBMWeights(NamedTuple):
    """What a restricted Boltzmann machine consists of.

    Attributes:
        weight: W, [hidden, visible].
        visible_bias: b, [visible].
        hidden_bias: c, [hidden].
        variance: Of visible units that are numbers, [visible]; None where they are 0 or 1.

    Example:
        >>> machine = RBMWeights(torch.zeros(2, 3), torch.zeros(3), torch.zeros(2))
        >>> rbm_free_energy(machine, torch.zeros(1, 3))
        tensor([-1.3863])
    """

    weight: Float[Tensor, "hidden visible"]
    visible_bias: Float[Tensor, " visible"]
    hidden_bias: Float[Tensor, " hidden"]
    variance: Float[Tensor, " visible"] | None = None


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


def rbm_hidden_sums(machine: RBMWeights, visible: Visible) -> Hidden:
    """What the hidden units' logistic functions are taken of: their log odds of being on.

    Args:
        machine: The machine.
        visible: States of its visible units.

    Example:
        >>> machine = RBMWeights(torch.ones(1, 2), torch.zeros(2), torch.zeros(1))
        >>> rbm_hidden_sums(machine, torch.tensor([[1.0, 2.0]]))
        tensor([[3.]])
    """
    if machine.variance is not None:
        visible = visible / machine.variance
    return torch.addmm(machine.hidden_bias, visible, machine.weight.t())


def rbm_visible_sums(machine: RBMWeights, hidden: Hidden) -> Visible:
    """The visible units' log odds of being on, or their means where they are numbers.

    Args:
        machine: The machine.
        hidden: States of its hidden units, or their probabilities.

    Example:
        >>> machine = RBMWeights(torch.ones(1, 2), torch.zeros(2), torch.zeros(1))
        >>> rbm_visible_sums(machine, torch.tensor([[0.5]]))
        tensor([[0.5000, 0.5000]])
    """
    return torch.addmm(machine.visible_bias, hidden, machine.weight)


def rbm_free_energy(machine: RBMWeights, visible: Visible) -> PerRow:
    r"""Minus the logarithm of the sum of :math:`e^{-E(v, h)}` over all hidden states.

    The logarithm of a row's probability (of numbers: of its density) is minus that, less the
    logarithm of the partition function.

    Args:
        machine: The machine.
        visible: States of its visible units.

    Example:
        >>> machine = RBMWeights(torch.ones(1, 1), torch.zeros(1), torch.zeros(1))
        >>> rbm_free_energy(machine, torch.ones(1, 1))  # -log(1 + e)
        tensor([-1.3133])
    """
    hidden = functional.softplus(rbm_hidden_sums(machine, visible)).sum(dim=1)
    if machine.variance is None:
        return -(visible @ machine.visible_bias) - hidden
    squares = (visible - machine.visible_bias).square() / machine.variance
    return 0.5 * squares.sum(dim=1) - hidden


def rbm_statistics(
    machine: RBMWeights, visible: Visible, hidden: Hidden | None = None
) -> RBMWeights:
    r"""The mean derivative of rows' free energy by each of a machine's numbers, in closed form.

    The gradient of the mean negative log likelihood is this of the data less this of the machine's
    own rows; contrastive divergence takes rows of short chains for these. That of the variance is
    by its logarithm.

    Args:
        machine: The machine.
        visible: Rows.
        hidden: Probabilities of their hidden units, where they are at hand.

    Source:
        Hinton (2002), doi:10.1162/089976602760128018; the variance: Cho et al. (2011).

    Example:
        >>> machine = RBMWeights(torch.zeros(1, 2), torch.zeros(2), torch.zeros(1))
        >>> rbm_statistics(machine, torch.tensor([[1.0, 2.0]])).weight
        tensor([[-0.5000, -1.0000]])
    """
    if hidden is None:
        hidden = rbm_hidden_sums(machine, visible).sigmoid_()
    shares = hidden / -len(visible)
    if machine.variance is None:
        return RBMWeights(shares.t() @ visible, -visible.mean(dim=0), shares.sum(dim=0))
    scaled = visible / machine.variance
    away = visible - machine.visible_bias
    by_spread = -0.5 * away.square() / machine.variance + (hidden @ machine.weight) * scaled
    return RBMWeights(
        shares.t() @ scaled,
        -(away / machine.variance).mean(dim=0),
        shares.sum(dim=0),
        by_spread.mean(dim=0),
    )


def rbm_contrast(
    machine: RBMWeights, rows: Visible, hidden: Hidden, others: Visible, others_hidden: Hidden
) -> RBMWeights:
    """The statistics of rows less those of as many others.

    Args:
        machine: The machine.
        rows: Rows.
        hidden: Probabilities of their hidden units.
        others: What the machine takes for rows.
        others_hidden: Likewise.

    Example:
        >>> machine = RBMWeights(torch.zeros(1, 2), torch.zeros(2), torch.zeros(1))
        >>> rows, half = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5]])
        >>> rbm_contrast(machine, rows, half, torch.zeros(1, 2), half).weight
        tensor([[-0.5000, -1.0000]])
    """
    if machine.variance is not None:
        own = rbm_statistics(machine, rows, hidden)
        other = rbm_statistics(machine, others, others_hidden)
        return RBMWeights(*(a - b for a, b in zip(own, other, strict=True)))  # type: ignore[operator]
    share = 1 / len(rows)
    weight = others_hidden.t() @ others
    weight.addmm_(hidden.t(), rows, beta=share, alpha=-share)
    bias = (others.sum(dim=0) - rows.sum(dim=0)) * share
    return RBMWeights(weight, bias, (others_hidden.sum(dim=0) - hidden.sum(dim=0)) * share)


def rbm_visible_step(machine: RBMWeights, hidden: Hidden, noise: Visible) -> Visible:
    """Visible states drawn given hidden ones.

    Args:
        machine: The machine.
        hidden: States of its hidden units.
        noise: Even numbers in [0, 1), or standard normal ones where visible units are numbers.

    Example:
        >>> machine = RBMWeights(torch.zeros(1, 2), torch.zeros(2), torch.zeros(1))
        >>> rbm_visible_step(machine, torch.zeros(1, 1), torch.tensor([[0.4, 0.6]]))
        tensor([[1., 0.]])
    """
    sums = rbm_visible_sums(machine, hidden)
    if machine.variance is None:
        return below(noise, sums.sigmoid_())
    return sums + machine.variance.sqrt() * noise


def rbm_gibbs_step(
    machine: RBMWeights, visible: Visible, hidden_noise: Hidden, visible_noise: Visible
) -> Visible:
    """Other visible states: hidden ones drawn given the visible, visible ones given these.

    Args:
        machine: The machine.
        visible: States of its visible units.
        hidden_noise: Even numbers in [0, 1).
        visible_noise: As for `rbm_visible_step`.

    Example:
        >>> machine = RBMWeights(torch.zeros(1, 2), torch.zeros(2), torch.zeros(1))
        >>> noise = torch.tensor([[0.4, 0.6]])
        >>> rbm_gibbs_step(machine, torch.zeros(1, 2), torch.zeros(1, 1), noise)
        tensor([[1., 0.]])
    """
    chances = rbm_hidden_sums(machine, visible).sigmoid_()
    return rbm_visible_step(machine, below(hidden_noise, chances), visible_noise)


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


def drawn(like: Tensor, generator: torch.Generator) -> Tensor:
    """Even numbers in [0, 1) in the shape of others, drawn on the processor.

    Args:
        like: Has the shape, type and device.
        generator: Draws.

    Example:
        >>> drawn(torch.zeros(2, 3), torch.Generator()).shape
        torch.Size([2, 3])
    """
    numbers = torch.rand(like.shape, generator=generator, dtype=like.dtype)
    return numbers.to(like.device)


def below(noise: Tensor, chances: Tensor) -> Tensor:
    """1 where numbers are below chances, else 0, in the type of these.

    Args:
        noise: Even numbers in [0, 1).
        chances: Of being 1, in the same shape.

    Example:
        >>> below(torch.tensor([0.2, 0.8]), torch.tensor([0.5, 0.5]))
        tensor([1., 0.])
    """
    return torch.lt(noise, chances, out=torch.empty_like(chances))
