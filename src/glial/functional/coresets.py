"""A few of many vectors that stand for all of them: each of the others lies near one of these."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glial.core.errors import InputError


def greedy_coreset(
    vectors: Float[Tensor, "row feature"], size: int, first: int = 0
) -> tuple[Int[Tensor, " chosen"], Float[Tensor, " row"]]:
    """Rows chosen one after the other, each the farthest from those that were chosen before.

    No other choice of as many rows makes the largest distance less than half as large. It takes
    one pass over all rows for each that is chosen, and memory for a number a row.

    Args:
        vectors: A vector a row.
        size: Rows to choose; where fewer are different, these.
        first: The number of the row to begin with.

    Returns:
        The numbers of the chosen rows, in the order in which they were chosen, and how far each row
        is from the nearest of them.

    Raises:
        InputError: If there is no row, or none is to be chosen.

    Source:
        Gonzalez (1985), "Clustering to minimize the maximum intercluster distance",
        doi:10.1016/0304-3975(85)90224-5; for memories of patches: Roth et al. (2022), "Towards
        total recall in industrial anomaly detection", arXiv 2106.08265, algorithm 1.

    Example:
        >>> chosen, distances = greedy_coreset(torch.tensor([[0.0], [1.0], [5.0], [6.0]]), 2)
        >>> chosen.tolist(), distances.tolist()
        ([0, 3], [0.0, 1.0, 1.0, 0.0])
    """
    if size < 1 or not 0 <= first < len(vectors):
        raise InputError(
            "no rows can be chosen",
            expected="at least one row, at least one to choose, and a row of these to begin with",
            got=f"{len(vectors)} rows, {size} to choose, row {first} to begin with",
            do="give more rows, or choose more of them",
        )
    nearest = torch.full_like(vectors[:, 0], torch.inf)
    place, chosen = first, list[int]()
    while len(chosen) < size and float(nearest[place]) > 0:
        chosen.append(place)
        gaps = (vectors - vectors[place]).square_().sum(dim=1)
        nearest = torch.minimum(nearest, gaps)
        place = int(nearest.argmax())
    return torch.tensor(chosen, device=vectors.device), nearest.sqrt()
