"""The multi-layer perceptron: dense hidden layers with an activation, and a linear head."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Shaped
from pydantic import Field
from torch import Tensor, nn

from glial.models.pixels import PixelSettings, joined
from glial.models.settings import ScalingName
from glial.nn.activations import activation
from glial.nn.dense import BiasKind, Dense, DenseBlock, NormKind
from glial.nn.embeddings import CategoryEmbeddings
from glial.nn.initialization import best_for

DEFAULT_HIDDEN_SIZES = (128, 128)


class MLPSettings(PixelSettings):
    """A multi-layer perceptron of numbers, categories and pixels.

    Attributes:
        hidden_sizes: Units of each hidden layer; None chooses by the number of rows, an
            empty list is a linear model.
        activation: Of hidden layers.
        output_activation: Of the head. Losses of classification take the linear output.
        initialization: Starting weights; "auto" suits the activation.
        bias_initialization: Starting biases.
        bias: One bias per neuron (best), one shared by the layer, or none.
        norm: Normalisation before each activation.
        dropout: Share of hidden outputs dropped in training.
        input_dropout: Share of inputs dropped in training.
        skip: Add each hidden layer's input to its output.
        embedding_size: Length of categories' vectors; None chooses by their cardinality.

    Example:
        >>> MLPSettings(hidden_sizes=[8]).build(4, 3)(torch.zeros(2, 4)).shape
        torch.Size([2, 3])
    """

    scaling: ClassVar[ScalingName] = "standard"
    takes_categories: ClassVar[bool] = True
    description: ClassVar[str] = "multi-layer perceptron: dense layers with an activation"
    source: ClassVar[str] = "Rumelhart, Hinton, Williams (1986), doi:10.1038/323533a0"

    name: Literal["mlp"] = "mlp"
    hidden_sizes: list[Annotated[int, Field(ge=1)]] | None = None
    activation: str = "relu"
    output_activation: str = "linear"
    initialization: str = "auto"
    bias_initialization: str = "zero"
    bias: BiasKind = "per-neuron"
    norm: NormKind = "none"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    input_dropout: float = Field(default=0.0, ge=0, lt=1)
    skip: bool = False
    embedding_size: int | None = Field(default=None, ge=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall, ended early by the validation loss.

        Example:
            >>> MLPSettings.train_defaults("classification")["optimizer"]
            'adamw'
        """
        return {
            "optimizer": "adamw",
            "batch_size": 128,
            "epochs": 100,
            "schedule": "cosine",
            "weight_decay": 0.01,
            "patience": 20,
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "classification",
        images: Sequence[Sequence[int]] = (),
    ) -> MLPSettings:
        """Two hidden layers as wide as twice the root of the rows, from 32 to 512 units.

        Example:
            >>> MLPSettings().for_data(1000, 5, 1).hidden_sizes
            [64, 64]
        """
        if self.hidden_sizes is not None:
            return self.model_copy()
        width = 2 ** round(math.log2(2 * math.sqrt(max(1, num_rows))))
        return self.model_copy(update={"hidden_sizes": [min(512, max(32, width))] * 2})

    def network(
        self, num_inputs: int, num_outputs: int, cardinalities: Sequence[int] = ()
    ) -> nn.Module:
        """The network; without `for_data` it has two hidden layers of 128 units."""
        return MLP(self, num_inputs, num_outputs, cardinalities)


class MLP(nn.Module):
    """Embeddings, hidden blocks and a head.

    Parameters: ``embeddings.tables.<i>.weight``, ``blocks.<i>.linear.weight`` and ``.bias``,
    ``blocks.<i>.norm.*``, ``blocks.<i>.shortcut.weight``, ``head.weight`` and ``head.bias``.

    Args:
        settings: The settings.
        num_inputs: Numbers in a row, pixels included.
        num_outputs: Outputs.
        cardinalities: Number of codes of each category.

    Example:
        >>> network = MLP(MLPSettings(hidden_sizes=[2], activation="sigmoid"), 2, 1)
        >>> [name for name, _ in network.named_parameters()]
        ['blocks.0.linear.weight', 'blocks.0.linear.bias', 'head.weight', 'head.bias']
    """

    def __init__(
        self,
        settings: MLPSettings,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.input_dropout = nn.Dropout(settings.input_dropout)
        self.embeddings = (
            CategoryEmbeddings(cardinalities, settings.embedding_size) if cardinalities else None
        )
        width = num_inputs + (self.embeddings.num_outputs if self.embeddings else 0)
        hidden = settings.hidden_sizes
        sizes = [width, *(DEFAULT_HIDDEN_SIZES if hidden is None else hidden)]
        self.blocks = nn.Sequential(
            *(_block(settings, before, after) for before, after in itertools.pairwise(sizes))
        )
        self.head = _dense(settings, sizes[-1], num_outputs, settings.output_activation)
        self.output_activation = activation(settings.output_activation)

    @property
    def num_features(self) -> int:
        """Units of the last hidden layer."""
        return self.head.weight.shape[1]

    def embed(self, *parts: Shaped[Tensor, "row ..."]) -> Float[Tensor, "row feature"]:
        """What the head sees of each row: the outputs of the last hidden layer.

        Args:
            parts: Those that a row has of numbers [row, feature], codes of categories
                [row, category] (then numbers come first, even none a row) and each image
                [row, channel, height, width].
        """
        rest = list(parts)
        codes = None if self.embeddings is None else rest.pop(1)
        features = self.input_dropout(joined(rest))
        if self.embeddings is not None:
            features = torch.cat([features, self.embeddings(codes)], dim=1)
        hidden: Tensor = self.blocks(features)
        return hidden

    def forward(self, *parts: Shaped[Tensor, "row ..."]) -> Float[Tensor, "row output"]:
        """The head's output for each row, called as :meth:`embed`."""
        output: Tensor = self.output_activation(self.head(self.embed(*parts)))
        return output


def _initialization(settings: MLPSettings, activation_name: str) -> str:
    asked = settings.initialization
    return best_for(activation_name) if asked == "auto" else asked


def _dense(settings: MLPSettings, before: int, after: int, activation_name: str) -> Dense:
    return Dense(
        before,
        after,
        bias=settings.bias,
        initialization=_initialization(settings, activation_name),
        bias_initialization=settings.bias_initialization,
    )


def _block(settings: MLPSettings, before: int, after: int) -> DenseBlock:
    return DenseBlock(
        before,
        after,
        settings.activation,
        norm=settings.norm,
        dropout=settings.dropout,
        skip=settings.skip,
        bias=settings.bias,
        initialization=_initialization(settings, settings.activation),
        bias_initialization=settings.bias_initialization,
    )
