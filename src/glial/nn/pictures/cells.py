"""A self-organising map drawn: borders between its cells, and what each cell stands for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from glial.nn.pictures.layers import spread
from glial.nn.pictures.sheet import Sheet, Strip, Tile

SIDE, PLANE_SIDE, MOSAIC_SIDE = 300, 160, 1000
Cells = Float[Tensor, "height width"]


def cell_grid(values: Cells, *, hexagonal: bool = False) -> Float[Tensor, "down across"]:
    """Cells as places of a picture, two by two each; rows of a hexagonal map stand shifted.

    Args:
        values: A number for each cell.
        hexagonal: Whether every second row from the last is shifted left by half a cell, as
            `glial.functional.map_places` lays cells out.

    Example:
        >>> cell_grid(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), hexagonal=True)[::2].tolist()
        [[1.0, 1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 4.0, 4.0, 4.0]]
    """
    wide = values.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    if not hexagonal:
        return wide
    height = len(values)
    left = torch.arange(height).repeat_interleave(2) % 2 == (height - 1) % 2
    begins = torch.cat([wide, wide[:, -1:]], dim=1)
    return torch.where(left[:, None], begins, torch.cat([wide[:, :1], wide], dim=1))


def draw_cells(
    borders: Cells,
    prototypes: Float[Tensor, "cell ..."],
    *,
    names: Sequence[str] = (),
    hexagonal: bool = False,
    most: int = 24,
) -> Sheet:
    """The U-matrix of a map, and below it what cells stand for.

    Of cells that stand for pictures these are laid side by side; of others there is a tile for
    each number, the map coloured by it from its least to its largest.

    Args:
        borders: How far each cell is from those beside it, see `glial.functional.u_matrix`.
        prototypes: The cells' vectors, [cell, number], or pictures [cell, channel, height, width].
        names: Of the numbers.
        hexagonal: As in `cell_grid`.
        most: The most numbers that are drawn, evenly spread.

    Source:
        Ultsch, Siemon (1990), "Kohonen's self organizing feature maps for exploratory data
        analysis".

    Example:
        >>> sheet = draw_cells(torch.rand(3, 4), torch.rand(12, 2), names=["length", "width"])
        >>> [tile.label for tile in sheet.strips[1].tiles][0].splitlines()[0]
        'length'
    """
    low, high = borders.min().item(), borders.max().item()
    heading = f"distance of cells to those beside them; dark {low:.3g}, light {high:.3g}"
    tile = Tile(cell_grid(borders, hexagonal=hexagonal))
    strips = [Strip(heading, [tile], low, high, "heat", SIDE)]
    if prototypes.ndim == 4:
        return Sheet([*strips, _mosaic(prototypes, borders.shape[0])])
    shown = spread(range(prototypes.shape[1]), most)
    tiles = []
    for number in shown:
        values = prototypes[:, number].reshape(borders.shape)
        least, largest = values.min().item(), values.max().item()
        told = f"{names[number] if names else number}\n{least:.3g} to {largest:.3g}"
        shares = (values - least) / ((largest - least) or 1.0)
        tiles.append(Tile(cell_grid(shares, hexagonal=hexagonal), told))
    some = "" if len(shown) == prototypes.shape[1] else f"{len(shown)} of "
    heading = f"cells by {some}{prototypes.shape[1]} numbers, scaled; dark the least of each"
    return Sheet([*strips, Strip(heading, tiles, 0.0, 1.0, "heat", PLANE_SIDE)])


def _mosaic(pictures: Float[Tensor, "cell channel height width"], rows: int) -> Strip:
    """The pictures of cells side by side."""
    shape = pictures.shape[1:]
    across = len(pictures) // rows
    laid = pictures.reshape(rows, across, *shape).permute(2, 0, 3, 1, 4)
    values = laid.reshape(shape[0], rows * shape[1], across * shape[2])
    low, high = pictures.min().item(), pictures.max().item()
    heading = f"what {len(pictures):,} cells stand for; black {low:.3g}, white {high:.3g}"
    values = values if shape[0] == 3 else values.mean(dim=0)
    return Strip(heading, [Tile(values)], low, high, side=MOSAIC_SIDE)
