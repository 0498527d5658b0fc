"""Numbers, categories, images, sequences and texts of a row in one network.

Each image, the sequence and each text goes through a network of its own, found by name in the table
of models, as far as its features; numbers and categories through a hidden layer. All parts are
brought to one width, put side by side, and read by hidden layers.

Variants: any network of images, of sequences and of texts in the table, any hidden layers.

Source:
    Gu and Budhkar (2021), "A package for learning on tabular and text data with transformers",
    doi:10.18653/v1/2021.maiworkshop-1.10, and Shi et al. (2021), "Benchmarking multimodal AutoML
    for tabular data with text fields", arXiv 2111.02705: features of each part, joined late.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.functional import dropout
from glial.models import MODELS
from glial.models.image import ImageNetwork
from glial.models.settings import ModelSettings
from glial.nn.dense import DenseBlock
from glial.nn.embeddings import CategoryEmbeddings

PartSettings = str | dict[str, Any]


class MixedSettings(ModelSettings):
    """One network of everything that a row holds.

    Attributes:
        image: The network of each image: a name in `MODELS`, or ``name`` and its settings.
        sequence: The network of the sequence, likewise.
        text: The network of each text, likewise.
        width: Numbers that each part of a row is brought to.
        hidden_sizes: Units of the hidden layers that read all parts.
        embedding_size: Length of categories' vectors; None chooses by their cardinality.
        dropout: Share of the parts' and hidden outputs dropped in training.

    Example:
        >>> network = MixedSettings(text="text_cnn").build(2, 3, vocabularies=[50])
        >>> network(torch.zeros(1, 2), torch.tensor([[7, 9, 0]])).shape
        torch.Size([1, 3])
    """

    takes_categories: ClassVar[bool] = True
    takes_images: ClassVar[bool] = True
    takes_sequences: ClassVar[bool] = True
    takes_texts: ClassVar[bool] = True
    description: ClassVar[str] = "numbers, categories, images, sequences and texts in one network"
    source: ClassVar[str] = "Shi et al. (2021), arXiv 2111.02705"

    name: Literal["mixed"] = "mixed"
    image: PartSettings = "residual_cnn"
    sequence: PartSettings = "sequence_rnn"
    text: PartSettings = Field(default={"name": "bag_of_words", "wide": 0})
    width: int = Field(default=64, ge=1)
    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(default=[128])
    embedding_size: int | None = Field(default=None, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall, ended early by the validation loss.

        Example:
            >>> MixedSettings.train_defaults("regression")["schedule"]
            'cosine'
        """
        return {
            "optimizer": "adamw",
            "lr": 0.002,
            "batch_size": 64,
            "epochs": 20 if num_rows > 4000 else 40,
            "schedule": "cosine",
            "weight_decay": 0.01,
            "clip_norm": 1.0,
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "classification",
        images: Sequence[Sequence[int]] = (),
    ) -> MixedSettings:
        """The networks of images, sequences and texts with their sizes chosen for the data.

        Example:
            >>> MixedSettings().for_data(1000, 5, 1).text["size"]
            64
        """
        text = _settings_of(self.text, "text").for_data(num_rows, 0, num_outputs, task)
        steps = _settings_of(self.sequence, "sequence").for_data(num_rows, 0, num_outputs, task)
        chosen: dict[str, Any] = {
            "sequence": steps.model_dump(mode="json"),
            "text": text.model_dump(mode="json"),
        }
        if images:
            image = _settings_of(self.image, "image")
            sized = image.for_data(num_rows, 0, num_outputs, task, images=images[:1])  # type: ignore[call-arg]
            chosen["image"] = sized.model_dump(mode="json")
        return self.model_copy(update=chosen)

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
        sequences: Sequence[Sequence[int]] = (),
        vocabularies: Sequence[int] = (),
    ) -> nn.Module:
        """The network of the parts that there are.

        Args:
            num_inputs: Numbers in a row.
            num_outputs: Numbers that the head gives for a row.
            cardinalities: Number of codes of each category, the unknown bucket included.
            images: [channel, height, width] of each image.
            sequences: [number], how many a step of the sequence has.
            vocabularies: Number of tokens of each text.

        Raises:
            InputError: If a part's network does not take that part.
        """
        parts = {"images": images, "sequences": sequences, "vocabularies": vocabularies}
        self.check_sizes(num_inputs, num_outputs, cardinalities, **parts)  # type: ignore[arg-type]
        return Mixed(self, num_inputs, num_outputs, cardinalities, images, sequences, vocabularies)


