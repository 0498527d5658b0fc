"""What dense networks have in common: pixels of images are numbers of a row like all others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.models.settings import ModelSettings


class PixelSettings(ModelSettings):
    """A network of numbers that takes images too, as the numbers that their pixels are.

    Who derives from it gives `network`.

    Example:
        >>> class OneLayer(PixelSettings):
        ...     def network(self, num_inputs, num_outputs, cardinalities=()):
        ...         return nn.Linear(num_inputs, num_outputs)
        >>> OneLayer().build(2, 1, images=[[3, 4, 4]]).in_features
        50
    """

    takes_images: ClassVar[bool] = True

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "classification",
        images: Sequence[Sequence[int]] = (),
    ) -> PixelSettings:
        """The settings as they are: there is no size to choose."""
        return self.model_copy()

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_data` with its usual sizes.

        Args:
            num_inputs: Numbers in a row, pixels left out.
            num_outputs: Numbers that the head gives for a row.
            cardinalities: Number of codes of each category, the unknown bucket included.
            images: [channel, height, width] of each image.

        Returns:
            The network, called with those of numbers, codes of categories and images that it has.
        """
        self.check_sizes(num_inputs, num_outputs, cardinalities, images=images)
        return self.network(num_inputs + num_pixels(images), num_outputs, cardinalities)

    def network(
        self, num_inputs: int, num_outputs: int, cardinalities: Sequence[int] = ()
    ) -> nn.Module:
        """The network of sizes that were checked.

        Args:
            num_inputs: Numbers and pixels of a row together.
            num_outputs: Outputs.
            cardinalities: Number of codes of each category.
        """
        raise NotImplementedError


def num_pixels(images: Sequence[Sequence[int]]) -> int:
    """The numbers that the images of a row hold: channel times height times width of each.

    Args:
        images: [channel, height, width] of each image.

    Raises:
        InputError: If an image has other than three sizes of at least 1.

    Example:
        >>> num_pixels([[3, 32, 32]])
        3072
    """
    for image in images:
        if len(image) != 3 or min(image) < 1:
            raise InputError(
                "an image has no such size",
                expected="[channel, height, width], each at least 1",
                got=str(list(image)),
                do="give images=[[1, 28, 28]] for grey images of 28 x 28 pixels",
            )
    return sum(math.prod(image) for image in images)


def joined(parts: Sequence[Tensor]) -> Float[Tensor, "row feature"]:
    """Numbers and images of a row as one vector, in this order.

    Args:
        parts: [row, feature] or [row, channel, height, width] each; pixels go channel by channel,
            row by row.

    Example:
        >>> joined([torch.tensor([[7.0]]), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])])
        tensor([[7., 1., 2., 3., 4.]])
    """
    flat = [part.flatten(1) for part in parts]
    return flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)
