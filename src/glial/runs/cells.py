"""The cells of a run's self-organising map, as a picture."""

from __future__ import annotations

from typing import Any

from glial.core.errors import InputError
from glial.models.som import SelfOrganizingMap
from glial.nn.pictures import Sheet, draw_cells
from glial.runs.run import Run


def cells_sheet(run: Run) -> Sheet:
    """The U-matrix of a run's map, and what its cells stand for, in scaled units.

    Args:
        run: The run of a self-organising map.

    Raises:
        InputError: If it is another network's.

    Example:
        >>> import glial
        >>> run = glial.train("iris", task="reduce", model="som", epochs=2, out=False)
        >>> len(cells_sheet(run).strips[1].tiles)
        4
    """
    network: Any = run.model
    if not isinstance(network, SelfOrganizingMap):
        raise InputError(
            f"the model {run.plan.model['name']} has no cells to draw",
            expected="a run of a self-organising map",
            got=f"a run of {run.plan.model['name']}",
            do="glial train SOURCE --task reduce --model som",
        )
    shape = network.shape
    held = network.prototypes.detach().cpu().reshape(-1, *shape)
    return draw_cells(
        network.borders().cpu(),
        held,
        names=run.encoding.names if len(shape) == 1 else (),
        hexagonal=network.settings.topology == "hexagonal",
    )
