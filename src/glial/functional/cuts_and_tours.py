"""Two hard problems as Boltzmann machines, whose states of least energy are their answers.

The cut of a graph that is worth most, and the shortest round trip; beside the answers by going
through all, and by simulated annealing without a network.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glial.core.errors import InputError
from glial.functional.boltzmann import binary_states
from glial.functional.hopfield import Biases, Couplings, States

Weights = Float[Tensor, "node node"]
Distances = Float[Tensor, "city city"]
State = TypeVar("State")
MOST_CITIES = 10


class Machine(NamedTuple):
    """A Boltzmann machine that stands for a problem.

    Attributes:
        couplings: Symmetric, with a diagonal of 0, [unit, unit].
        biases: [unit].
        constant: What is added to its energy to have the problem's own figure.

    Example:
        >>> Machine(torch.zeros(2, 2), torch.zeros(2), 0.0).constant
        0.0
    """

    couplings: Couplings
    biases: Biases
    constant: float


def cut_machine(weights: Weights) -> Machine:
    """The machine whose energy is minus what a cut is worth; a unit says a node's side.

    Args:
        weights: Symmetric; what the edge between two nodes is worth, 0 of none.

    Raises:
        InputError: If the weights are not symmetric.

    Source:
        Aarts, Korst (1989), "Simulated annealing and Boltzmann machines", section 9.2.

    Example:
        >>> from glial.functional.hopfield import pairwise_energy
        >>> machine = cut_machine(torch.tensor([[0.0, 3.0], [3.0, 0.0]]))
        >>> pairwise_energy(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), *machine[:2])
        tensor([-3.,  0.])
    """
    _check_square(weights, "weights")
    edges = weights - torch.diag(weights.diagonal())
    return Machine(-2 * edges, edges.sum(dim=1), 0.0)


def cut_value(weights: Weights, sides: States) -> Float[Tensor, " row"]:
    """What the edges between two sides are worth together.

    Args:
        weights: Symmetric.
        sides: Of each node, 0 or 1.

    Example:
        >>> cut_value(torch.ones(3, 3), torch.tensor([[1.0, 0.0, 0.0]]))
        tensor([2.])
    """
    return ((sides @ weights) * (1 - sides)).sum(dim=1)


def largest_cut(weights: Weights) -> tuple[float, Tensor]:
    """The cut that is worth most, by going through all.

    Args:
        weights: Symmetric.

    Returns:
        What it is worth, and the sides of the nodes, [node].

    Raises:
        InputError: If there are too many nodes.

    Example:
        >>> largest_cut(torch.ones(4, 4))[0]
        4.0
    """
    _check_square(weights, "weights")
    # Of two sides that change places only one needs to be looked at.
    states = binary_states(len(weights) - 1)
    sides = torch.cat([torch.zeros(len(states), 1).to(states), states], dim=1)
    values = cut_value(weights.double(), sides)
    best = values.argmax()
    return float(values[best]), sides[best]


def tour_machine(distances: Distances, penalty: float | None = None) -> Machine:
    """The machine whose energy is a round trip's length, and more where it is no round trip.

    The trip starts at city 0. A unit says that one of the others is visited in one of the places
    that are left: unit (city - 1) * (cities - 1) + place - 1, both counted from 1.

    Args:
        distances: Symmetric.
        penalty: What a city costs that is visited twice or not at all, or a place with two cities
            or none; None is a bit more than the longest way, so that no state of least energy has
            one: leaving a city out saves at most two ways, and costs two penalties.

    Raises:
        InputError: If there are fewer than three cities, or distances are not symmetric.

    Source:
        Hopfield, Tank (1985), "Neural computation of decisions in optimization problems",
        doi:10.1007/BF00339943, equation 8.

    Example:
        >>> tour_machine(1 - torch.eye(4)).couplings.shape
        torch.Size([9, 9])
    """
    _check_square(distances, "distances")
    others = len(distances) - 1
    if others < 2:
        raise InputError(
            "a round trip needs cities",
            expected="at least three",
            got=str(others + 1),
            do="add some",
        )
    cost = 1.05 * float(distances.max()) if penalty is None else penalty
    legs, places = distances[1:, 1:], torch.eye(others).to(distances)
    beside = torch.diag(torch.ones(others - 1), 1).to(distances)
    beside = beside + beside.T
    same_city = torch.einsum("ab,pq->apbq", places, 1 - places)
    same_place = torch.einsum("ab,pq->apbq", 1 - places, places)
    ways = torch.einsum("ab,pq->apbq", legs - torch.diag(legs.diagonal()), beside)
    couplings = -(2 * cost * (same_city + same_place) + ways).reshape(others**2, others**2)
    biases = torch.full((others, others), 2 * cost).to(distances)
    biases[:, 0] -= distances[0, 1:]
    biases[:, -1] -= distances[0, 1:]
    return Machine(couplings, biases.flatten(), 2 * cost * others)


def tour_of(state: Float[Tensor, " unit"]) -> Int[Tensor, " city"] | None:
    """The cities in the order of a round trip; None of a state that is none.

    Args:
        state: Of the units of `tour_machine`.

    Example:
        >>> tour_of(torch.tensor([0.0, 1.0, 1.0, 0.0]))
        tensor([0, 2, 1])
    """
    places = state.view(math.isqrt(len(state)), -1)
    if not bool((places.sum(dim=0) == 1).all() and (places.sum(dim=1) == 1).all()):
        return None
    return torch.cat([torch.zeros(1, dtype=torch.int64), places.argmax(dim=0) + 1])


def tour_length(distances: Distances, tour: Int[Tensor, " city"]) -> float:
    """How long a round trip is.

    Args:
        distances: Symmetric.
        tour: Cities in order.

    Example:
        >>> tour_length(1 - torch.eye(3), torch.tensor([0, 1, 2]))
        3.0
    """
    return float(distances[tour, tour.roll(-1)].sum())


def shortest_tour(distances: Distances) -> tuple[float, Int[Tensor, " city"]]:
    """The shortest round trip, by going through all.

    Args:
        distances: Symmetric.

    Returns:
        Its length, and the cities in order from city 0.

    Raises:
        InputError: If there are too many cities.

    Example:
        >>> places = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
        >>> shortest_tour(torch.cdist(places, places))[0]
        4.0
    """
    _check_square(distances, "distances")
    if len(distances) > MOST_CITIES:
        raise InputError(
            "there are too many round trips to go through",
            expected=f"at most {MOST_CITIES} cities",
            got=str(len(distances)),
            do="anneal them: glial.functional.tour_machine",
        )
    orders = torch.tensor(list(itertools.permutations(range(1, len(distances)))))
    tours = torch.cat([torch.zeros(len(orders), 1, dtype=torch.int64), orders], dim=1)
    lengths = distances[tours, tours.roll(-1, dims=1)].sum(dim=1)
    best = lengths.argmin()
    return float(lengths[best]), tours[best]


def simulated_annealing(
    start: State,
    energy: Callable[[State], float],
    propose: Callable[[State, torch.Generator], State],
    temperatures: Sequence[float],
    *,
    generator: torch.Generator,
) -> tuple[State, float]:
    """Small changes, kept where they help and by chance where they do not, less and less.

    Args:
        start: The state to begin with.
        energy: What is to be small.
        propose: A state near another; draws with the generator.
        temperatures: One a change; see `cooling`.
        generator: Draws.

    Returns:
        The best state that was met, and its energy.

    Source:
        Metropolis et al. (1953), doi:10.1063/1.1699114; Kirkpatrick, Gelatt, Vecchi (1983),
        "Optimization by simulated annealing", doi:10.1126/science.220.4598.671.

    Example:
        >>> def near(number, generator):
        ...     return number + float(torch.randint(-1, 2, (), generator=generator))
        >>> simulated_annealing(9.0, lambda number: number**2, near, [1.0] * 200,
        ...                     generator=torch.Generator().manual_seed(0))
        (0.0, 0.0)
    """
    state, told = start, energy(start)
    best, least = state, told
    for temperature in temperatures:
        other = propose(state, generator)
        rise = energy(other) - told
        drawn = float(torch.rand((), generator=generator))
        if rise <= 0 or (temperature > 0 and drawn < math.exp(-rise / temperature)):
            state, told = other, told + rise
            if told < least:
                best, least = state, told
    return best, least


def with_one_moved(sides: Float[Tensor, " node"], generator: torch.Generator) -> Tensor:
    """A cut with one node on the other side, for `simulated_annealing`.

    Args:
        sides: Of each node, 0 or 1.
        generator: Draws.

    Example:
        >>> with_one_moved(torch.zeros(1), torch.Generator())
        tensor([1.])
    """
    node = int(torch.randint(len(sides), (), generator=generator))
    moved = sides.clone()
    moved[node] = 1 - moved[node]
    return moved


def with_a_part_turned(tour: Int[Tensor, " city"], generator: torch.Generator) -> Tensor:
    """A round trip that takes a part of it the other way round, for `simulated_annealing`.

    Args:
        tour: Cities in order; the first stays.
        generator: Draws.

    Source:
        Croes (1958), "A method for solving traveling-salesman problems",
        doi:10.1287/opre.6.6.791.

    Example:
        >>> with_a_part_turned(torch.tensor([0, 1, 2]), torch.Generator().manual_seed(1))[0]
        tensor(0)
    """
    ends = torch.randperm(len(tour) - 1, generator=generator)[:2].sort().values + 1
    first, last = int(ends[0]), int(ends[1]) + 1
    return torch.cat([tour[:first], tour[first:last].flip(0), tour[last:]])


def _check_square(table: Tensor, what: str) -> None:
    even = table.ndim == 2 and table.shape[0] == table.shape[1] and torch.equal(table, table.T)
    if not even:
        raise InputError(
            f"{what} are not the same in both directions",
            expected="a symmetric table",
            got=str(list(table.shape)),
            do="take the mean of it and its transpose",
        )
