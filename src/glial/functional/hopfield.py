"""Hopfield networks: patterns as states of least energy, classical and continuous.

Units of the classical network are -1 or 1. Its states roll downhill to a pattern that was stored.
The continuous one keeps its patterns as they are, and answers with their softmax: one step of it is
attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

States = Float[Tensor, "row unit"]
Couplings = Float[Tensor, "unit unit"]
Biases = Float[Tensor, " unit"]
RecallName = Literal["asynchronous", "synchronous"]


def pairwise_energy(
    states: States, couplings: Couplings, biases: Biases | None = None
) -> Float[Tensor, " row"]:
    """Energy of states of units that pull at each other: -1/2 s W s - b s.

    Args:
        states: Of each row, whatever the values of a unit.
        couplings: Symmetric; how much two units want to be alike.
        biases: How much each unit wants to be on; None is not at all.

    Source:
        Hopfield (1982), "Neural networks and physical systems with emergent collective
        computational abilities", doi:10.1073/pnas.79.8.2554, equation 7.

    Example:
        >>> couplings = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> pairwise_energy(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), couplings)
        tensor([-1.,  1.])
    """
    energy = -0.5 * ((states @ couplings) * states).sum(dim=1)
    return energy if biases is None else energy - states @ biases


def hebbian_couplings(patterns: States) -> Couplings:
    """Couplings that store patterns by Hebb's rule: what is alike in a pattern is bound.

    About 0.138 patterns a unit can be stored so, where these are independent of each other.

    Args:
        patterns: Of -1 and 1.

    Returns:
        The sum of the patterns' products over the number of units, with a diagonal of 0.

    Source:
        Hopfield (1982), equation 2; capacity: Amit, Gutfreund, Sompolinsky (1985), "Storing
        infinite numbers of patterns in a spin-glass model of neural networks",
        doi:10.1103/PhysRevLett.55.1530.

    Example:
        >>> hebbian_couplings(torch.tensor([[1.0, -1.0]]))
        tensor([[ 0.0000, -0.5000],
                [-0.5000,  0.0000]])
    """
    return (patterns.T @ patterns / patterns.shape[1]).fill_diagonal_(0)


def pseudo_inverse_couplings(patterns: States) -> Couplings:
    """Couplings that store patterns by projecting on the space that they span.

    Every pattern is a fixed point as long as there are fewer than units and they are linearly
    independent, however alike they are. The diagonal is left out, so that energy never rises.

    Args:
        patterns: Of -1 and 1.

    Source:
        Personnaz, Guyon, Dreyfus (1985), "Information storage and retrieval in spin-glass like
        neural networks", doi:10.1051/jphyslet:01985004608035900; without the diagonal: Kanter,
        Sompolinsky (1987), "Associative recall of memory without errors",
        doi:10.1103/PhysRevA.35.380.

    Example:
        >>> pseudo_inverse_couplings(torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])).abs()
        tensor([[0.0000, 0.5000, 0.0000],
                [0.5000, 0.0000, 0.0000],
                [0.0000, 0.0000, 0.0000]])
    """
    projection = torch.linalg.pinv(patterns) @ patterns
    even = (projection + projection.T) / 2
    # What rounding leaves of a 0 would decide where nothing else pulls.
    rounding = 64 * torch.finfo(even.dtype).eps
    return torch.where(even.abs() > rounding, even, 0.0).fill_diagonal_(0)


class Recalled(NamedTuple):
    """Where states have come to.

    Attributes:
        states: [row, unit].
        energies: Before the first sweep and after each, [sweep + 1, row].
        settled: Whether the last sweep changed nothing, [row].

    Example:
        >>> Recalled(torch.ones(1, 2), torch.zeros(1, 1), torch.tensor([True])).settled.tolist()
        [True]
    """

    states: States
    energies: Float[Tensor, "sweep row"]
    settled: Bool[Tensor, " row"]


def recall(
    states: States,
    couplings: Couplings,
    biases: Biases | None = None,
    *,
    sweeps: int = 50,
    how: RecallName = "asynchronous",
    order: Int[Tensor, " turn"] | None = None,
    free: Bool[Tensor, " unit"] | None = None,
) -> Recalled:
    """Let states of -1 and 1 follow their fields, until nothing changes.

    A unit in whose field nothing pulls keeps its state.

    Args:
        states: Where to start from.
        couplings: Symmetric, with a diagonal of 0.
        biases: Of the units.
        sweeps: The most sweeps; each asks every unit once.
        how: ``asynchronous`` asks unit after unit, so that energy never rises and an end is sure;
            ``synchronous`` asks all at once, which may end in two states that follow each other.
        order: In which order units are asked; None is as they stand.
        free: Units that may change; None is all. The others are clamped.

    Source:
        Hopfield (1982), equation 1.

    Example:
        >>> pattern = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
        >>> recall(torch.ones(1, 4) * torch.tensor([1, -1, 1, 1]), hebbian_couplings(pattern))[0]
        tensor([[ 1., -1.,  1., -1.]])
    """
    states = states.clone()
    units = range(states.shape[1]) if order is None else order.tolist()
    units = [unit for unit in units if free is None or free[unit]]
    shift = torch.zeros_like(couplings[0]) if biases is None else biases
    energies = [pairwise_energy(states, couplings, shift)]
    settled = torch.zeros(len(states), dtype=torch.bool, device=states.device)
    for _ in range(sweeps):
        moving = (~settled).nonzero().flatten()
        before = states[moving]
        if how == "asynchronous":
            after = _asked_in_turn(before, couplings, shift, units)
        else:
            fields = before @ couplings + shift
            followed = torch.where(fields == 0, before, fields.sign())
            after = before.clone()
            after[:, units] = followed[:, units]
        states[moving] = after
        now = energies[-1].clone()
        now[moving] = pairwise_energy(after, couplings, shift)
        energies.append(now)
        settled[moving] = (after == before).all(dim=1)
        if bool(settled.all()):
            break
    return Recalled(states, torch.stack(energies), settled)


def _asked_in_turn(
    states: States, couplings: Couplings, biases: Biases, units: Sequence[int]
) -> States:
    columns = states.T.clone(memory_format=torch.contiguous_format)
    for unit in units:
        field = couplings[unit] @ columns + biases[unit]
        columns[unit] = torch.where(field == 0, columns[unit], field.sign())
    return columns.T.contiguous()


def association_energy(
    queries: Float[Tensor, "row feature"],
    memories: Float[Tensor, "memory feature"],
    beta: float = 1.0,
) -> Float[Tensor, " row"]:
    """Energy of continuous states among stored patterns; `associate` never raises it.

    Args:
        queries: States of any numbers.
        memories: The patterns.
        beta: How sharply patterns are told apart, above 0; its inverse is a temperature.

    Returns:
        At least 0, as by the paper's constants.

    Source:
        Ramsauer et al. (2021), "Hopfield networks is all you need", arXiv 2008.02217, equation 2.

    Example:
        >>> association_energy(torch.tensor([[2.0]]), torch.tensor([[2.0]]))
        tensor([0.])
    """
    sharp = (beta * queries @ memories.T).logsumexp(dim=1) / beta
    longest = memories.square().sum(dim=1).max()
    told = torch.tensor(float(len(memories))).log().to(sharp) / beta
    return -sharp + 0.5 * queries.square().sum(dim=1) + told + 0.5 * longest


def associate(
    queries: Float[Tensor, "row feature"],
    memories: Float[Tensor, "memory feature"],
    beta: float = 1.0,
    *,
    steps: int = 1,
) -> Float[Tensor, "row feature"]:
    """Stored patterns that continuous states call up: softmax(beta q X) X, as often as asked.

    One step usually comes to a pattern that stands well apart from the others. With a small
    ``beta`` it comes to a mean of several.

    Args:
        queries: States to start from.
        memories: The patterns.
        beta: How sharply patterns are told apart.
        steps: How many updates.

    Source:
        Ramsauer et al. (2021), equation 3.

    Example:
        >>> memories = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> associate(torch.tensor([[0.6, 0.4]]), memories, beta=50.0, steps=2).round()
        tensor([[1., 0.]])
    """
    for _ in range(steps):
        queries = (beta * queries @ memories.T).softmax(dim=1) @ memories
    return queries
