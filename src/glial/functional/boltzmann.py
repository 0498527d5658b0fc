"""Boltzmann machines: units of 0 and 1 that pull at each other, and flip by chance.

A machine is symmetric ``couplings`` with a diagonal of 0, and ``biases``. A state's probability is
in proportion to exp(-energy / temperature). Units are free, or clamped to a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glial.core.errors import InputError
from glial.functional.hopfield import Biases, Couplings, States, pairwise_energy

MOST_UNITS = 20  # whose million states are held at once


def binary_states(num_units: int) -> Float[Tensor, "state unit"]:
    """Every state of some units of 0 and 1, counted as binary numbers.

    Args:
        num_units: How many units.

    Raises:
        InputError: If there are too many to hold.

    Example:
        >>> binary_states(2).tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    if num_units > MOST_UNITS:
        raise InputError(
            "there are too many states to go through",
            expected=f"at most {MOST_UNITS} units",
            got=str(num_units),
            do="draw them: glial.functional.gibbs_sweep",
        )
    places = torch.arange(num_units - 1, -1, -1)
    numbers = torch.arange(2**num_units)
    return ((numbers[:, None] >> places) & 1).double()


class Moments(NamedTuple):
    """What a machine's units are in the mean.

    Attributes:
        means: The chance of each unit to be on, [unit].
        pairs: The chance of two units to be on together, [unit, unit]; the diagonal is the means.
        log_partition: Logarithm of the sum of exp(-energy / temperature) over all states, [].

    Example:
        >>> boltzmann_moments(torch.zeros(2, 2), torch.zeros(2)).pairs
        tensor([[0.5000, 0.2500],
                [0.2500, 0.5000]], dtype=torch.float64)
    """

    means: Float[Tensor, " unit"]
    pairs: Float[Tensor, "unit unit"]
    log_partition: Float[Tensor, ""]


def boltzmann_moments(
    couplings: Couplings,
    biases: Biases,
    *,
    temperature: float = 1.0,
    clamped: Float[Tensor, " unit"] | None = None,
) -> Moments:
    """What units are in the mean, by going through every state.

    Args:
        couplings: Symmetric, with a diagonal of 0.
        biases: Of the units.
        temperature: Of the machine.
        clamped: Values of clamped units, and NaN for free ones; None clamps none.

    Raises:
        InputError: If there are too many free units.

    Source:
        Ackley, Hinton, Sejnowski (1985), "A learning algorithm for Boltzmann machines",
        doi:10.1207/s15516709cog0901_7, equation 5.

    Example:
        >>> couplings = torch.tensor([[0.0, 2.0], [2.0, 0.0]])
        >>> boltzmann_moments(couplings, torch.zeros(2), clamped=torch.tensor([1, float("nan")]))[0]
        tensor([1.0000, 0.8808], dtype=torch.float64)
    """
    held = torch.full_like(biases, torch.nan) if clamped is None else clamped
    free = held.isnan()
    few = binary_states(int(free.sum())).to(held.device)
    states = held.double().repeat(len(few), 1)
    states[:, free] = few
    energies = pairwise_energy(states, couplings.double(), biases.double())
    scores = -energies / temperature
    chances = scores.softmax(dim=0)
    pairs = states.T @ (states * chances[:, None])
    return Moments(chances @ states, pairs, scores.logsumexp(dim=0))


