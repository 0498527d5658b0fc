"""Self-organising maps: cells on a grid, each with a vector, of which neighbours learn together.

Cells are numbered row by row of the grid. A cell's place is its column and its row; of hexagonal
maps every second row is shifted by half a cell, and rows are closer, so that six cells are at
distance 1 from each.

Source:
    Kohonen (1982), "Self-organized formation of topologically correct feature maps",
    doi:10.1007/BF00337288; Kohonen (2013), "Essentials of the self-organizing map",
    doi:10.1016/j.neunet.2012.09.018.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glial.functional.competitive_kernels import find_competitive_kernels

Topology = Literal["rectangular", "hexagonal"]
Neighborhood = Literal["gaussian", "bubble"]
Fading = Literal["constant", "exponential", "linear", "inverse", "asymptotic"]

Rows = Float[Tensor, "row number"]
Prototypes = Float[Tensor, "cell number"]
Places = Float[Tensor, "cell 2"]
PerRow = Float[Tensor, " row"]

DISTANCES_AT_ONCE = 1 << 22
# Farther than the corners of a square of four, and than the nearest cells of a hexagonal map.
_ADJACENT = {"rectangular": 1.42, "hexagonal": 1.01}


def map_places(height: int, width: int, topology: Topology = "rectangular") -> Places:
    """Where cells lie: column and row of each, in units of a cell.

    Args:
        height: Rows of the grid.
        width: Columns of the grid.
        topology: Of a hexagonal map the last row, and every second from it, is shifted left by half
            a cell, and rows are 0.866 apart.

    Returns:
        Column and row, in float64.

    Example:
        >>> map_places(2, 2).tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
        >>> map_places(2, 2, "hexagonal")[2].round(decimals=3).tolist()
        [-0.5, 0.866]
    """
    down = torch.arange(height, dtype=torch.float64)
    across = torch.arange(width, dtype=torch.float64)
    y, x = torch.meshgrid(down, across, indexing="ij")
    if topology == "hexagonal":
        x = x - 0.5 * ((height - 1 - y) % 2 == 0)
        y = y * (1.5 / math.sqrt(3))
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def adjacent_cells(places: Places, topology: Topology) -> Bool[Tensor, "cell cell"]:
    """Which cells lie side by side: up to eight of rectangular maps, corners too; six of others.

    Args:
        places: As `map_places` gives them.
        topology: Of the map.

    Example:
        >>> adjacent_cells(map_places(3, 3), "rectangular").sum(dim=1).tolist()
        [3, 5, 3, 5, 8, 5, 3, 5, 3]
        >>> adjacent_cells(map_places(3, 3, "hexagonal"), "hexagonal")[4].sum().item()
        6
    """
    apart = torch.cdist(places, places)
    return (apart > 0) & (apart < _ADJACENT[topology])


def map_influence(
    places: Places, radius: float, kind: Neighborhood = "gaussian"
) -> Float[Tensor, "cell cell"]:
    """How much each cell learns of what another wins, from 0 to 1.

    Args:
        places: As `map_places` gives them.
        radius: Standard deviation of the Gaussian, in cells; of a bubble the distance, in both
            directions, from which on nothing is learnt. Above 0.
        kind: Which.

    Example:
        >>> map_influence(map_places(1, 3), 1.0)[0].round(decimals=3).tolist()
        [1.0, 0.607, 0.135]
        >>> map_influence(map_places(1, 3), 2.0, "bubble")[0].tolist()
        [1.0, 1.0, 0.0]
    """
    if kind == "bubble":
        apart = (places[:, None] - places[None]).abs()
        return (apart < radius).all(dim=2).to(places)
    squares = (places[:, None] - places[None]).square().sum(dim=2)
    return torch.exp(-squares / (2 * radius * radius))


def faded(start: float, end: float, share: float, kind: Fading) -> float:
    """A radius or a rate after a share of the training.

    Args:
        start: At the beginning.
        end: At the end; ``asymptotic`` comes to a third of the start whatever it is.
        share: Of the training that is over, from 0 to 1.
        kind: ``exponential`` falls by equal factors, ``linear`` by equal steps, ``inverse`` as
            ``1 / (1 + c t)``, and ``asymptotic`` as ``1 / (1 + 2 t)``.

    Example:
        >>> [faded(4.0, 1.0, 0.5, kind) for kind in ("exponential", "linear", "inverse")]
        [2.0, 2.5, 1.6]
        >>> faded(4.0, 1.0, 0.5, "asymptotic")
        2.0
    """
    if kind == "constant":
        return start
    if kind == "exponential":
        return start * math.exp(share * math.log(end / start))
    if kind == "linear":
        return start + share * (end - start)
    return start / (1 + share * (start / end - 1 if kind == "inverse" else 2))


class Winners(NamedTuple):
    """The cells nearest to rows.

    Attributes:
        cells: Their numbers, the nearest first.
        squares: Their squared distances.

    Example:
        >>> winners(torch.tensor([[0.9]]), torch.tensor([[0.0], [1.0]])).cells.item()
        1
    """

    cells: Int[Tensor, "row nearest"]
    squares: Float[Tensor, "row nearest"]


def winners(rows: Rows, prototypes: Prototypes, count: int = 1) -> Winners:
    """The cells whose vectors are nearest to each row, by the Euclidean distance.

    Args:
        rows: The rows.
        prototypes: The cells' vectors.
        count: How many cells of each row.

    Example:
        >>> found = winners(torch.tensor([[0.0], [5.0]]), torch.tensor([[4.0], [1.0]]), count=2)
        >>> found.cells.tolist(), found.squares.tolist()
        ([[1, 0], [0, 1]], [[1.0, 16.0], [1.0, 16.0]])
    """
    halves = 0.5 * prototypes.square().sum(dim=1)
    at_once = max(1, DISTANCES_AT_ONCE // len(prototypes))
    cells, squares = [], []
    for some in torch.split(rows, at_once):
        # |x|^2 is the same for all cells; what is left orders them.
        scores = torch.addmm(halves, some, prototypes.T, alpha=-1)
        if count == 1:
            found = scores.argmin(dim=1, keepdim=True)
        else:
            found = scores.topk(count, dim=1, largest=False).indices
        cells.append(found)
        gaps = [(some - prototypes[found[:, n]]).square().sum(dim=1) for n in range(count)]
        squares.append(torch.stack(gaps, dim=1))
    return Winners(torch.cat(cells), torch.cat(squares))


def batch_map_step(
    prototypes: Prototypes,
    rows: Rows,
    near: Float[Tensor, "cell cell"],
    rate: float = 1.0,
    weight: PerRow | None = None,
) -> tuple[Prototypes, PerRow]:
    """One step of batch learning: cells go to means of rows, weighed by how near their cells are.

    A cell that no row reaches stays.

    Args:
        prototypes: The cells' vectors.
        rows: All rows, or some.
        near: How much each cell learns of what another wins, see `map_influence`.
        rate: Which share of the way cells go; 1 is Kohonen's.
        weight: Weight of each row.

    Returns:
        The new vectors, and the squared distance of each row to the nearest old one.

    Source:
        Kohonen (2013), equation 8.

    Example:
        >>> cells, rows = torch.tensor([[0.0], [4.0]]), torch.tensor([[0.0], [1.0], [5.0]])
        >>> batch_map_step(cells, rows, torch.eye(2))[0].tolist()
        [[0.5], [5.0]]
        >>> batch_map_step(cells, rows, torch.ones(2, 2), rate=0.5)[0].tolist()
        [[1.0], [3.0]]
    """
    found = winners(rows, prototypes)
    cells = found.cells[:, 0]
    heavy = torch.ones_like(rows[:, 0]) if weight is None else weight.to(rows)
    counts = rows.new_zeros(len(prototypes)).index_add_(0, cells, heavy)
    weighed = rows if weight is None else rows * heavy[:, None]
    sums = torch.zeros_like(prototypes).index_add_(0, cells, weighed)
    masses = near @ counts
    reached = masses > torch.finfo(masses.dtype).tiny
    means = (near @ sums) / torch.where(reached, masses, 1.0)[:, None]
    moved = torch.lerp(prototypes, means, rate)
    return torch.where(reached[:, None], moved, prototypes), found.squares[:, 0]


def online_map_steps(
    prototypes: Prototypes,
    rows: Rows,
    places: Places,
    radii: PerRow,
    rates: PerRow,
    kind: Neighborhood = "gaussian",
) -> PerRow:
    """Steps of online learning, one a row: ``w += rate * influence * (row - w)``, in place.

    Args:
        prototypes: The cells' vectors, which are changed.
        rows: The rows in their order.
        places: As `map_places` gives them.
        radii: The radius at each row.
        rates: The rate at each row, from 0 to 1.
        kind: The neighbourhood.

    Returns:
        The squared distance of each row to the nearest vector before its step.

    Source:
        Kohonen (1982); Kohonen (2013), equation 3.

    Example:
        >>> cells = torch.tensor([[0.0], [4.0]])
        >>> row, one = torch.tensor([[1.0]]), torch.ones(1)
        >>> online_map_steps(cells, row, map_places(1, 2), one, 0.5 * one).tolist()
        [1.0]
        >>> cells.flatten().tolist()[0]
        0.5
    """
    kernels = find_competitive_kernels(prototypes)
    if kernels is not None and len(rows):
        return kernels.online(prototypes, rows, places, radii, rates, bubble=kind == "bubble")
    found = []
    for row, radius, rate in zip(rows, radii.tolist(), rates.tolist(), strict=True):
        gaps = row - prototypes
        squares = gaps.square().sum(dim=1)
        nearest = squares.argmin()
        found.append(squares[nearest])
        apart = places - places[nearest]
        if kind == "bubble":
            shares = rate * (apart.abs() < radius).all(dim=1).to(prototypes)
        else:
            shares = rate * torch.exp(-apart.square().sum(dim=1) / (2 * radius * radius))
        prototypes += shares.to(prototypes)[:, None] * gaps
    return torch.stack(found) if found else rows.new_zeros(0)


def topographic_errors(
    cells: Int[Tensor, "row 2"], adjacent: Bool[Tensor, "cell cell"]
) -> Float[Tensor, " row"]:
    """Whether a row's two nearest cells lie apart: 1 where they do, 0 where they are side by side.

    Args:
        cells: The nearest and the second nearest cell, see `winners`.
        adjacent: Which cells are side by side, see `adjacent_cells`.

    Source:
        Kiviluoto (1996), "Topology preservation in self-organizing maps",
        doi:10.1109/ICNN.1996.548907.

    Example:
        >>> adjacent = adjacent_cells(map_places(1, 3), "rectangular")
        >>> topographic_errors(torch.tensor([[0, 1], [0, 2]]), adjacent).tolist()
        [0.0, 1.0]
    """
    return (~adjacent[cells[:, 0], cells[:, 1]]).float()


def u_matrix(prototypes: Prototypes, adjacent: Bool[Tensor, "cell cell"]) -> Float[Tensor, " cell"]:
    """How far each cell's vector is from those of the cells beside it, on average.

    High values are borders between groups of rows.

    Args:
        prototypes: The cells' vectors.
        adjacent: Which cells are side by side, see `adjacent_cells`.

    Source:
        Ultsch, Siemon (1990), "Kohonen's self organizing feature maps for exploratory data
        analysis".

    Example:
        >>> cells = torch.tensor([[0.0], [1.0], [5.0]])
        >>> u_matrix(cells, adjacent_cells(map_places(1, 3), "rectangular")).tolist()
        [1.0, 2.5, 4.0]
    """
    first, second = adjacent.nonzero(as_tuple=True)
    lengths = (prototypes[first] - prototypes[second]).square().sum(dim=1).sqrt()
    sums = prototypes.new_zeros(len(prototypes)).index_add_(0, first, lengths)
    return sums / adjacent.sum(dim=1).clamp_min(1)
