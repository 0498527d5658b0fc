"""Rows that stand for all: against every other choice, and where there are few."""

import itertools

import pytest
import torch

from glial.core.errors import InputError
from glial.functional import greedy_coreset


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_distance_is_at_most_twice_the_least_possible(seed):
    rows = torch.randn(11, 2, generator=torch.Generator().manual_seed(seed))
    gaps = torch.cdist(rows, rows)
    best = min(
        float(gaps[list(some)].amin(dim=0).max()) for some in itertools.combinations(range(11), 3)
    )
    chosen, distances = greedy_coreset(rows, 3)
    assert best <= float(distances.max()) <= 2 * best
    # What is told of each row is what the chosen ones say.
    assert torch.allclose(distances, gaps[chosen].amin(dim=0), atol=1e-6)


def test_each_choice_is_the_farthest_from_those_before():
    rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    chosen, _ = greedy_coreset(rows, 20, first=7)
    gaps = torch.cdist(rows, rows)
    assert chosen[0] == 7
    assert len(set(chosen.tolist())) == 20
    for count in range(1, 20):
        nearest = gaps[chosen[:count]].amin(dim=0)
        assert nearest[chosen[count]] == pytest.approx(float(nearest.max()), abs=1e-5)
    # More rows of the same order leave less behind: a random choice is no better.
    others = torch.randperm(200, generator=torch.Generator().manual_seed(1))[:20]
    assert gaps[chosen].amin(dim=0).max() < gaps[others].amin(dim=0).max()


def test_rows_that_are_the_same_are_chosen_once():
    rows = torch.tensor([[1.0], [1.0], [2.0], [2.0]])
    chosen, distances = greedy_coreset(rows, 4)
    assert chosen.tolist() == [0, 2]
    assert distances.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("rows", "size", "first"), [(0, 1, 0), (3, 0, 0), (3, 1, 3)])
def test_nothing_to_choose_is_refused(rows, size, first):
    with pytest.raises(InputError, match="no rows can be chosen"):
        greedy_coreset(torch.zeros(rows, 2), size, first)
