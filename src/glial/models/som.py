"""Self-organising maps: a grid of cells on which rows that are alike lie side by side.

Variants: rectangular and hexagonal grids, batch and online learning, Gaussian and bubble
neighbourhoods, vectors that begin in the plane of the principal components or as rows.

Source:
    Kohonen (1982), "Self-organized formation of topologically correct feature maps",
    doi:10.1007/BF00337288; Kohonen (2013), "Essentials of the self-organizing map",
    doi:10.1016/j.neunet.2012.09.018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.functional import (
    adjacent_cells,
    faded,
    map_places,
    topographic_errors,
    u_matrix,
    winners,
)
from glial.functional.self_organizing import Fading, Neighborhood, Topology
from glial.models.competing import Learning
from glial.models.unlabelled import Drawn, UnlabelledSettings

Rows = Float[Tensor, "row ..."]
PerRow = Float[Tensor, " row"]

DEFAULT_GRID = (10, 10)
MOST_AT_ONCE = 1 << 17  # rows of a batch by default
MOST_CELLS = 4096  # whose neighbourhood is a matrix of 64 MB


class SOMSettings(UnlabelledSettings):
    """A self-organising map of numbers, or of pictures as the numbers of their pixels.

    The rate is the plan's ``train.lr``, 0.5 by default; with 1 batch learning is Kohonen's, which
    sets every cell to the mean of the rows about it. Rate and radius fall with the share of the
    training that is over.

    Attributes:
        grid: Rows and columns of cells; None is a square of about five times the root of the
            number of rows, and of clusters 3 by 3.
        topology: ``hexagonal`` has six cells about each, ``rectangular`` eight.
        learning: ``batch`` learns from all rows of a batch at once, ``online`` from row after row.
        neighborhood: ``gaussian``, or ``bubble``: all cells within the radius learn alike.
        radius: At the beginning, in cells; None is a quarter of the longer side, and of vectors
            that begin as ``rows`` half of it.
        final_radius: At the end; ``asymptotic`` ends at a third of the start instead.
        radius_decay: How the radius falls, see `glial.functional.faded`.
        rate_decay: How the rate falls: ``linear`` to 0, ``inverse`` and ``exponential`` to a
            hundredth, ``asymptotic`` to a third; None is ``constant`` for batch learning and
            ``asymptotic`` for online learning.
        start: Where vectors begin: in the plane of the two main principal components, or as rows.

    Example:
        >>> network = SOMSettings(grid=[4, 6]).build(3, 0)
        >>> network.embed(torch.zeros(2, 3)).shape, network.prototypes.shape
        (torch.Size([2, 2]), torch.Size([24, 3]))
    """

    tasks: ClassVar[tuple[str, ...]] = ("reduce", "cluster")
    objective: ClassVar[str] = "competitive"
    description: ClassVar[str] = "self-organising map: cells on a grid, neighbours alike"
    source: ClassVar[str] = "Kohonen (1982), doi:10.1007/BF00337288"

    name: Literal["som"] = "som"
    grid: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)] | None = (
        None
    )
    topology: Topology = "hexagonal"
    learning: Learning = "batch"
    neighborhood: Neighborhood = "gaussian"
    radius: float | None = Field(default=None, gt=0)
    final_radius: float = Field(default=0.6, gt=0)
    radius_decay: Fading = "exponential"
    rate_decay: Fading | None = None
    start: Literal["principal", "rows"] = "principal"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """All rows in one batch, thirty times; of very many rows some thousands in a batch.

        Example:
            >>> SOMSettings.train_defaults("reduce")["lr"]
            0.5
        """
        size = "full" if num_rows <= MOST_AT_ONCE else MOST_AT_ONCE // 4
        return {"lr": 0.5, "epochs": 30, "batch_size": size, "schedule": "constant"}

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "reduce",
        images: Sequence[Sequence[int]] = (),
    ) -> SOMSettings:
        """A square grid of about five times the root of the number of rows; of clusters 3 by 3.

        Example:
            >>> SOMSettings().for_data(1000, 13).grid
            [13, 13]
        """
        side = round(math.sqrt(5 * math.sqrt(max(1, num_rows))))
        side = 3 if task == "cluster" else min(math.isqrt(MOST_CELLS), max(2, side))
        return self.model_copy(update={"grid": self.grid or [side, side]})

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The map; without `for_data` it has 10 by 10 cells."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        grid = self.grid or list(DEFAULT_GRID)
        if not 2 <= prod(grid) <= MOST_CELLS:
            raise InputError(
                "the map has too few cells or too many",
                expected=f"from 2 to {MOST_CELLS:,} cells",
                got=f"model.grid: {grid}",
                do="set model.grid to rows and columns, such as [20, 30]",
            )
        return SelfOrganizingMap(self, shape, (grid[0], grid[1]))


class SelfOrganizingMap(nn.Module):
    """Cells on a grid with a vector each; a row belongs to the cell that is nearest.

    Parameters: ``prototypes`` [cell, number], row by row of the grid.

    Args:
        settings: The settings.
        shape: Of one row: (number,) or (channel, height, width).
        grid: Rows and columns of cells.

    Attributes:
        grid: Rows and columns of cells.
        places: Column and row of each cell, [cell, 2].
        adjacent: Which cells lie side by side, [cell, cell].

    Example:
        >>> network = SelfOrganizingMap(SOMSettings(topology="rectangular"), (1,), (1, 3))
        >>> _ = network.prototypes.data.copy_(torch.tensor([[0.0], [1.0], [2.0]]))
        >>> network.embed(torch.tensor([[1.9]])), network.reconstruct(torch.tensor([[1.9]])).item()
        (tensor([[2., 0.]]), 2.0)
    """

    places: Tensor
    adjacent: Tensor

    def __init__(
        self, settings: SOMSettings, shape: tuple[int, ...], grid: tuple[int, int]
    ) -> None:
        super().__init__()
        self.settings = settings
        self.shape, self.grid = shape, grid
        self.learning: Learning = settings.learning
        self.neighborhood: Neighborhood = settings.neighborhood
        usual: Fading = "constant" if settings.learning == "batch" else "asymptotic"
        self.rate_decay: Fading = settings.rate_decay or usual
        places = map_places(*grid, settings.topology)
        adjacent = adjacent_cells(places, settings.topology)
        self.register_buffer("places", places.float(), persistent=False)
        self.register_buffer("adjacent", adjacent, persistent=False)
        self.prototypes = nn.Parameter(torch.randn(prod(grid), prod(shape)))

    def flat(self, *rows: Tensor) -> Float[Tensor, "row number"]:
        """Rows as they compete for, their pixels in a line."""
        return rows[0].flatten(1)

    def radius(self, share: float) -> float:
        """The neighbourhood's radius after a share of the training, in cells."""
        settings = self.settings
        divisor = 4 if settings.start == "principal" else 2
        start = settings.radius or max(1.0, max(self.grid) / divisor)
        end = min(settings.final_radius, start)
        return faded(start, end, share, settings.radius_decay)

    def draw(self, *rows: Tensor, generator: torch.Generator) -> Drawn:
        """Rows as they are, and in which order they are learnt from where that is row by row."""
        if self.learning == "batch":
            return Drawn((rows[0],), rows[0])
        order = torch.randperm(len(rows[0]), generator=generator).to(rows[0].device)
        return Drawn((rows[0], order), rows[0])

    def forward(self, rows: Rows, order: Tensor | None = None) -> Rows:
        """The vectors of the cells that are nearest to rows, in the shape of rows.

        Args:
            rows: The rows.
            order: In which order they are learnt from; what is given does not hang on it.
        """
        flat = self.flat(rows)
        cells = winners(flat.detach(), self.prototypes.detach()).cells[:, 0]
        return self.prototypes[cells].reshape(-1, *self.shape)

    def loss(self, outputs: Rows, target: Rows, weight: Tensor | None = None) -> Tensor:
        """The mean squared difference of rows and their cells' vectors, a number.

        Args:
            outputs: What `forward` gives.
            target: The rows.
            weight: Weight of each row.
        """
        each = (outputs - target).square().flatten(1).mean(dim=1)
        return each.mean() if weight is None else (each * weight).sum() / weight.sum()

    def measure(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Squared difference a number, distance to the cell, and whether the next cell lies apart.

        The means of the last two are the map's quantisation error and topographic error.
        """
        flat = self.flat(*rows)
        found = winners(flat, self.prototypes, count=2)
        nearest = found.squares[:, 0]
        return {
            "reconstruction_error": nearest / flat.shape[1],
            "quantization_error": nearest.sqrt(),
            "topographic_error": topographic_errors(found.cells, self.adjacent),
        }

    def assign(self, *rows: Tensor) -> Tensor:
        """The number of each row's cell, row by row of the grid, [row]."""
        return winners(self.flat(*rows), self.prototypes).cells[:, 0]

    def embed(self, *rows: Tensor) -> Float[Tensor, "row 2"]:
        """Where rows lie on the map: column and row of their cells, in units of a cell."""
        return self.places[self.assign(*rows)]

    def reconstruct(self, *rows: Tensor) -> Tensor:
        """The vectors of rows' cells, in the shape of rows."""
        return self.forward(rows[0])

    def borders(self) -> Float[Tensor, "height width"]:
        """The U-matrix: how far each cell's vector is from those of the cells beside it."""
        return u_matrix(self.prototypes.detach(), self.adjacent).reshape(self.grid)

    @torch.no_grad()
    def start(self, *rows: Tensor) -> None:
        """Let vectors begin in the plane of the rows' main principal components, or as rows.

        Args:
            rows: Training rows. Which vectors begin as which is drawn by torch's own generator.
        """
        flat = self.flat(*rows)
        if self.settings.start == "rows":
            some = torch.randint(len(flat), (len(self.prototypes),))
            self.prototypes.copy_(flat[some])
            return
        mean, tried = flat.mean(dim=0), min(8, *flat.shape)  # the more, the nearer to exact
        _, lengths, axes = torch.pca_lowrank(flat - mean, q=tried, center=False, niter=4)
        count = min(2, tried)
        spreads, axes = lengths[:count] / math.sqrt(max(1, len(flat) - 1)), axes[:, :count]
        low, high = self.places.amin(dim=0), self.places.amax(dim=0)
        centred = 2 * (self.places - low) / (high - low).clamp_min(1e-9) - (high > low).float()
        if self.grid[0] > self.grid[1]:  # the longer side goes along the first component
            centred = centred.flip(1)
        self.prototypes.copy_(mean + (centred[:, :count] * spreads) @ axes.T)
