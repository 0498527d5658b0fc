"""What networks of two players have in common: one makes rows up, one tells them from real ones."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Players(Protocol):
    """A network that `glial.objectives.TwoPlayers` can train.

    All methods are called with the inputs that its ``draw`` made. Every parameter belongs to one
    of the two players. What the generator makes is made once a step for both players; the
    discriminator's gets it cut off from the generator.

    Attributes:
        generator: The first player; several networks stand in one module.
        discriminator: The second player, likewise.
        discriminator_steps: Updates of the discriminator for one of the generator.
        discriminator_lr_factor: The discriminator's learning rate in units of the generator's.

    Example:
        >>> isinstance(nn.Linear(1, 1), Players)
        False
    """

    generator: nn.Module
    discriminator: nn.Module
    discriminator_steps: int
    discriminator_lr_factor: float

    def generate(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the generator makes of the inputs."""

    def discriminator_loss(self, made: tuple[Tensor, ...], *inputs: Tensor) -> Tensor:
        """What the discriminator makes small: a mean over rows."""

    def generator_loss(self, made: tuple[Tensor, ...], *inputs: Tensor) -> Tensor:
        """What the generator makes small: a mean over rows."""


@runtime_checkable
class PenalizedPlayers(Protocol):
    """Beside what `Players` keep: of which the discriminator's slope is kept small, now and then.

    Attributes:
        penalty_every: Updates of the discriminator for one with a penalty, which then counts as
            many times; 0 is never.

    Example:
        >>> isinstance(nn.Linear(1, 1), PenalizedPlayers)
        False
    """

    penalty_every: int

    def penalized_loss(self, made: tuple[Tensor, ...], *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's loss, and apart from it the penalty, means over rows."""
