"""What networks that learn by contrast have in common: energies low for rows, high elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from pydantic import Field
from torch import Tensor

from glial.models.settings import ModelSettings
from glial.models.visible_units import VisibleName, VisibleUnits
from glial.nn.dense import Dense

# What a logistic unit's slope of a quarter takes away; machines learn better from small weights.
STEEPNESS = 4.0


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


class StackedSettings(ModelSettings):
    """Of a network whose layers are learnt one by one first.

    Attributes:
        pretraining_share: The share of training in which layers are learnt one by one from the
            bottom, each as a restricted Boltzmann machine of what the one below says; the rest is
            backpropagation. 0 begins with it.
        pretraining_lr: Learning rate of these machines; None is a quarter divided by the root of
            the units below, a layer by itself.
        gibbs_steps: Steps of their chains.
        visible: What rows are to the lowest: ``bernoulli`` units are 0 or 1, ``gaussian`` ones
            numbers; ``auto`` is ``bernoulli`` for rows that are one image of one channel.

    Example:
        >>> StackedSettings().pretraining_share
        0.2
    """

    pretraining_share: float = Field(default=0.2, ge=0, lt=1)
    pretraining_lr: float | None = Field(default=None, gt=0)
    gibbs_steps: int = Field(default=1, ge=1)
    visible: VisibleName = "auto"


@runtime_checkable
class Stacked(Protocol):
    """A network that `glial.objectives.GreedyDescent` can train.

    Attributes:
        settings: How layers are learnt.
        visible_units: What rows are to the lowest layer.
        linear_code: Whether the units of the last layer are numbers, and no probabilities.

    Example:
        >>> from glial.models import build
        >>> isinstance(build("dbn", num_inputs=3, num_outputs=2), Stacked)
        True
    """

    settings: StackedSettings
    visible_units: VisibleUnits
    linear_code: bool

    def stack(self) -> Sequence[Dense]:
        """The layers from the bottom, with weights [above, below] and a bias a unit above."""

    def visible_of(self, *inputs: Tensor) -> Tensor:
        """What the lowest layer sees of rows: chances or numbers, [row, visible].

        Args:
            inputs: What the network is called with.
        """

    def unroll(self, biases: Sequence[Tensor]) -> None:
        """Take what was learnt of the ways back, before backpropagation begins.

        Args:
            biases: Of each layer's lower units, from the bottom.
        """
