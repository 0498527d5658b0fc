"""Problems as Boltzmann machines: their energies are the problems', their answers the best."""

import networkx
import pytest
import torch

from glial.core.errors import InputError
from glial.functional import (
    anneal,
    binary_states,
    cooling,
    cut_machine,
    cut_value,
    largest_cut,
    pairwise_energy,
    shortest_tour,
    simulated_annealing,
    tour_length,
    tour_machine,
    tour_of,
    with_a_part_turned,
    with_one_moved,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def graph(nodes, seed=0):
    weights = torch.rand(nodes, nodes, generator=seeded(seed)).double()
    weights = torch.where(weights < 0.4, weights, 0.0).triu(1)
    return weights + weights.T


def cities(count, seed=0):
    places = torch.rand(count, 2, generator=seeded(seed)).double()
    distances = torch.cdist(places, places)
    return (distances + distances.T) / 2


def test_energy_is_minus_the_cut_as_networkx_counts_it():
    weights = graph(8)
    states = binary_states(8)
    machine = cut_machine(weights)
    energies = pairwise_energy(states, machine.couplings, machine.biases)
    torch.testing.assert_close(energies, -cut_value(weights, states))
    net = networkx.from_numpy_array(weights.numpy())
    for number in (0, 37, 200, 255):
        side = states[number].nonzero().flatten().tolist()
        cut = networkx.cut_size(net, side, weight="weight")
        assert cut_value(weights, states)[number].item() == pytest.approx(cut)
    worth, sides = largest_cut(weights)
    assert worth == pytest.approx(cut_value(weights, states).max().item())
    assert cut_value(weights, sides[None]).item() == pytest.approx(worth)


def test_energy_of_a_round_trip_is_its_length_and_of_no_other_state_less():
    distances = cities(5)
    machine = tour_machine(distances)
    states = binary_states(16)
    energies = pairwise_energy(states, machine.couplings, machine.biases) + machine.constant
    best, order = shortest_tour(distances)
    four = states.sum(dim=1) == 4
    lengths = [
        (energy.item(), tour_length(distances, tour))
        for state, energy in zip(states[four], energies[four], strict=True)
        if (tour := tour_of(state)) is not None
    ]
    assert len(lengths) == 24
    assert all(energy == pytest.approx(length) for energy, length in lengths)
    assert energies.min().item() == pytest.approx(best)
    assert tour_length(distances, order) == pytest.approx(best)
    assert best == pytest.approx(min(length for _, length in lengths))
    # With too small a penalty the state of least energy is no round trip.
    cheap = tour_machine(distances, penalty=0.1)
    least = pairwise_energy(states, cheap.couplings, cheap.biases).argmin()
    assert tour_of(states[least]) is None


@pytest.mark.slow
def test_annealed_machines_answer_as_going_through_all_does():
    weights = graph(14, seed=1)
    machine = cut_machine(weights)
    cut = anneal(*machine[:2], cooling(60, 1.0, 0.05), generator=seeded())
    worth, _ = largest_cut(weights)
    assert -cut.energies.min().item() == pytest.approx(worth)
    plain, value = simulated_annealing(
        torch.zeros(14).double(),
        lambda sides: -float(cut_value(weights, sides[None])),
        with_one_moved,
        cooling(1500, 1.0, 0.05),
        generator=seeded(),
    )
    assert value == pytest.approx(-worth)
    assert -value == pytest.approx(cut_value(weights, plain[None]).item())
    distances = cities(7, seed=2)
    trips = tour_machine(distances)
    found = anneal(*trips[:2], cooling(200, 0.6, 0.03), generator=seeded(), num_chains=64)
    tour = tour_of(found.states[found.energies.argmin()])
    best, _ = shortest_tour(distances)
    assert tour is not None
    assert tour_length(distances, tour) == pytest.approx(best)
    turned, length = simulated_annealing(
        torch.arange(7),
        lambda order: tour_length(distances, order),
        with_a_part_turned,
        cooling(800, 0.5, 0.01),
        generator=seeded(),
    )
    assert length == pytest.approx(best)
    assert sorted(turned.tolist()) == list(range(7))


def test_plain_annealing_climbs_while_it_is_warm_alone():
    def energy(place):
        return float((place**2 - 1) ** 2 + 0.5 * place)  # two valleys, the left one deeper

    def near(place, generator):
        return place + 0.3 * float(torch.randn((), generator=generator))

    grid = torch.linspace(-2, 2, 4001).tolist()
    deepest, right = (min(map(energy, part)) for part in (grid, grid[2000:]))
    _, cold = simulated_annealing(1.0, energy, near, [0.0] * 400, generator=seeded())
    _, warm = simulated_annealing(1.0, energy, near, cooling(1000, 1.0, 0.01), generator=seeded())
    assert cold == pytest.approx(right, abs=0.01)
    assert warm == pytest.approx(deepest, abs=0.01)
    assert deepest < right - 0.5


def test_what_is_no_problem_is_refused():
    with pytest.raises(InputError, match="both directions"):
        cut_machine(torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
    with pytest.raises(InputError, match="too many round trips"):
        shortest_tour(cities(12))
    with pytest.raises(InputError, match="round trip needs"):
        tour_machine(cities(2))
    assert tour_of(torch.tensor([1.0, 0.0, 1.0, 0.0])) is None