def gibbs_sweep(
    states: States,
    couplings: Couplings,
    biases: Biases,
    uniforms: States,
    *,
    temperature: float = 1.0,
    free: Bool[Tensor, " unit"] | None = None,
) -> States:
    """Ask every free unit once, in turn: it is on with the chance that the others leave it.

    Args:
        states: Of chains, of 0 and 1.
        couplings: Symmetric, with a diagonal of 0.
        biases: Of the units.
        uniforms: Numbers from 0 to 1, one for each unit of each chain.
        temperature: High ones flip units at random, 0 lets them follow their fields.
        free: Units that may change; None is all. The others are clamped.

    Source:
        Ackley, Hinton, Sejnowski (1985), equation 3.

    Example:
        >>> gibbs_sweep(torch.zeros(1, 2), torch.zeros(2, 2), torch.tensor([9.0, -9.0]),
        ...             torch.full((1, 2), 0.5))
        tensor([[1., 0.]])
    """
    columns = states.T.clone(memory_format=torch.contiguous_format)
    drawn = uniforms.T
    # on where u < sigmoid(field / T), said without a sigmoid a unit, and for T = 0 too
    needed = temperature * torch.logit(drawn, eps=torch.finfo(drawn.dtype).tiny)
    units = range(len(columns)) if free is None else free.nonzero().flatten().tolist()
    for unit in units:
        field = couplings[unit] @ columns + biases[unit]
        columns[unit] = (field > needed[unit]).to(columns)
    return columns.T.contiguous()


class Annealed(NamedTuple):
    """Where annealed chains have come to.

    Attributes:
        states: The state of least energy that each chain has met, [chain, unit].
        energies: Their energies, [chain].
        trace: Each chain's energy after each sweep, [sweep, chain].

    Example:
        >>> Annealed(torch.zeros(1, 2), torch.zeros(1), torch.zeros(3, 1)).trace.shape
        torch.Size([3, 1])
    """

    states: States
    energies: Float[Tensor, " row"]
    trace: Float[Tensor, "sweep row"]


def anneal(
    couplings: Couplings,
    biases: Biases,
    temperatures: Sequence[float],
    *,
    generator: torch.Generator,
    num_chains: int = 32,
    clamped: Float[Tensor, " unit"] | None = None,
) -> Annealed:
    """Cool a Boltzmann machine until it lies in a state of little energy.

    Args:
        couplings: Symmetric, with a diagonal of 0.
        biases: Of the units.
        temperatures: One a sweep; see `cooling`.
        generator: Draws.
        num_chains: Chains beside each other; they cost little more than one.
        clamped: Values of clamped units, and NaN for free ones.

    Source:
        Kirkpatrick, Gelatt, Vecchi (1983), "Optimization by simulated annealing",
        doi:10.1126/science.220.4598.671; Boltzmann machines: Aarts, Korst (1989), "Simulated
        annealing and Boltzmann machines", chapter 9.

    Example:
        >>> couplings = torch.tensor([[0.0, -2.0], [-2.0, 0.0]])
        >>> cut = anneal(couplings, torch.ones(2), cooling(20), generator=torch.Generator())
        >>> cut.energies.min(), cut.states[0].sum()
        (tensor(-1.), tensor(1.))
    """
    size = (num_chains, len(biases))
    states = (torch.rand(size, generator=generator) < 0.5).to(biases)
    free = None
    if clamped is not None:
        free = clamped.isnan()
        states = torch.where(free, states, clamped.to(states))
    best = states.clone()
    least = pairwise_energy(states, couplings, biases)
    trace = []
    for temperature in temperatures:
        uniforms = torch.rand(size, generator=generator).to(biases)
        states = gibbs_sweep(
            states, couplings, biases, uniforms, temperature=temperature, free=free
        )
        energies = pairwise_energy(states, couplings, biases)
        lower = energies < least
        best = torch.where(lower[:, None], states, best)
        least = torch.where(lower, energies, least)
        trace.append(energies)
    return Annealed(best, least, torch.stack(trace) if trace else least.new_zeros(0, num_chains))


def cooling(num_sweeps: int, first: float = 2.0, last: float = 0.05) -> list[float]:
    """Temperatures that fall from a first to a last by the same factor each sweep.

    Args:
        num_sweeps: How many.
        first: In units of the energy.
        last: Likewise.

    Example:
        >>> cooling(3, 4.0, 1.0)
        [4.0, 2.0, 1.0]
    """
    return torch.logspace(0, 1, num_sweeps, base=last / first).mul(first).tolist()
