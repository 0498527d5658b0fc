"""What networks that learn from rows alone have in common, and how they are built.

The *rows* of such a network are the tensors of some rows: numbers [row, number], images [row,
channel, height, width], or the steps of sequences [row, step, number] with their counts [row];
where it is conditional, codes of classes [row] stand last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.models.settings import ModelSettings


class Drawn(NamedTuple):
    """Rows as a network learns from them: what it is called with, and what that is held against.

    Example:
        >>> Drawn((torch.zeros(2, 3), torch.zeros(2, 1)), torch.zeros(2, 3)).target.shape
        torch.Size([2, 3])
    """

    inputs: tuple[Tensor, ...]
    target: Tensor


@runtime_checkable
class Unlabelled(Protocol):
    """A network that learns from rows alone, and says itself what there is to learn.

    All that is random in a step is drawn before it, so a step is a function of its inputs: it can
    be repeated, captured and compiled, and a resumed training draws what one that never stopped
    would have.

    Example:
        >>> class Copying(torch.nn.Linear):
        ...     def draw(self, *rows, generator):
        ...         return Drawn(rows, rows[0])
        ...
        ...     def loss(self, outputs, target, weight=None):
        ...         return (outputs - target).square().mean()
        ...
        ...     def measure(self, *rows, generator):
        ...         return {"reconstruction_error": (self(*rows) - rows[0]).square().mean(dim=1)}
        >>> isinstance(Copying(2, 2), Unlabelled)
        True
    """

    def draw(self, *rows: Tensor, generator: torch.Generator) -> Drawn:
        """Rows as they are learnt from: noise, masks, times and the like drawn.

        Args:
            rows: The rows.
            generator: Draws, on the processor whatever the rows' device.
        """

    def __call__(self, *inputs: Tensor) -> Any:
        """What is made of drawn inputs; a tensor, or a named tuple of tensors."""

    def loss(self, outputs: Any, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """What training makes small: a mean over rows, weighted where there are weights.

        It looks at outputs and target alone: a weight that it needs stands in the outputs.
        """

    def measure(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """How good the network is for each row, [row] each, by the figures' names."""


@runtime_checkable
class Encodes(Protocol):
    """A network that makes of each row a vector to compare and learn from.

    Example:
        >>> isinstance(torch.nn.Linear(1, 1), Encodes)
        False
    """

    def embed(self, *rows: Tensor) -> Tensor:
        """The rows' vectors, [row, feature]."""


@runtime_checkable
class Reconstructs(Protocol):
    """A network that gives rows back as it knows them.

    Example:
        >>> isinstance(torch.nn.Linear(1, 1), Reconstructs)
        False
    """

    def reconstruct(self, *rows: Tensor) -> Tensor:
        """The rows as the network sees them, in the shape of the first of ``rows``."""


@runtime_checkable
class Samples(Protocol):
    """A network that makes up rows.

    Example:
        >>> isinstance(torch.nn.Linear(1, 1), Samples)
        False
    """

    def sample(
        self,
        num_samples: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """New rows, in the shape and the units of the first of its rows.

        Args:
            num_samples: How many.
            generator: Draws.
            classes: Codes of the classes to make, [row]; None draws them by how common they were.
            options: The family's own, such as ``steps`` of a diffusion.
        """


@runtime_checkable
class Decodes(Protocol):
    """A network in whose space of codes one can walk.

    Attributes:
        latent_size: Numbers of a code.

    Example:
        >>> isinstance(torch.nn.Linear(1, 1), Decodes)
        False
    """

    latent_size: int

    def decode(self, codes: Tensor, classes: Tensor | None = None) -> Tensor:
        """The rows that codes stand for.

        Args:
            codes: [row, latent].
            classes: Codes of their classes, [row], where the network is conditional.
        """


class UnlabelledSettings(ModelSettings):
    """A model of rows alone.

    Its ``build`` takes as ``num_outputs`` the number of classes that are given with the rows, 0 of
    none, and otherwise what every model takes.

    Attributes:
        conditional: Whether it can be told the classes of rows.
        num_images: How many images it takes, where it takes images.

    Example:
        >>> UnlabelledSettings().shape_of(3)
        (3,)
    """

    tasks: ClassVar[tuple[str, ...]] = ("generate", "reduce")
    min_outputs: ClassVar[int] = 0
    num_classes: ClassVar[int] = 0
    takes_images: ClassVar[bool] = True
    conditional: ClassVar[bool] = False
    num_images: ClassVar[int] = 1

    def data_defaults(self) -> dict[str, Any]:
        """Images from -1 to 1.

        Example:
            >>> UnlabelledSettings().data_defaults()
            {'images.scaling': 'signed'}
        """
        return {"images.scaling": "signed"}

    def shape_of(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        *,
        images: Sequence[Sequence[int]] = (),
        sequences: Sequence[Sequence[int]] = (),
    ) -> tuple[int, ...]:
        """The shape of one row, checked: (number,), (channel, height, width) or (step's numbers,).

        Args:
            num_inputs: Numbers in a row.
            num_outputs: Classes that are given with the rows.
            cardinalities: None, as categories come one-hot.
            images: [channel, height, width] of the one image.
            sequences: [number] of the one sequence.

        Raises:
            InputError: If there is not one kind of thing, or one that the model does not take.
        """
        self.check_sizes(
            num_inputs, num_outputs or 0, cardinalities, images=images, sequences=sequences
        )
        things = [*images, *sequences, *([[num_inputs]] if num_inputs else [])]
        if len(things) != 1:
            raise InputError(
                f"the model {getattr(self, 'name', '')!r} learns one kind of thing at a time",
                expected="numbers and categories, or one column of images, or one of sequences",
                got=f"{num_inputs} numbers, {len(images)} images, {len(sequences)} sequences",
                do="leave columns out with --set data.types.COLUMN=identifier",
            )
        if num_outputs and not self.conditional:
            raise InputError(
                f"the model {getattr(self, 'name', '')!r} is not told classes",
                expected="a source without a target, or a conditional model",
                got=f"{num_outputs} classes",
                do="leave --target out",
            )
        return tuple(int(length) for length in things[0])
