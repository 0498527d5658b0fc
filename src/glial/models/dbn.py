"""The deep belief network: layers learnt one by one as Boltzmann machines, then all together.

It is no Boltzmann machine: of the stack only the two highest layers are tied both ways, the lower
ones are generated from above. What is kept of it here is the way up, with a head on top.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Shaped
from pydantic import Field
from torch import Tensor, nn

from glial.models.energy import STEEPNESS, StackedSettings
from glial.models.pixels import joined, num_pixels
from glial.models.visible_units import VisibleUnits
from glial.nn.dense import Dense

DEFAULT_HIDDEN_SIZES = (256, 256)


class DBNSettings(StackedSettings):
    """A deep belief network of numbers and pixels, with a head.

    Attributes:
        hidden_sizes: Units of each hidden layer from the bottom; None chooses by the data.

    Source:
        Hinton, Osindero, Teh (2006), "A fast learning algorithm for deep belief nets",
        doi:10.1162/neco.2006.18.7.1527; backpropagation from there: Hinton, Salakhutdinov (2006),
        doi:10.1126/science.1127647.

    Example:
        >>> network = DBNSettings(hidden_sizes=[8, 4]).build(3, 2)
        >>> network(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """

    takes_images: ClassVar[bool] = True
    objective: ClassVar[str] = "greedy_descent"
    description: ClassVar[str] = "deep belief network: layers learnt one by one, then all together"
    source: ClassVar[str] = "Hinton, Osindero, Teh (2006), doi:10.1162/neco.2006.18.7.1527"

    name: Literal["dbn"] = "dbn"
    hidden_sizes: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall; no early end, as layers learn first what no loss tells.

        Example:
            >>> DBNSettings.train_defaults("classification")["schedule"]
            'cosine'
        """
        return {
            "optimizer": "adamw",
            "lr": 0.001,
            "batch_size": 20 if num_rows < 1_000 else 50 if num_rows < 5_000 else 100,
            "epochs": 30 if num_rows >= 30_000 else 100 if num_rows >= 1_000 else 200,
            "schedule": "cosine",
            "weight_decay": 0.01,
        }

    def data_defaults(self) -> dict[str, Any]:
        """Images from -1 to 1.

        Example:
            >>> DBNSettings().data_defaults()
            {'images.scaling': 'signed'}
        """
        return {"images.scaling": "signed"}

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "classification",
        images: Sequence[Sequence[int]] = (),
    ) -> DBNSettings:
        """Two hidden layers as wide as four times the root of the rows, from 64 to 512 units.

        Example:
            >>> DBNSettings().for_data(1000, 5, 1).hidden_sizes
            [128, 128]
        """
        if self.hidden_sizes is not None:
            return self.model_copy()
        width = 2 ** round(math.log2(4 * math.sqrt(max(1, num_rows))))
        return self.model_copy(update={"hidden_sizes": [min(512, max(64, width))] * 2})

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> DeepBelief:
        """The network; without `for_data` with two hidden layers of 256 units."""
        self.check_sizes(num_inputs, num_outputs, cardinalities, images=images)
        one_image = len(images) == 1 and not num_inputs
        shape = tuple(images[0]) if one_image else (num_inputs + num_pixels(images),)
        return DeepBelief(self, shape, num_outputs)


class DeepBelief(nn.Module):
    """Layers of logistic units, and a head.

    Parameters: ``layers.<i>.weight`` and ``.bias``, ``head.weight`` and ``head.bias``.

    Args:
        settings: The settings.
        shape: Of a row: (channel, height, width) of an image alone, else (number,).
        num_outputs: Outputs.

    Attributes:
        visible_units: What rows are to the lowest layer.
        linear_code: False: all units are on or off.

    Example:
        >>> network = DeepBelief(DBNSettings(hidden_sizes=[4]), (3,), 2)
        >>> [name for name, _ in network.named_parameters()]
        ['layers.0.weight', 'layers.0.bias', 'head.weight', 'head.bias']
    """

    linear_code = False

    def __init__(self, settings: DBNSettings, shape: tuple[int, ...], num_outputs: int) -> None:
        super().__init__()
        self.settings = settings
        self.visible_units = VisibleUnits(settings.visible, shape)
        sizes = [self.visible_units.size, *(settings.hidden_sizes or DEFAULT_HIDDEN_SIZES)]
        self.layers = nn.ModuleList(
            Dense(before, after, initialization="xavier_uniform")
            for before, after in itertools.pairwise(sizes)
        )
        if not settings.pretraining_share:
            with torch.no_grad():
                for layer in self.stack():
                    layer.weight.mul_(STEEPNESS)
        self.head = Dense(sizes[-1], num_outputs, initialization="xavier_uniform")

    def start(self, *parts: Shaped[Tensor, "row ..."]) -> None:
        """See between which numbers rows lie, where units are 0 or 1.

        Args:
            parts: Training rows.
        """
        self.visible_units.start(self._rows(parts))

    def _rows(self, parts: Sequence[Tensor]) -> Tensor:
        return parts[0] if len(self.visible_units.shape) == 3 else joined(parts)

    def stack(self) -> list[Dense]:
        """The hidden layers from the bottom."""
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    def visible_of(self, *parts: Shaped[Tensor, "row ..."]) -> Float[Tensor, "row visible"]:
        """What the lowest layer sees of rows.

        Args:
            parts: Those that a row has of numbers [row, feature] and each image [row, channel,
                height, width].
        """
        return self.visible_units.chances(self._rows(parts))

    def unroll(self, biases: Sequence[Tensor]) -> None:
        """Nothing: there is no way back in a network with a head.

        Args:
            biases: Of each layer's lower units.
        """

    @property
    def num_features(self) -> int:
        """Units of the last hidden layer."""
        return self.head.weight.shape[1]

    def embed(self, *parts: Shaped[Tensor, "row ..."]) -> Float[Tensor, "row feature"]:
        """Probabilities of the last hidden layer's units.

        Args:
            parts: As for :meth:`visible_of`.
        """
        hidden = self.visible_of(*parts)
        for layer in self.layers:
            hidden = torch.sigmoid(layer(hidden))
        return hidden

    def forward(self, *parts: Shaped[Tensor, "row ..."]) -> Float[Tensor, "row output"]:
        """The head's output for each row.

        Args:
            parts: As for :meth:`visible_of`.
        """
        output: Tensor = self.head(self.embed(*parts))
        return output
