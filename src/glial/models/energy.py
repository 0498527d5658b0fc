"""What networks that learn by contrast have in common: energies low for rows, high elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor


class Contrast(NamedTuple):
    """What a network learns of one batch.

    Attributes:
        loss: A figure that says how far training is, a mean over rows; not what the gradients are
            of.
        gradients: Of every parameter, by its name: the rows' mean derivative of the energy less
            that of the network's own states.
        chains: The states of its chains at the end, [chain, ...] each, by names of its own.
    """

    loss: Tensor
    gradients: dict[str, Tensor]
    chains: dict[str, Tensor]


@runtime_checkable
class EnergyBased(Protocol):
    """A network that `glial.objectives.ContrastiveDivergence` can train.

    Attributes:
        persistent: Whether chains go on from batch to batch; else each starts from a row.

    Example:
        >>> from glial.models import build
        >>> isinstance(build("rbm", num_inputs=3), EnergyBased)
        True
    """

    persistent: bool

    def contrast(self, chains: Mapping[str, Tensor], *inputs: Tensor) -> Contrast:
        """The gradients of a batch, in closed form, and where its chains end.

        Args:
            chains: States to go on from, one a row of the batch; none at the start.
            inputs: What the network's ``draw`` made of rows: all that is random is in there.
        """