class Mixed(nn.Module):
    """A branch for each part of a row, hidden layers over all, and a head.

    It is called with what the row holds, in this order: numbers and codes of categories, if there
    are any (then numbers come first, even none a row), each image, a sequence's steps and lengths,
    each text.

    Args:
        settings: The settings.
        num_inputs: Numbers in a row.
        num_outputs: Outputs.
        cardinalities: Number of codes of each category.
        images: [channel, height, width] of each image.
        sequences: [number], how many a step of the sequence has.
        vocabularies: Number of tokens of each text.

    Example:
        >>> network = Mixed(MixedSettings(width=8), 0, 1, [3], [], [], [20])
        >>> rows = torch.zeros(2, 0), torch.ones(2, 1).long(), torch.ones(2, 4).long()
        >>> network(*rows).shape
        torch.Size([2, 1])
    """

    def __init__(
        self,
        settings: MixedSettings,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int],
        images: Sequence[Sequence[int]],
        sequences: Sequence[Sequence[int]],
        vocabularies: Sequence[int],
    ) -> None:
        super().__init__()
        self.dropout = settings.dropout
        self.embeddings = (
            CategoryEmbeddings(cardinalities, settings.embedding_size) if cardinalities else None
        )
        width = num_inputs + (self.embeddings.num_outputs if self.embeddings else 0)
        self.table = DenseBlock(width, settings.width, "relu") if width else None
        self.branches = nn.ModuleList(
            [
                *(_Branch(_part(settings, "image", image), settings) for image in images),
                *(_Branch(_part(settings, "sequence", one), settings, 2) for one in sequences),
                *(_Branch(_part(settings, "text", count), settings) for count in vocabularies),
            ]
        )
        parts = len(self.branches) + (self.table is not None)
        sizes = [parts * settings.width, *settings.hidden_sizes]
        self.blocks = nn.ModuleList(
            DenseBlock(before, after, "relu") for before, after in itertools.pairwise(sizes)
        )
        self.head = nn.Linear(sizes[-1], num_outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The head's output for each row, [row, output]."""
        rest = list(inputs)
        parts = []
        if self.table is not None:
            found = [rest.pop(0)]
            if self.embeddings is not None:
                found.append(self.embeddings(rest.pop(0)))
            parts.append(self.table(torch.cat(found, dim=1)))
        for branch in self.branches:
            count = int(branch.num_inputs)  # type: ignore[arg-type]
            parts.append(branch(*rest[:count]))
            rest = rest[count:]
        hidden = torch.cat(parts, dim=1)
        for block in self.blocks:
            hidden = block(dropout(hidden, self.dropout, training=self.training))
        outputs: Tensor = self.head(dropout(hidden, self.dropout, training=self.training))
        return outputs


class _Branch(nn.Module):
    """A network as far as its features, normalised and brought to the common width."""

    def __init__(self, network: Any, settings: MixedSettings, num_inputs: int = 1) -> None:
        super().__init__()
        self.num_inputs = num_inputs
        num_features = network.num_features
        if isinstance(network, ImageNetwork):
            network.remove_head()
        else:
            network.head = nn.Identity()
        self.network = network
        self.norm = nn.LayerNorm(num_features)
        self.linear = DenseBlock(num_features, settings.width, "relu")
        self.dropout = settings.dropout

    def forward(self, *inputs: Tensor) -> Tensor:
        features = self.norm(self.network.embed(*inputs))
        outputs: Tensor = self.linear(dropout(features, self.dropout, training=self.training))
        return outputs


def _settings_of(part: PartSettings, kind: str) -> ModelSettings:
    """The settings of a part's network.

    Raises:
        InputError: If the network is not one of such parts alone.
    """
    values = {"name": part} if isinstance(part, str) else part
    cls: type[ModelSettings] = MODELS.resolve(values.get("name", ""))
    if not getattr(cls, f"takes_{kind}s") or cls.takes_numbers:
        raise InputError(
            f"the model {values['name']!r} cannot read the {kind}s of the model mixed",
            expected=f"a model of {kind}s alone",
            got=f"model.{kind}: {values['name']}",
            do="choose another: glial models lists them",
        )
    return cls.read(values, where=f"model.{kind}")


def _part(settings: MixedSettings, kind: str, size: Any) -> nn.Module:
    """The network of one image, sequence or text; its own head is not used."""
    found = _settings_of(getattr(settings, kind), kind)
    argument = {"image": "images", "sequence": "sequences", "text": "vocabularies"}[kind]
    return found.build(0, 1, **{argument: [size]})
